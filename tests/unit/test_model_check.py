"""What the answers of a model's server mean to the doctor."""

import json

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


def answered(text="ok", usage=None):
    """The model's answer, as it is streamed."""
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks = [{"choices": [delta]}, {"choices": [end]}]
    if usage is not None:
        chunks.append({"choices": [], "usage": usage})
    lines = [f"data: {json.dumps(each)}\n\n" for each in chunks]
    return httpx.Response(
        200,
        headers={"content-type": "text/event-stream"},
        text="".join([*lines, "data: [DONE]\n\n"]),
    )


USAGE = {"prompt_tokens": 90, "completion_tokens": 1, "total_tokens": 91}
NO_PAGE = httpx.Response(404, text="no such page")


async def check(models, said=None, base=OPENAI, key=KEY, props=NO_PAGE, **environ):
    """Ask a server that answers so; return the finding."""
    settings = Settings.load({"OPENAI_API_KEY": KEY, **environ})
    with respx.mock(base_url=base, assert_all_called=False) as router:
        router.get("/models").mock(return_value=models)
        how = "side_effect" if callable(said) else "return_value"
        router.post("/chat/completions").mock(**{how: said or answered(usage=USAGE)})
        router.get(base.removesuffix("/v1") + "/props").mock(return_value=props)
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


SHOWN = f"gpt-6-luna at {OPENAI}: "
FINE = "tools yes, usage yes, context not told, first word after 0."


async def test_one_question_shows_what_the_model_can_do():
    finding = await check(models("gpt-6-sol", "gpt-6-luna"))

    assert finding.level is Level.OK
    assert finding.message.startswith(SHOWN + FINE)


async def test_question_is_of_the_form_that_contacts_bring_about():
    """Streamed, with a tool, a system prompt and two messages in a row."""
    asked = []

    def answer(request):
        asked.append(json.loads(request.content))
        return answered(usage=USAGE)

    await check(models("gpt-6-luna"), answer)

    [body] = asked
    roles = [each["role"] for each in body["messages"]]
    assert roles == ["system", "user", "user"]
    assert (body["stream"], len(body["tools"])) == (True, 1)


async def test_model_that_is_not_listed_may_still_answer():
    """Ollama lists llama3.2:latest, and answers to llama3.2."""
    assert (await check(models("gpt-6-luna:latest"))).level is Level.OK


def without(field, status=400):
    """A server that does not take *field*."""

    def answer(request):
        if field in json.loads(request.content):
            error = {"message": f"{field} are not supported", "type": "invalid"}
            return httpx.Response(status, json={"error": error})
        return answered()

    return answer


async def test_model_without_tools_is_warned_of():
    """Each answer would come, and none would be looked up."""
    finding = await check(models("gpt-6-luna"), without("tools"))

    assert (finding.level, finding.setting) == (Level.WARN, "OPENAI_MODEL")
    assert "tools no, usage no, so costs are estimated" in finding.message
    assert "--enable-auto-tool-choice" in finding.mend


async def test_what_had_to_be_left_out_is_told():
    finding = await check(models("gpt-6-luna"), without("stream_options", 422))

    assert finding.level is Level.OK
    assert finding.message.endswith(", without stream_options")


LLAMA = "http://127.0.0.1:8080/v1"


async def own(props=NO_PAGE, listed=None, **environ):
    """Check a server of the operator's own."""
    environ |= {"OPENAI_BASE_URL": LLAMA, "OPENAI_MODEL": "q"}
    return await check(listed or models("q"), base=LLAMA, props=props, **environ)


async def test_slots_of_the_server_are_proposed_as_limit():
    props = {"total_slots": 2, "default_generation_settings": {"n_ctx": 16_384}}
    finding = await own(httpx.Response(200, json=props))

    assert (finding.level, finding.setting) == (Level.WARN, "LLM_CONCURRENT_REQUESTS")
    assert "set LLM_CONCURRENT_REQUESTS to 2" in finding.mend
    assert "context 16384 tokens" in finding.message

    fine = await own(httpx.Response(200, json=props), LLM_CONCURRENT_REQUESTS="2")

    assert fine.level is Level.OK


async def test_small_context_is_warned_of():
    """The history alone would fill it."""
    row = {"id": "q", "max_model_len": 4096}
    finding = await own(listed=httpx.Response(200, json={"data": [row]}))

    assert (finding.level, finding.setting) == (Level.WARN, "HISTORY_TOKENS")
    assert "context 4096 tokens" in finding.message
    assert "set HISTORY_TOKENS to 1024" in finding.mend


@pytest.mark.parametrize(
    "props", ["<html>", "[1]", '{"total_slots": "many"}', "[" * 100_000]
)
async def test_odd_facts_are_no_trouble(props):
    assert (await own(httpx.Response(200, text=props))).level is Level.OK


async def test_models_that_exist_are_named():
    """The default of a provider may have been switched off."""
    names = [f"m{number}" for number in range(9)]
    gone = refused(404, "model_not_found")
    finding = await check(models(*names), gone)

    assert (finding.level, finding.setting) == (Level.FAIL, "OPENAI_MODEL")
    assert finding.message.endswith(
        "does not know the model gpt-6-luna (there are m0, m1, m2, m3, m4, …)"
    )


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
        (refused(429, "insufficient_quota"), Level.FAIL, "OPENAI_API_KEY"),
        (httpx.Response(500, text="oops"), Level.FAIL, "OPENAI_BASE_URL"),
        (httpx.Response(200, text="<html>"), Level.FAIL, "OPENAI_BASE_URL"),
    ],
)
async def test_question_decides_where_nothing_is_listed(said, level, setting):
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
    assert finding.message.startswith(
        "l at http://127.0.0.1:11434/v1 (Ollama, by OLLAMA_MODEL): tools yes"
    )


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
