"""What the answers of a model's server mean to the doctor."""

import httpx
import pytest
import respx

from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.doctor.model import check_model, check_second_model
from chatwoot_bot.presets import GROQ_BASE_URL
from chatwoot_bot.settings import Settings

pytestmark = pytest.mark.anyio

OPENAI = "https://api.openai.com/v1"
KEY = "sk-secret"


async def check(models, said=None, base=OPENAI, key=KEY, **environ):
    """Ask a server that answers so; return the finding."""
    settings = Settings.load({"OPENAI_API_KEY": KEY, **environ})
    with respx.mock(base_url=base, assert_all_called=False) as router:
        router.get("/models").mock(return_value=models)
        router.post("/chat/completions").mock(return_value=said)
        async with httpx.AsyncClient() as http:
            finding = await check_model(settings, http)
        assert router.calls[0].request.headers["authorization"] == f"Bearer {key}"
    assert KEY not in repr(finding)
    return finding


def models(*names):
    return httpx.Response(200, json={"data": [{"id": name} for name in names]})


def refused(status, code):
    text = f"Incorrect API key provided: {KEY}"
    return httpx.Response(status, json={"error": {"message": text, "code": code}})


async def test_listed_model_costs_no_token():
    finding = await check(models("gpt-4o", "gpt-6-luna"))

    assert (finding.level, finding.message) == (
        Level.OK,
        f"gpt-6-luna at {OPENAI}",
    )


async def test_model_that_is_not_listed_may_still_answer():
    """Ollama lists llama3.2:latest, and answers to llama3.2."""
    said = httpx.Response(200, json={"choices": [{}]})

    assert (await check(models("gpt-6-luna:latest"), said)).level is Level.OK


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_key(status):
    finding = await check(refused(status, "invalid_api_key"))

    assert (finding.level, finding.setting) == (Level.FAIL, "OPENAI_API_KEY")


async def test_groq_has_a_key_of_its_own():
    finding = await check(
        refused(401, "invalid_api_key"),
        base=GROQ_BASE_URL,
        OPENAI_API_KEY="",
        GROQ_API_KEY=KEY,
    )

    assert finding.setting == "GROQ_API_KEY"


@pytest.mark.parametrize(
    ("said", "level", "setting"),
    [
        (refused(404, "model_not_found"), Level.FAIL, "OPENAI_MODEL"),
        (refused(400, "model_not_found"), Level.FAIL, "OPENAI_MODEL"),
        (httpx.Response(400, text="Unsupported parameter: 'max_tokens'"), "ok", None),
        (refused(429, "insufficient_quota"), Level.FAIL, "OPENAI_API_KEY"),
        (httpx.Response(500, text="oops"), Level.FAIL, "OPENAI_BASE_URL"),
        (httpx.Response(200, text="<html>"), Level.FAIL, "OPENAI_BASE_URL"),
    ],
)
async def test_one_token_decides_where_nothing_is_listed(said, level, setting):
    """Some servers have no list of models."""
    finding = await check(httpx.Response(404, text="no such page"), said)

    assert (finding.level, finding.setting) == (level, setting)


async def test_preset_that_is_in_force_is_named():
    """Whoever has several keys in the environment wonders which one counts."""
    finding = await check(
        models("l"),
        base="http://127.0.0.1:11434/v1",
        OPENAI_API_KEY="",
        OLLAMA_MODEL="l",
        key="none",
    )

    assert finding.level is Level.OK
    assert finding.message == "l at http://127.0.0.1:11434/v1 (Ollama, by OLLAMA_MODEL)"


async def test_model_that_ollama_does_not_have_names_its_setting():
    missing = httpx.Response(404, text="model 'l' not found")
    finding = await check(
        models("m"),
        missing,
        base="http://127.0.0.1:11434/v1",
        OPENAI_API_KEY="",
        OLLAMA_MODEL="l",
        key="none",
    )

    assert (finding.level, finding.setting) == (Level.FAIL, "OLLAMA_MODEL")


async def test_openrouter_shows_its_models_to_anybody_so_the_key_is_asked_for():
    settings = Settings.load({"OPENROUTER_API_KEY": KEY})
    with respx.mock(base_url="https://openrouter.ai/api/v1") as router:
        router.get("/key").mock(return_value=refused(401, None))
        router.get("/models").mock(return_value=models("openai/gpt-6-luna"))
        async with httpx.AsyncClient() as http:
            finding = await check_model(settings, http)

    assert (finding.level, finding.setting) == (Level.FAIL, "OPENROUTER_API_KEY")


async def test_second_provider_is_checked_too():
    """Otherwise nobody would notice until the first one fails."""
    settings = Settings.load(
        {"OPENAI_API_KEY": "sk-first", "OPENAI_FALLBACK_API_KEY": KEY}
    )
    with respx.mock(base_url=OPENAI) as router:
        listed = router.get("/models").mock(return_value=refused(401, None))
        async with httpx.AsyncClient() as http:
            finding = await check_second_model(settings, http)

    assert listed.calls[0].request.headers["authorization"] == f"Bearer {KEY}"
    assert (finding.check, finding.level) == ("second model", Level.FAIL)
    assert finding.setting == "OPENAI_FALLBACK_API_KEY"


async def test_without_a_second_provider_there_is_nothing_to_check():
    async with httpx.AsyncClient() as http:
        assert await check_second_model(Settings.load({}), http) is None


async def test_custom_responder_is_not_reached():
    """Only the operator knows what is behind it."""
    async with httpx.AsyncClient() as http:
        finding = await check_model(Settings.load({}), http)

    assert finding.level is Level.OK
