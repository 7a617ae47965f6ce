"""Streams that no document describes: of each, the contact reads the answer or nothing.

`test_model_answers` has what servers are known for. These are the accidents: pieces cut
at the worst place, fields left out, answers of another make, errors behind a 200.
"""

import asyncio
import json
from dataclasses import replace

import httpx
import pydantic
import pytest
from factories import assignment, message
from test_openai_responder import (
    DONE,
    chunk,
    http,
    network,
    responder,
    server,
    streamed,
)

from chatwoot_bot.breaker import FAILURES, Breaker
from chatwoot_bot.errors import ResponderError
from chatwoot_bot.responders.guarded import GuardedResponder
from chatwoot_bot.store.effects import Entry
from chatwoot_bot.tools.base import Effect, Tool
from chatwoot_bot.tools.conversation import ESCALATE

pytestmark = pytest.mark.anyio
__all__ = ("http", "network", "server")

YES = "It costs 12 euros."
HIDDEN = "the depot is late"
NAME = "escalate_to_human"
REASON = json.dumps({"reason": HIDDEN})
WRITTEN = json.dumps({"name": NAME, "arguments": {"reason": HIDDEN}})


def event(**fields):
    return f"data: {json.dumps(fields)}\n\n".encode()


def choice(delta=None, **fields):
    return event(choices=[{"index": 0, "delta": delta} | fields])


END = [choice({}, finish_reason="stop"), DONE]


def said(*pieces):
    """A stream of words, with a usual end."""
    return [*map(chunk, pieces), *END]


def letters(text):
    return said(*text)


def called(*pieces, finish="tool_calls"):
    calls = [choice({"tool_calls": [each]}) for each in pieces]
    return [*calls, choice({}, finish_reason=finish), DONE]


def parts(*content):
    return [*(choice({"content": each}) for each in content), *END]


class Heard:
    """A visitor who reads along.

    Attributes:
        ever: all that was ever shown.
        text: what of that stands.
    """

    def __init__(self):
        self.ever = self.text = ""

    def hear(self, piece):
        self.ever += piece
        self.text += piece

    def forget(self):
        self.text = ""


USAGE = {"prompt_tokens": 7, "completion_tokens": 2}
MESSAGE = {"index": 0, "message": {"content": YES}, "finish_reason": "stop"}
SECOND = [{"index": n, "delta": {"content": t}} for n, t in enumerate((YES, HIDDEN))]

ANSWERS = {
    # Thoughts.
    "nested": letters(f"<think>a<think>{HIDDEN}</think>{HIDDEN}</think>{YES}"),
    "names a thought": letters(f"<think>No <think> in it. {HIDDEN}</think>{YES}"),
    "in capitals": letters(f"<THINK>{HIDDEN}</THINK>{YES}"),
    "ends in two deltas": said(f"<think>{HIDDEN}</th", f"ink>{YES}"),
    "begins in three deltas": said("<", "thi", f"nk>{HIDDEN}</think>", YES),
    "with a field": said(f'<think level="1">{HIDDEN}</think>{YES}'),
    "two of them": said(f"<think>{HIDDEN}</think><think>{HIDDEN}</think>{YES}"),
    "between words": said("It costs ", f"<think>{HIDDEN}</think>", "12 euros."),
    "Gemma": letters(f"<|channel>thought\n{HIDDEN}<channel|>{YES}<turn|>"),
    "Gemma, none": letters(f"<|channel>thought\n<channel|>{YES}<turn|>\n{HIDDEN}"),
    "Command A": letters(
        f"<|START_THINKING|>{HIDDEN}<|END_THINKING|>"
        f"<|START_RESPONSE|>{YES}<|END_RESPONSE|>"
    ),
    "LongCat": letters(f"<longcat_think>{HIDDEN}</longcat_think>{YES}"),
    "beside the text": [
        choice({"reasoning": HIDDEN, "reasoning_details": [{"text": HIDDEN}]}),
        *said(YES),
    ],
    "as an object": [choice({"reasoning": {"content": HIDDEN}}), *said(YES)],
    # Deltas.
    "role alone": [choice({"role": "assistant"}), *said(YES)],
    "role each time": [
        choice({"role": "assistant", "content": "It costs "}),
        choice({"role": "assistant", "content": "12 euros."}),
        *END,
    ],
    "null content": [chunk(None), chunk("It costs "), chunk(None), *said("12 euros.")],
    "null delta": [choice(None), chunk(YES), choice(None, finish_reason="stop"), DONE],
    "no delta at the end": [
        chunk(YES),
        event(choices=[{"index": 0, "finish_reason": "stop"}]),
        DONE,
    ],
    "content as parts": parts(
        [{"type": "text", "text": "It costs "}], [{"type": "text", "text": "12 euros."}]
    ),
    "parts of another name": parts([{"type": "output_text", "text": YES}]),
    "parts of no use": parts(
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": HIDDEN}]},
            {"type": "reference", "reference_ids": [1]},
            {"type": "text", "text": YES},
        ]
    ),
    "refuses nothing": [
        choice({"content": YES, "refusal": None}),
        choice({"refusal": ""}, finish_reason="stop"),
        DONE,
    ],
    "calls nothing": [
        choice({"content": YES, "tool_calls": []}),
        choice({"tool_calls": None}, finish_reason="stop"),
        DONE,
    ],
    "two answers": [event(choices=SECOND), *END],
    # Chunks.
    "no choices yet": [event(choices=[], prompt_filter_results=[]), *said(YES)],
    "usage without choices": [*said(YES)[:-1], event(usage=USAGE), DONE],
    "usage with null choices": [
        *said(YES)[:-1],
        event(choices=None, usage=USAGE),
        DONE,
    ],
    "signs of life": [event(), b": ping\n\n", event(type="ping"), *said(YES)],
    "no error": [event(error=None, choices=[MESSAGE]), DONE],
    "no finish reason": [chunk(YES), DONE],
    "empty finish reason": [choice({"content": YES}, finish_reason=""), DONE],
    "message instead of deltas": [event(choices=[MESSAGE]), DONE],
    "carriage returns": [part.replace(b"\n", b"\r\n") for part in said(YES)],
    "events with names": [b"event: message\nid: 1\n" + part for part in said(YES)],
    "blank lines first": [b"\n", b"\n\n", *said(YES)],
    # Debris.
    "next turn": said(YES, "<|im_", "end|>", HIDDEN),
    "no tools": said("<tools>\n</tools>\n\n", YES),
    "result made up": said(f"<tool_response>\n{HIDDEN}\n</tool_response>\n", YES),
    "Gemma's result": said(f"<|tool_response>{HIDDEN}<tool_response|>", YES),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_answer_is_all_that_the_contact_reads(http, server, name):
    """At the first try, and nothing else at any time."""
    server.mock(return_value=streamed(*ANSWERS[name]))
    heard = Heard()
    answer = await responder(http).respond(assignment([message()]), heard)

    assert answer.text == YES
    assert heard.text.strip() == YES
    assert HIDDEN not in heard.ever
    assert server.call_count == 1


CALL = {"index": 0, "id": "a", "function": {"name": NAME, "arguments": "{}"}}
HERMES = f"<tool_call>\n{WRITTEN}\n</tool_call>"
INVOKED = f'<invoke name="{NAME}">\n<parameter name="reason">x</parameter>\n</invoke>'
CODER = f"<tool_call>\n<function={NAME}>\n<parameter=reason>\n{HIDDEN}"
DEEPSEEK = "<\uff5ctool▁calls▁begin\uff5c><\uff5ctool▁call▁begin\uff5c>"
LISTED = json.dumps([{"tool_name": NAME, "parameters": {"reason": "x"}}])
COHERE = f"<|START_ACTION|>{LISTED}<|END_ACTION|>"

CALLS = {
    "JSON": said(WRITTEN),
    "JSON, unfinished": letters(WRITTEN[:-6]),
    "JSON in a fence": letters(f"```json\n{WRITTEN}\n```"),
    "Hermes": letters(HERMES),
    "Hermes, unfinished": letters(HERMES[:-20]),
    "Hermes twice": letters(f"{HERMES}\n{HERMES}"),
    "Hermes behind a thought": letters(f"<think>{HIDDEN}</think>\n\n{HERMES}"),
    "Mistral": letters(f"[TOOL_CALLS][{WRITTEN}]"),
    "Mistral, unfinished": letters(f"[TOOL_CALLS][{WRITTEN[:-5]}"),
    "Mistral, since 2025": letters(f"[TOOL_CALLS]{NAME}[ARGS]{REASON}"),
    "Llama": letters(f"<|python_tag|>{WRITTEN}<|eom_id|>"),
    "Llama's function": letters(f"<function={NAME}>{REASON}</function>"),
    "Llama's function, unfinished": letters(f"<function={NAME}>{REASON[:-4]}"),
    "Llama as Python": letters(f"[{NAME}(reason='x')]"),
    "Llama as Python, unfinished": letters(f"[{NAME}(reason='x"),
    "Python without a name": letters(f"{NAME}('x')"),
    "two lines of Python": letters(f"{NAME}(reason='x')\n{NAME}(reason='y')"),
    "Qwen Coder": letters(f"{CODER}\n</parameter>\n</function>\n</tool_call>"),
    "Qwen Coder, unfinished": letters(CODER),
    "DeepSeek R1": letters(
        f"{DEEPSEEK}function<\uff5ctool▁sep\uff5c>{NAME}\n```json\n{REASON}\n```"
        "<\uff5ctool▁call▁end\uff5c><\uff5ctool▁calls▁end\uff5c>"
    ),
    "DeepSeek V3.1": letters(f"{DEEPSEEK}{NAME}<\uff5ctool▁sep\uff5c>{REASON}"),
    "Kimi": letters(
        f"<|tool_calls_section_begin|><|tool_call_begin|>functions.{NAME}:0"
        f"<|tool_call_argument_begin|>{REASON}<|tool_call_end|>"
    ),
    "harmony": letters(
        f"<|channel|>commentary to=functions.{NAME} <|constrain|>json<|message|>"
        f"{REASON}<|call|>"
    ),
    "harmony, recipient first": letters(
        f"<|start|>assistant to=functions.{NAME}<|channel|>commentary json<|message|>"
        f"{REASON}<|call|>"
    ),
    "GLM": letters(
        f"<tool_call>{NAME}\n<arg_key>reason</arg_key>\n<arg_value>x</arg_value>"
    ),
    "LongCat": letters(
        f"<longcat_tool_call>{NAME}\n<longcat_arg_key>reason</longcat_arg_key>\n"
        "<longcat_arg_value>x</longcat_arg_value></longcat_tool_call>"
    ),
    "XML": letters(f"<function_calls>\n{INVOKED}\n</function_calls>"),
    "MiniMax": letters(f"<minimax:tool_call>\n{INVOKED}\n</minimax:tool_call>"),
    "Seed": letters(f"<seed:tool_call>{INVOKED}</seed:tool_call>"),
    "Granite": letters(f"<|tool_call|>[{WRITTEN}]"),
    "LFM": letters(f"<|tool_call_start|>[{NAME}(reason='x')]<|tool_call_end|>"),
    "Gemma 4": letters(
        f'<|tool_call>call:{NAME}{{reason:<|"|>a "b"<|"|>}}<tool_call|>'
    ),
    "Gemma 4, without a reason": letters(f"<|tool_call>call:{NAME}{{}}<tool_call|>"),
    "FunctionGemma": letters(
        f"<start_function_call>call:{NAME}{{reason:<escape>x<escape>}}"
        "<end_function_call>"
    ),
    "Gemma 3": letters(f'```tool_code\n{NAME}(reason="x")\n```'),
    "Gemma 3, printed": letters(f'```tool_code\nprint({NAME}(reason="x"))\n```'),
    "Gemini": letters(f'```python\nprint(default_api.{NAME}(reason="x"))\n```'),
    "Gemini, bare": letters(f'print(default_api.{NAME}(reason="x"))'),
    "Command R": letters(f"Action: ```json\n{LISTED}\n```"),
    "Command A": letters(f"<|START_THINKING|>{HIDDEN}<|END_THINKING|>{COHERE}"),
    "ReAct": letters(f"Thought: {HIDDEN}\nAction: {NAME}\nAction Input: {REASON}"),
    "lines": letters(f"Function Name: {NAME}\nFunction Arguments:\n{REASON}"),
    # Structured.
    "null index": called(CALL | {"index": None}),
    "function later": called({"index": 0, "id": "a"}, CALL),
    "null function": called(CALL, {"index": 0, "function": None}),
    "null arguments": called(CALL | {"function": {"name": NAME, "arguments": None}}),
    "finish reason of words": called(CALL, finish="stop"),
    "no finish reason": [choice({"tool_calls": [CALL]}), DONE],
    "both ways": [chunk(HERMES), *called(CALL)],
    "the older form": [
        choice({"function_call": {"name": NAME, "arguments": ""}}),
        choice({"function_call": {"arguments": "{}"}}),
        choice({}, finish_reason="function_call"),
        DONE,
    ],
}


@pytest.mark.parametrize("name", CALLS)
async def test_call_is_made_and_never_shown(http, server, name):
    """A human is called at the first try, and the visitor sees nothing of how."""
    server.mock(return_value=streamed(*CALLS[name]))
    heard, given = Heard(), assignment([message()])
    answer = await responder(http).respond(given, heard)

    assert answer.handover is not None
    assert heard.ever.strip() == ""
    assert {call["name"] for call in given.toolbox.calls} == {NAME}
    assert server.call_count == 1


async def test_labelled_call_behind_words_is_made_and_withdrawn(http, server):
    """Only its end shows that the lines were a call; the words before it stay."""
    words = "I am getting a colleague."
    call = f"Function Name: {NAME}\nFunction Arguments:\n{REASON}"
    server.mock(return_value=streamed(*letters(f"{words}\n\n{call}")))
    heard, given = Heard(), assignment([message()])
    answer = await responder(http).respond(given, heard)

    assert answer.handover == HIDDEN
    assert heard.text == words


HONEST = [
    "A <b>bold</b> word, a <tag> and 1 < 2.",
    "Action: restart the router.",
    "First do this.\nAction: restart the router\nThen that.",
    "Thought: the lamp may be broken.",
    f"{NAME}(reason) is how I call a colleague.",
    "print(1) shows 1.",
    "Use `<think>` in your prompt.",
    "<svg:path d='x'> is an element.",
    "```python\nprint('hello')\n```",
    "[1] and [NOTE] are footnotes.",
]


@pytest.mark.parametrize("text", HONEST)
async def test_answer_about_such_things_stays(http, server, text):
    """What only looks like a mark is the contact's to read."""
    server.mock(side_effect=lambda _: streamed(*letters(text)))
    heard = Heard()
    answer = await responder(http).respond(assignment([message()]), heard)

    assert answer.text == text
    assert heard.text == text


def sent(content, kind="application/json"):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda _: httpx.Response(200, headers={"content-type": kind}, content=body)


def streams(*parts):
    return lambda _: streamed(*parts)


LATE = {"code": 502, "message": HIDDEN}
# Of the failure: its kind, and whether its words say more than that.
FAILURES_OF = {
    "error behind words": (streams(chunk("It costs"), event(error={})), "broken_off"),
    "error in the stream": (streams(chunk("It"), event(error=LATE)), "502"),
    "error at once": (streams(event(error={"message": HIDDEN})), "500"),
    "error as a sentence": (streams(event(error=HIDDEN)), "500"),
    "error as an event": (
        streams(b"event: error\n" + event(error={"message": HIDDEN})),
        "500",
    ),
    "error as JSON": (sent({"error": {"message": HIDDEN, "code": 500}}), "500"),
    "connection cut": (
        streams(chunk("It costs"), httpx.RemoteProtocolError(HIDDEN)),
        "broken_off",
    ),
    "connection reset": (streams(httpx.ReadError(HIDDEN)), "broken_off"),
    "cut in a word": (streams(chunk("It costs")[:-20]), "broken_off"),
    "nothing at all": (streams(b""), "broken_off"),
    "only the end": (streams(DONE), "empty"),
    "only a thought": (streams(choice({"reasoning_content": HIDDEN}), *END), "empty"),
    "no JSON": (streams(b"data: {not json}\n\n"), "not_understood"),
    "a list": (streams(event()[:-3] + b"[]\n\n"), "not_understood"),
    "another API": (sent({"message": {"content": HIDDEN}}), "not_a_model_server"),
    "a page as text": (sent(b"<html>hm</html>", "text/plain"), "not_a_model_server"),
    "a page of no kind": (sent(b"\n<!DOCTYPE html>", ""), "not_a_model_server"),
}


@pytest.mark.parametrize("name", FAILURES_OF)
async def test_one_visitor_cannot_open_the_circuit_by_a_stream(
    http, server, name, monkeypatch
):
    """The server has answered, though it said nothing of use; others still get in."""
    monkeypatch.setattr("chatwoot_bot.responders.openai.ATTEMPTS", 1)
    sends, kind = FAILURES_OF[name]
    server.mock(side_effect=sends)
    breaker = Breaker()
    bot = GuardedResponder(responder(http), breaker)
    for _ in range(FAILURES + 1):
        with pytest.raises(ResponderError) as caught:
            await bot.respond(assignment([message()]), Heard())

        assert (caught.value.kind, caught.value.retryable) == (kind, True)
        assert HIDDEN not in str(caught.value)

    assert breaker.is_closed
    assert server.call_count == FAILURES + 1


OVERFLOW = {
    "message": "Trying to keep more than the context length of 600 tokens",
    "code": 400,
}


async def test_overflow_that_a_stream_tells_is_mended(http, server):
    """LM Studio says it behind a 200, and the history is halved all the same."""
    answers = [b"event: error\n" + event(error=OVERFLOW), b"".join(said(YES))]
    server.mock(side_effect=lambda _: streamed(answers.pop(0)))
    history = [message("word " * 400, owed=False) for _ in range(4)]
    answer = await responder(http).respond(assignment([*history, message()]))

    sizes = [len(call.request.content) for call in server.calls]
    assert answer.text == YES
    assert sizes[1] < sizes[0]


WHOLE = {"choices": [MESSAGE]}


@pytest.mark.parametrize(
    "sends",
    [
        sent(WHOLE, "text/plain"),
        sent(WHOLE, ""),
        sent(
            b"\xef\xbb\xbf\n" + json.dumps(WHOLE).encode(), "application/octet-stream"
        ),
        sent(b"".join(said(YES)), "application/json"),
        sent(b"".join(said(YES)), "text/plain"),
    ],
    ids=["plain", "no kind", "mark of order", "stream as JSON", "stream as text"],
)
async def test_body_is_what_it_begins_as(http, server, sends):
    """Gateways name the wrong type, and the answer is there all the same."""
    server.mock(side_effect=sends)

    assert (await responder(http).respond(assignment([message()]))).text == YES


async def test_end_is_the_end_though_the_connection_stays_open(http, server):
    """A proxy that keeps the connection must not keep the contact waiting."""
    never = asyncio.Event()
    server.mock(return_value=streamed(*said(YES), never))
    async with asyncio.timeout(3):
        answer = await responder(http).respond(assignment([message()]))

    assert answer.text == YES


# What goes back with a call.

LOOK = {"index": 0, "id": "a", "function": {"name": "look", "arguments": "{}"}}
SIGNED = {"type": "reasoning.text", "index": 0, "text": "Hm, no.", "signature": "s=="}
SEALED = {"type": "reasoning.encrypted", "index": 1, "data": "AAAA"}


async def test_details_of_a_thought_go_back_with_the_call(http, server):
    """OpenRouter hands them to models that refuse a call without its signed thought."""
    thinking = [
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Hm, "}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "no."}]},
        {"reasoning_details": [{"index": 0, "signature": "s=="}]},
        {"reasoning_details": [SEALED]},
    ]
    first = [*map(choice, thinking), *called(LOOK)]
    server.side_effect = [streamed(*first), streamed(*said(YES))]
    answer = await responder(http).respond(assignment([message()]))

    assert answer.text == YES
    again = json.loads(server.calls.last.request.content)["messages"]
    [calling] = [each for each in again if each.get("tool_calls")]
    assert calling["reasoning_details"] == [SIGNED, SEALED]


async def test_details_without_end_are_not_kept(http, server):
    """A thought is never shown, so only its weight could do harm."""
    detail = [{"type": "reasoning.text", "index": 0, "text": "x" * 1_000}]
    thinking = choice({"reasoning_details": detail})
    server.side_effect = [
        streamed(*[thinking] * 1_100, *called(LOOK)),
        streamed(*said(YES)),
    ]
    answer = await responder(http).respond(assignment([message()]))

    assert answer.text == YES
    assert len(server.calls.last.request.content) < 1_010_000


class Booked:
    """An earlier attempt has booked, and was stopped."""

    async def read(self):
        given, result = {"day": "Tuesday"}, {"text": "Booked for Tuesday."}
        entry = Entry(key="k", name="book", arguments=json.dumps(given))
        return [replace(entry, result=json.dumps(result))]


class Day(pydantic.BaseModel):
    """Arguments of a booking."""

    day: str


BOOK = Tool(
    name="book", description="Book.", arguments=Day, run=None, effect=Effect.ONCE
)


def unsigned(request):
    """Refuse as Gemini does: a call of its own has a signature, this one cannot."""
    body = json.loads(request.content)
    if any(each.get("tool_calls") for each in body["messages"]):
        words = "Function call is missing a thought_signature in functionCall parts."
        return httpx.Response(400, json=[{"error": {"code": 400, "message": words}}])
    return streamed(*said(YES))


async def test_what_was_done_before_a_crash_is_told_in_words_to_who_wants_signatures(
    http, server
):
    """No call can be made up for Gemini; it still must not be done twice."""
    server.mock(side_effect=unsigned)
    given = assignment([message()], tools=(ESCALATE, BOOK), recorder=Booked())
    await given.toolbox.open()
    answer = await responder(http).respond(given)

    assert answer.text == YES
    last = json.loads(server.calls.last.request.content)
    assert "Booked for Tuesday." in last["messages"][-1]["content"]
    assert last["messages"][-1]["role"] == "user"
    assert {each["function"]["name"] for each in last["tools"]} == {NAME, "book"}
