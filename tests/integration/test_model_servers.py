"""What model servers do, and what the contact, agents and the operator see of it.

One row for each behaviour. The service runs whole, and the model's server is played.
"""

import json
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from test_chat import begin, messages, say
from test_webhook import serving

from chatwoot_bot.core.window import tokens
from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.doctor.model import check_model
from chatwoot_bot.http import make_client
from chatwoot_bot.settings import Settings
from chatwoot_bot.simulator.llm import ModelStandIn, echo

pytestmark = pytest.mark.anyio

ASKED = "Where is my very private parcel?"
ANSWER = f"Answer to: {ASKED}"
LONG = "All of it is about one green lamp. " * 40
BOT, FAILED, CALLED = "default", "model_failed", "model_asked"
HANDED_OVER = "passing you on to a colleague"


def openai(message, **fields):
    error = {"message": message, "type": "invalid_request_error", "param": None}
    return {"error": error | {"code": None} | fields}


def refusing(status, body, when):
    """Refuse the requests that *when* is true of."""
    return lambda request: (status, body) if when(request) else None


def sends(name):
    return lambda request: name in request


def in_a_row(request):
    roles = [each["role"] for each in request["messages"]]
    return any(a == b for a, b in pairwise(roles))


def longer_than(limit):
    return lambda request: tokens(json.dumps(request["messages"])) > limit


def always(request):
    return True


def by_a_word(messages):
    """A model that does as it is told when it has no tools."""
    if "CALL_A_COLLEAGUE" in messages[0]["content"]:
        return "CALL_A_COLLEAGUE: The parcel is lost."
    return "I look it up."


@dataclass(frozen=True, kw_only=True)
class Row:
    """One behaviour.

    Attributes:
        model: options of the played server.
        says: what each of the contacts writes, one after the other.
        at_once: what they write just before, without waiting.
        contact: what the last answer begins with, or holds.
        agent: why the turn came to that, as agents see it.
        doctor: how bad it is, and what it says.
        ready: what `/health/ready` shows of the model.
        log: what is logged; None for nothing about the model.
        sees: checks the requests.
    """

    model: dict
    settings: dict = field(default_factory=dict)
    says: tuple = (ASKED,)
    at_once: tuple = ()
    contacts: int = 1
    contact: str = ANSWER
    agent: str = BOT
    doctor: tuple = (Level.OK, "tools yes, usage yes")
    ready: dict = field(default_factory=dict)
    log: str | None = "asked in another form"
    sees: object = None


FINE = {"circuit": "closed", "last_error": None, "tools": "offered"}
FILTER = openai("Filtered: my very private parcel", code="content_filter")
OVERFLOW = {
    "error": {
        "code": 400,
        "type": "exceed_context_size_error",
        "message": "the request exceeds the available context size",
        "n_ctx": 600,
    }
}
NO_TOOLS = {"error": {"message": "gemma:2b does not support tools"}}
HISTORY = (LONG, LONG, LONG, ASKED)
# What the log says of a model that does not do as it should.
ABOUT_MODELS = ("another form", "refused", "exceeded", "left out", "failed", "cut off")

ROWS = {
    "roles must alternate (vLLM)": Row(
        model={
            "refuses": refusing(
                400, {"message": "Conversation roles must alternate"}, in_a_row
            )
        },
        settings={"QUIET_SECONDS": "1"},
        at_once=("Hi", "I am Ada."),
        contact=f"Answer to: Hi\n\nI am Ada.\n\n{ASKED}",
        doctor=(Level.OK, "messages of one side joined"),
        log="cause=roles",
    ),
    "roles must alternate (llama.cpp)": Row(
        model={
            "refuses": refusing(
                500, {"error": {"message": "roles must alternate"}}, in_a_row
            )
        },
        settings={"QUIET_SECONDS": "1"},
        at_once=("Hi", "I am Ada."),
        contact=f"Answer to: Hi\n\nI am Ada.\n\n{ASKED}",
        doctor=(Level.OK, "messages of one side joined"),
        log="status=500",
    ),
    "no system prompt (Gemma)": Row(
        model={
            "refuses": refusing(
                500,
                {"error": {"message": "System role not supported"}},
                lambda request: request["messages"][0]["role"] == "system",
            ),
            "reply": "Two days.",
        },
        contact="Two days.",
        doctor=(Level.OK, "system prompt as the contact's words"),
        log="cause=system",
    ),
    "tools only without reasoning (OpenAI)": Row(
        model={
            "refuses": refusing(
                400,
                openai(
                    "Function tools with reasoning_effort", param="reasoning_effort"
                ),
                lambda request: (
                    "tools" in request and request.get("reasoning_effort") != "none"
                ),
            )
        },
        doctor=(Level.OK, "reasoning_effort none"),
        log="reasoning switched off",
        sees=lambda asked: "tools" in asked[-1],
    ),
    "reasoning that cannot be switched off": Row(
        model={
            "refuses": refusing(
                400,
                openai('"m" does not support thinking'),
                sends("reasoning_effort"),
            )
        },
        settings={"OPENAI_REASONING_EFFORT": "none"},
        doctor=(Level.OK, "without reasoning_effort"),
        log="parameter left out",
    ),
    "max_tokens has another name (OpenAI)": Row(
        model={
            "refuses": refusing(
                400,
                openai("Use 'max_completion_tokens'", param="max_tokens"),
                sends("max_tokens"),
            )
        },
        doctor=(Level.OK, "max_tokens by its other name"),
        sees=lambda asked: asked[-1]["max_completion_tokens"] == 800,
        log="cause=field",
    ),
    "no stream_options (an older Azure)": Row(
        model={
            "refuses": refusing(
                400,
                openai("Unrecognized request argument supplied: stream_options"),
                sends("stream_options"),
            )
        },
        doctor=(Level.OK, "usage no, so costs are estimated"),
        log="cause=field",
    ),
    "no stream_options (a validation, 422)": Row(
        model={
            "refuses": refusing(
                422,
                {
                    "detail": [
                        {"loc": ["body", "stream_options"], "msg": "Extra inputs"}
                    ]
                },
                sends("stream_options"),
            )
        },
        doctor=(Level.OK, "without stream_options"),
        log="status=422",
    ),
    "no temperature": Row(
        model={
            "refuses": refusing(
                400,
                openai("Unsupported value", param="temperature"),
                sends("temperature"),
            )
        },
        settings={"LLM_TEMPERATURE": "0.2"},
        doctor=(Level.OK, "without temperature"),
        log="parameter left out",
    ),
    "a field of the operator's": Row(
        model={
            "refuses": refusing(
                400, openai("property 'top_k' is unsupported"), sends("top_k")
            )
        },
        settings={"LLM_EXTRA_BODY": '{"top_k": 5, "top_p": 0.9}'},
        doctor=(Level.OK, "without top_k"),
        sees=lambda asked: asked[-1]["top_p"] == 0.9,
        log="parameter left out",
    ),
    "no tools, once (Ollama)": Row(
        model={"refuses": refusing(400, NO_TOOLS, sends("tools"))},
        doctor=(Level.WARN, "tools no"),
        log="cause=tools",
    ),
    "no tools, again and again": Row(
        model={"refuses": refusing(400, NO_TOOLS, sends("tools"))},
        contacts=4,
        doctor=(Level.WARN, "tools no"),
        ready={"tools": "refused"},
        log="tools refused",
        sees=lambda asked: "tools" not in asked[-1],
    ),
    "no tools (OpenRouter, 404)": Row(
        model={
            "refuses": refusing(
                404, openai("No endpoints found that support tool use."), sends("tools")
            )
        },
        doctor=(Level.WARN, "tools no"),
        log="cause=tools",
    ),
    "no tools, and a person is needed": Row(
        model={
            "refuses": refusing(400, NO_TOOLS, sends("tools")),
            "reply": by_a_word,
        },
        contact=HANDED_OVER,
        agent=CALLED,
        doctor=(Level.WARN, "tools no"),
        log="cause=tools",
    ),
    "the context is too small": Row(
        model={"refuses": refusing(400, OVERFLOW, longer_than(1_100))},
        says=HISTORY,
        log="context exceeded",
        sees=lambda asked: "tools" in asked[-1],
    ),
    "too many tokens in a minute (Groq, 413)": Row(
        model={
            "refuses": refusing(
                413,
                openai("Request too large", type="tokens", code="rate_limit_exceeded"),
                longer_than(1_100),
            )
        },
        says=HISTORY,
        log="cause=context",
        sees=lambda asked: "tools" in asked[-1],
    ),
    "the context holds not even the prompt": Row(
        model={"refuses": refusing(400, OVERFLOW, always)},
        contact=HANDED_OVER,
        agent=FAILED,
        doctor=(Level.FAIL, "answered 400 (exceed_context_size_error)"),
        ready={"last_error": "400"},
        log="exceed_context_size_error",
    ),
    "a filter refuses the contact's words (Azure)": Row(
        model={"refuses": refusing(400, FILTER, always)},
        contact=HANDED_OVER,
        agent="model_refused",
        contacts=6,
        doctor=(Level.FAIL, "refused to answer"),
        log="model refused to answer",
    ),
    "a 400 that explains nothing": Row(
        model={"refuses": refusing(400, {}, sends("stream_options"))},
        doctor=(Level.OK, "tools yes, usage no"),
        log="cause=other",
        sees=lambda asked: "tools" in asked[-1],
    ),
    "the model calls a tool in a wrong form, once": Row(
        model={
            "refuses": (lambda rest: lambda request: rest.pop() if rest else None)(
                [(500, {"error": {"message": "Failed to parse tool call arguments"}})]
            ),
        },
        log=None,
    ),
    "empty answers": Row(
        model={"reply": ""},
        contacts=6,
        contact=HANDED_OVER,
        agent=FAILED,
        doctor=(Level.FAIL, "said nothing"),
        ready={"last_error": "empty"},
        log="the model's answer is empty",
    ),
    "an error for a few": Row(
        model={"refuses": refusing(500, {"error": {"message": "oops"}}, always)},
        contacts=4,
        contact=HANDED_OVER,
        agent=FAILED,
        doctor=(Level.FAIL, "answered 500"),
        ready={"last_error": "500"},
        log="answered 500",
    ),
    "an error for everybody": Row(
        model={"refuses": refusing(500, {"error": {"message": "oops"}}, always)},
        contacts=6,
        contact=HANDED_OVER,
        agent=FAILED,
        doctor=(Level.FAIL, "answered 500"),
        ready={"circuit": ("open", "half_open"), "last_error": "500"},
        log="answered 500",
    ),
    "a refused key": Row(
        model={"refuses": refusing(401, openai("Incorrect API key"), always)},
        contact=HANDED_OVER,
        agent=FAILED,
        doctor=(Level.FAIL, "refuses the key (401)"),
        ready={"last_error": "401"},
        log="see OPENAI_API_KEY",
    ),
    "nothing before the first word": Row(
        model={"delay_s": 30.0, "reply": "Never."},
        settings={"LLM_FIRST_TOKEN_SECONDS": "0.3"},
        contact=HANDED_OVER,
        agent=FAILED,
        doctor=(Level.FAIL, "was silent for 0.3 s"),
        ready={"last_error": "timeout"},
        log="no answer within 0.3 s",
    ),
    "a slow answer that flows": Row(
        model={"delay_s": 4.0, "reply": "word " * 39 + "end"},
        settings={"LLM_FIRST_TOKEN_SECONDS": "2", "LLM_TIMEOUT_SECONDS": "2"},
        contact="word " * 39 + "end",
        log=None,
    ),
    "one huge message": Row(
        model={},
        says=("x" * 19_000 + "y",),
        settings={"HISTORY_TOKENS": "500"},
        contact="Answer to: xxx",
        log=None,
        sees=lambda asked: len(asked[-1]["messages"][-1]["content"]) < 2_200,
    ),
}


@pytest.mark.parametrize("behaviour", ROWS)
async def test_behaviour_of_a_models_server(tmp_path, capsys, behaviour):
    row = ROWS[behaviour]
    async with ModelStandIn(**{"reply": echo} | row.model) as model:
        environ = {
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_MODEL": "stand-in",
            "LLM_FALLBACK": "handoff",
            **row.settings,
        }
        url = f"sqlite:///{tmp_path / 'store.db'}"
        async with serving(url, agent=True, **environ) as client:
            seen = [await contact(client, row) for _ in range(row.contacts)]
            ready = (await client.get("/health/ready")).json()["llm"]
            metrics = (await client.get("/metrics")).text
        logged = capsys.readouterr().out
        asked = list(model.requests)
        async with make_client() as http:
            finding = await check_model(Settings.load(environ), http)

    text, why = seen[-1]
    assert row.contact in text
    assert why == row.agent
    for name, expected in (FINE | row.ready).items():
        assert ready[name] in (expected if isinstance(expected, tuple) else (expected,))
    refused = float(ready["tools"] == "refused")
    assert f'model_tools_refused{{circuit="llm"}} {refused}' in metrics
    assert (finding.level, row.doctor[1] in finding.message) == (row.doctor[0], True)
    if row.log is not None:
        assert row.log in logged
    else:
        assert not [words for words in ABOUT_MODELS if words in logged]
    assert "private parcel" not in logged
    assert row.sees is None or row.sees(asked)


async def contact(client, row):
    """Have a contact write; return the last answer, and why it came to that."""
    conversation, visitor = await begin(client)
    for text in row.at_once:
        await say(client, conversation, visitor, text)
    for text in row.says:
        said = (await say(client, conversation, visitor, text)).json()
        news = await messages(client, conversation, visitor, after=said["id"])
        [answer] = [each for each in news["items"] if each["sender"] != "user"]
    turns = (await client.get(f"/conversations/{conversation['id']}/turns")).json()
    return answer["content"], turns["items"][0]["reason"]
