"""The model stand-in: streams, plain answers, failures, and who hung up."""

import json
import time

import httpx
import pytest

from chatwoot_bot.simulator import ModelStandIn, ToolCall

pytestmark = pytest.mark.anyio

ASK = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": [{"type": "text", "text": "Where is it?"}]},
    ],
}


@pytest.fixture
async def model():
    async with ModelStandIn() as model:
        yield model


@pytest.fixture
async def client(model):
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


async def ask(model, client, **changes):
    return await client.post(f"{model.base_url}/chat/completions", json=ASK | changes)


def chunks(answer):
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def text_of(parts):
    deltas = [part["choices"][0]["delta"] for part in parts if part["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


async def test_plain_answer(model, client):
    """The last thing the user said, parts included."""
    body = (await ask(model, client)).json()

    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "Answer to: Where is it?"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
    }


@pytest.mark.parametrize(
    "reply", ["Yes.", "", "a  b\n\nc ", "word " * 500, " lead", "`{{x}}`"]
)
async def test_stream_adds_up_to_the_reply(model, client, reply):
    """Spaces and line breaks included."""
    model.reply = reply

    answer = await ask(model, client, stream=True)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert text_of(chunks(answer)) == reply
    assert "usage" not in chunks(answer)[-1]


async def test_usage_comes_last_when_asked_for(model, client):
    """In a chunk without choices, as OpenAI sends it."""
    answer = await ask(
        model, client, stream=True, stream_options={"include_usage": True}
    )

    last = chunks(answer)[-1]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 12)
    assert chunks(answer)[-2]["choices"][0]["finish_reason"] == "stop"


async def test_stream_takes_its_time_but_starts_at_once(model, client):
    """A first token early, the end after the delay."""
    model.delay_s = 0.3
    began = time.monotonic()

    async with client.stream(
        "POST", f"{model.base_url}/chat/completions", json=ASK | {"stream": True}
    ) as answer:
        headers_after = time.monotonic() - began
        async for _ in answer.aiter_bytes():
            pass

    assert headers_after < 0.2
    assert time.monotonic() - began >= 0.3


async def test_reply_may_be_a_function_or_a_tool_call(model, client):
    """Scripts for handovers and bookings."""
    model.reply = lambda messages: ToolCall(
        name="escalate_to_human", arguments={"reason": messages[0]["content"]}
    )

    plain = (await ask(model, client)).json()["choices"][0]
    streamed = chunks(await ask(model, client, stream=True))

    call = plain["message"]["tool_calls"][0]["function"]
    assert plain["finish_reason"] == "tool_calls"
    assert json.loads(call["arguments"]) == {"reason": "Be brief."}
    assert streamed[1]["choices"][0]["delta"]["tool_calls"][0]["function"] == call


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_failures_are_counted_down(model, client, status):
    """The next N, then all is well."""
    model.fail(status, times=2)

    statuses = [(await ask(model, client)).status_code for _ in range(3)]

    assert statuses == [status, status, 200]
    assert (model.started, model.failed, model.finished) == (3, 2, 1)


@pytest.mark.parametrize("stream", [True, False])
async def test_client_that_hangs_up_is_counted(model, client, stream):
    """A cancelled turn must stop the model call; this is how to see it."""
    model.delay_s = 60

    with pytest.raises(httpx.ReadTimeout):
        await client.post(
            f"{model.base_url}/chat/completions",
            json=ASK | {"stream": stream},
            timeout=0.05,
        )

    await model.until(lambda: model.aborted == 1)
    assert (model.started, model.finished) == (1, 0)


async def test_timeout_is_silence(model, client):
    """Neither headers nor an error."""
    model.fail("timeout")

    with pytest.raises(httpx.ReadTimeout):
        await client.post(f"{model.base_url}/chat/completions", json=ASK, timeout=0.05)


async def test_requests_and_models_are_there_to_read(model, client):
    """`doctor` asks for the models; tests ask what was sent."""
    await ask(model, client)
    models = (await client.get(f"{model.base_url}/models")).json()

    assert model.requests == [ASK]
    assert models["data"][0]["id"] == "stand-in"
