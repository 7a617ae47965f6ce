"""What a model's server sends, and what the contact and the operator see of it.

One table, one row for each behaviour; the model is a scripted one, the visitor sits in
the web chat. `docs/connect/model-servers.md` tells the same story in words. `doctor`
has no part in it: it asks a question of its own, and a form in which a model answers
now and then is not to be had by one question.
"""

from dataclasses import dataclass, field

import pytest
import structlog
from sockets import opened
from test_chat import begin, say
from test_webhook import serving

from chatwoot_bot.simulator.llm import Body, Deltas, ModelStandIn, ToolCall

pytestmark = pytest.mark.anyio

PASSED_ON = "I am passing you on"
SORRY = "I am sorry, I cannot look this up right now"
HIDDEN = "the depot is late"


def text(*pieces, **how):
    """A stream of words."""
    return Deltas(deltas=[{"content": each} for each in pieces], **how)


def calls(*pieces, **how):
    return Deltas(deltas=[{"tool_calls": [each]} for each in pieces], **how)


def whole(message, **changes):
    choice = {"index": 0, "message": {"role": "assistant"} | message}
    return Body(content={"choices": [choice | {"finish_reason": "stop"} | changes]})


def refused(code, status=400):
    error = {"message": f"The response was filtered: {HIDDEN}", "code": code}
    return Body(status=status, content={"error": error})


ESCALATION = '{"name": "escalate_to_human", "arguments": {"reason": "a refund"}}'
YES = "It costs 12 euros."
PAGE = Body(content="<html><title>Sign in</title></html>", content_type="text/html")
CUT = text("It is free. You get your money back, unless you", finish="length")
HALF = text("You get your money back, unless you", finish="length")


@dataclass(frozen=True)
class Row:
    """One behaviour.

    Attributes:
        sends: the model's answers, in turn; the last for ever.
        reads: how what the contact reads begins.
        reason: of the turn's decision.
        finish: the finish reason on record.
        asked: how often the model is asked.
        logs: events about the model in the log.
        error: the model's last one that `/health/ready` shows; the circuit is closed.
    """

    sends: list
    reads: str = YES
    reason: str = "default"
    finish: str | None = "stop"
    asked: int = 1
    logs: tuple[str, ...] = ()
    error: str | None = None


def handover(sends, reason="model_asked", finish="stop", **changes):
    return Row(sends, PASSED_ON, reason, finish, **changes)


ROWS = {
    # Thoughts.
    "thought in the text": Row(
        [text(f"<think>{HIDDEN}</think>\n", "It costs ", "12 euros.")]
    ),
    "thought cut into pieces": Row([text(*f"<think>{HIDDEN}</think>{YES}")]),
    "thought beside the text": Row(
        [Deltas(deltas=[{"reasoning_content": HIDDEN}, {"content": YES}])]
    ),
    "thought as a part": Row(
        [
            Deltas(
                deltas=[
                    {"content": [{"type": "thinking", "thinking": [HIDDEN]}]},
                    {"content": [{"type": "text", "text": YES}]},
                ]
            )
        ]
    ),
    "thought without an answer": Row([text(f"<think>{HIDDEN}"), text(YES)], asked=2),
    "thought in harmony's form": Row(
        [
            text(
                f"<|channel|>analysis<|message|>{HIDDEN}<|end|><|start|>assistant",
                f"<|channel|>final<|message|>{YES}<|return|>",
            )
        ]
    ),
    # Calls written as text.
    "call as JSON": handover([text(ESCALATION)]),
    "call as JSON, in pieces": handover([text(*ESCALATION)]),
    "call in a fence": handover([text("```json\n", ESCALATION, "\n```")]),
    "call in marks": handover([text("<tool_call>", ESCALATION, "</tool_call>")]),
    "call in lines": handover(
        [text('Function Name: escalate_to_human\nFunction Arguments:\n{"reason": "x"}')]
    ),
    "call behind words": handover([text("One moment. ", f"<tool_call>{ESCALATION}")]),
    "call of an unknown tool": Row(
        [text('{"name": "order_status", "arguments": {"id": 7}}'), text(YES)], asked=2
    ),
    # Debris.
    "empty tools": Row([text("<tools></tools>\n", YES)]),
    "only empty tools": Row([text("<tools></tools>"), text(YES)], asked=2),
    "made up result": Row([text(f"<tool_response>{HIDDEN}</tool_response>", YES)]),
    "special tokens": Row([text("<|im_start|>assistant\n", YES, "<|im_end|>")]),
    "the contact's next message": Row(
        [text(YES, "<|im_end|>\n<|im_start|>user\n", HIDDEN)]
    ),
    # Structured calls.
    "call": handover(
        [ToolCall(name="escalate_to_human", arguments={"reason": "x"})],
        finish="tool_calls",
    ),
    "call cut off": handover(
        [
            calls(
                {
                    "index": 0,
                    "id": "a",
                    "function": {"name": "escalate_to_human", "arguments": '{"rea'},
                },
                finish="length",
            )
        ],
        finish="length",
    ),
    "arguments as an object": handover(
        [calls({"function": {"name": "escalate_to_human", "arguments": {}}})]
    ),
    # How the answer ends.
    "cut off, then shorter": Row([HALF, text(YES)], asked=2, logs=("answer cut off",)),
    "cut off twice": Row(
        [CUT], "It is free.", finish="length", asked=2, logs=("answer cut off",) * 2
    ),
    "cut off in the first sentence": Row(
        [HALF],
        SORRY,
        "model_failed",
        "length",
        asked=2,
        logs=("answer cut off", "answer cut off", "model failed"),
        error="cut_off",
    ),
    "thought to the limit": Row(
        [text(f"<think>{HIDDEN}", finish="length"), text(YES)],
        asked=2,
        logs=("answer cut off",),
    ),
    "filtered while it was written": handover(
        [text("To stop the process, first open the", finish="content_filter")],
        reason="guardrail",
        finish="content_filter",
        logs=("model refused to answer",),
    ),
    "Gemini's safety": handover(
        [text("", finish="SAFETY")],
        reason="guardrail",
        finish="safety",
        logs=("model refused to answer",),
    ),
    "refusal": handover(
        [Deltas(deltas=[{"refusal": "I cannot help "}, {"refusal": "with that."}])],
        reason="model_refused",
        logs=("model refused to answer",),
    ),
    "question filtered": handover(
        [refused("content_filter")],
        reason="model_refused",
        finish=None,
        logs=("model refused to answer",),
    ),
    "error at the end": Row([text("It costs", finish="error"), text(YES)], asked=2),
    "errors only": Row(
        [text("It costs", finish="error")],
        SORRY,
        "model_failed",
        "error",
        asked=3,
        logs=("model failed",),
        error="broken_off",
    ),
    "stream that just ends": Row(
        [text("It costs", finish=None, done=False), text(YES)], asked=2
    ),
    "no finish reason": Row([text(YES, finish=None)], finish=None),
    "no [DONE]": Row([text(YES, done=False)]),
    # No stream.
    "plain JSON": Row([whole({"content": YES})]),
    "plain JSON with a thought": Row(
        [whole({"content": f"<think>{HIDDEN}</think>{YES}"})]
    ),
    "plain JSON with a call": handover(
        [
            whole(
                {
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "a",
                            "type": "function",
                            "function": {
                                "name": "escalate_to_human",
                                "arguments": "{}",
                            },
                        }
                    ],
                },
                finish_reason="tool_calls",
            )
        ],
        finish="tool_calls",
    ),
    "plain JSON with a refusal": handover(
        [whole({"content": None, "refusal": "No."})],
        reason="model_refused",
        logs=("model refused to answer",),
    ),
    "page": Row(
        [PAGE],
        SORRY,
        "model_failed",
        None,
        asked=3,
        logs=("model failed",),
        error="not_a_model_server",
    ),
    "page for a moment": Row([PAGE, text(YES)], asked=2),
}
# What the log says of models, and of nothing else.
ABOUT_MODELS = ("model", "answer", "the model")


class Script:
    """Plays a row's answers."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = 0

    def __call__(self, _messages):
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


@dataclass
class Seen:
    """What became of one message.

    Attributes:
        shown: what the visitor saw of an answer while it was written, at any time.
        left: what of that stood in the end.
    """

    text: str
    shown: str
    left: str
    turn: dict
    logs: list = field(default_factory=list)


async def asked(client):
    """Have a visitor ask, and get an answer."""
    conversation, visitor = await begin(client)
    path = f"/ws/conversations/{conversation['id']}?token={conversation['token']}"
    async with opened(client, path) as wire:
        await say(client, conversation, visitor, "What does it cost?")
        answer = await wire.next("NEW_MESSAGE")
        while answer["sender"] != "ai":
            answer = await wire.next("NEW_MESSAGE")
    turns = await client.get(f"/conversations/{conversation['id']}/turns")
    shown = left = ""
    for event in wire.events:
        if event["event"] == "REPLY_DROPPED":
            left = ""
        if event["event"] == "REPLY_CHUNK":
            shown, left = shown + event["body"]["text"], left + event["body"]["text"]
    return Seen(answer["content"], shown, left, turns.json()["items"][0])


@pytest.fixture
async def model():
    async with ModelStandIn() as model:
        yield model


@pytest.fixture
async def client(tmp_path, model):
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": "stand-in"}
    async with serving(url, **settings) as client:
        yield client


@pytest.mark.parametrize("name", ROWS)
async def test_answer(client, model, name):
    row = ROWS[name]
    model.reply = script = Script(row.sends)
    with structlog.testing.capture_logs() as logs:
        seen = await asked(client)
    ready = (await client.get("/health/ready")).json()["llm"]

    assert (ready["circuit"], ready["last_error"]) == ("closed", row.error)
    assert seen.text.startswith(row.reads)
    assert seen.text == row.reads or row.reads in (PASSED_ON, SORRY)
    assert seen.text.startswith(seen.left.strip()) or row.reads in (PASSED_ON, SORRY)
    assert (seen.turn["reason"], seen.turn["finish_reason"]) == (row.reason, row.finish)
    assert script.asked == row.asked
    events = [each["event"] for each in logs]
    assert tuple(e for e in events if e.startswith(ABOUT_MODELS)) == row.logs
    # Neither to the contact nor to the log.
    assert HIDDEN not in f"{seen.text}{seen.shown}{logs}"
    for debris in ("<", "|", "{", "Function Name"):
        assert debris not in seen.shown


async def test_page_is_named_as_such(client, model):
    """The address is wrong by one word mostly; the operator learns which it is."""
    model.reply = PAGE
    with structlog.testing.capture_logs() as logs:
        await asked(client)

    [failed] = [each for each in logs if each["event"] == "model failed"]
    assert failed["error"] == "not a Chat Completions server; check the base URL"


async def test_thought_that_is_only_closed_is_withdrawn_and_then_known(client, model):
    model.delay_s = 0.3
    model.reply = text(*["Hm, hm. "] * 5, "</think>", "\n\n", YES)
    first, second = await asked(client), await asked(client)

    assert (first.text, second.text) == (YES, YES)
    assert YES.startswith(first.left.strip())
    assert YES.startswith(second.shown.strip())


async def test_model_is_asked_for_a_shorter_answer(client, model):
    model.reply = Script([CUT, text(YES)])
    await asked(client)

    before, after = (request["messages"] for request in model.requests)
    assert after[1:] == before[1:]
    assert after[0]["content"].startswith(before[0]["content"])
    assert "at most three short sentences" in after[0]["content"]


async def test_refusals_do_not_take_the_model_from_others(client, model):
    """One visitor may ask for what no model answers, as often as they like."""
    model.reply = refused("content_filter")
    for _ in range(6):
        assert (await asked(client)).turn["reason"] == "model_refused"
    model.reply = YES

    assert (await asked(client)).text == YES
    ready = (await client.get("/health/ready")).json()
    assert ready["llm"]["circuit"] == "closed"
    assert ready["llm"]["last_error"] is None


OWN = """
from langchain_core.messages import AIMessage
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph

SAID = {said!r}


class Own:
    async def respond(self, assignment, listener=None):
        for piece in SAID:
            listener.hear(piece)
        return "".join(SAID)


def answer(state):
    for piece in SAID:
        get_stream_writer()(piece)
    return {{"messages": [AIMessage("".join(SAID))]}}


graph = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer")
"""


@pytest.mark.parametrize(
    ("said", "reads"),
    [
        (["<thi", f"nk>{HIDDEN}</think>", YES, "<|im_end|>"], YES),
        (["{", ESCALATION[1:]], SORRY),  # nothing runs it, so it is no answer
    ],
)
@pytest.mark.parametrize("responder", ["{0}:Own", "langgraph:{0}:graph"])
async def test_whoever_answers_only_the_answer_is_sent(
    tmp_path, monkeypatch, responder, said, reads
):
    """An operator's own responder passes on what its model writes, too."""
    name = f"own_{abs(hash((responder, *said)))}"
    (tmp_path / f"{name}.py").write_text(OWN.format(said=said))
    monkeypatch.syspath_prepend(tmp_path)
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    async with serving(url, RESPONDER=responder.format(name)) as client:
        seen = await asked(client)

    assert seen.text.startswith(reads)
    assert HIDDEN not in seen.shown
    assert "{" not in seen.shown


LOOK = {"index": 0, "id": "a", "function": {"name": "look", "arguments": "{}"}}
THINKING = Deltas(
    deltas=[
        {"reasoning_content": "Hm, "},
        {"reasoning_content": HIDDEN},
        {"tool_calls": [LOOK]},
    ],
    finish="tool_calls",
)


@pytest.mark.parametrize("wants_it", [True, False])
async def test_thought_before_a_call_goes_back_unless_it_is_refused(
    client, model, wants_it
):
    """DeepSeek refuses a call without its thought; a strict server the field itself."""

    def reply(messages):
        calling = [each for each in messages if each.get("tool_calls")]
        if not calling:
            return THINKING
        if ("reasoning_content" in calling[0]) != wants_it:
            return Body(status=400, content={"error": {"message": "Bad message."}})
        return text(YES)

    model.reply = reply
    seen = await asked(client)

    assert seen.text == YES
    assert HIDDEN not in seen.shown
    [called] = [m for m in model.requests[1]["messages"] if m.get("tool_calls")]
    assert called["reasoning_content"] == f"Hm, {HIDDEN}"
    # Refused without a reason it is asked plainer first, and then without the thought.
    assert len(model.requests) == (2 if wants_it else 4)
