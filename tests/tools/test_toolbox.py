"""What a model may do in a turn: its calls checked, run, recorded, and not repeated."""

import asyncio
import json
from dataclasses import replace
from typing import Annotated

import pydantic
import pytest
from factories import NOW, conversation, message

from chatwoot_bot.store.effects import Entry
from chatwoot_bot.tools.base import Call, Effect, Result, Source, Tool, ToolError
from chatwoot_bot.tools.conversation import ADD_NOTE, ESCALATE, RESOLVE, set_label
from chatwoot_bot.tools.toolbox import HELD, IN_DOUBT, MAX_CALLS, TOO_MANY, Toolbox

pytestmark = pytest.mark.anyio


class Recorder:
    """The record of effects, in memory; it outlives a toolbox as a database does."""

    def __init__(self):
        self.entries = {}
        self.is_held = False

    async def read(self):
        return list(self.entries.values())

    async def begin(self, name, arguments):
        if self.is_held:
            return None
        key = f"e_{len(self.entries)}"
        entry = Entry(key=key, name=name, arguments=arguments)
        self.entries[key] = entry
        return entry

    async def done(self, entry, result):
        text = pydantic.TypeAdapter(Result).dump_json(result).decode()
        self.entries[entry.key] = replace(entry, result=text)
        return self.entries[entry.key]

    async def undone(self, entry):
        del self.entries[entry.key]


class Order(pydantic.BaseModel):
    item: str
    count: Annotated[int, pydantic.Field(gt=0)] = 1


class Shop:
    """A tool, and what it was asked to do."""

    def __init__(self, effect=Effect.ONCE, result=None, error=None, **changes):
        self.calls = []
        self.error = error
        self.gate = None
        self.begun = asyncio.Event()
        self.result = result or Result(text="Ordered.")
        self.tool = Tool(
            name="order",
            description="Order something.",
            arguments=Order,
            run=self.run,
            effect=effect,
            **changes,
        )

    async def run(self, given, call: Call):
        self.calls.append((given.item, call.key))
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.result


async def toolbox(*tools, recorder=None):
    box = Toolbox(
        tools,
        recorder or Recorder(),
        conversation=conversation(),
        transcript=[message("Tea, please.")],
        now=NOW,
    )
    await box.open()
    return box


TEA = '{"item": "tea"}'


# What a call tells the model, and leaves on record.


async def test_result_is_told_and_on_record():
    shop = Shop(Effect.NONE)
    box = await toolbox(shop.tool)

    assert await box.call("order", TEA) == "Ordered."
    [record] = box.calls
    assert record.pop("ms") >= 0
    assert record == {
        "name": "order",
        "arguments": {"item": "tea"},
        "result": "Ordered.",
        "ok": True,
    }


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("buy", TEA, "There is no such tool. There are: order."),
        ("order", "{}", "The arguments do not fit. item: Field required"),
        ("order", "", "The arguments do not fit. item: Field required"),
        ("order", '{"item": "tea", "count": 0}', "greater than 0"),
        ("order", "{", "Invalid JSON"),
        ("order", "[" * 5_000, "Invalid JSON"),
        ("order", "[]", "The arguments do not fit."),
    ],
)
async def test_call_that_does_not_fit_is_told_why(name, arguments, told):
    """The model mends it, or does without."""
    shop = Shop()
    box = await toolbox(shop.tool)

    assert told in await box.call(name, arguments)
    assert not shop.calls
    assert [record["ok"] for record in box.calls] == [False]


class Parcel(pydantic.BaseModel):
    number: str


class Look(pydantic.BaseModel):
    order: Annotated[str, pydantic.Field(pattern="[0-9R]")]
    note: str | None = None
    tags: list[str] = []
    parcel: Parcel | None = None
    count: int = 1
    either: int | str = ""


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"order": 1234}', {"order": "1234"}),
        ('{"order": 12.50}', {"order": "12.5"}),
        ('{"order": 12345678901234567890}', {"order": "12345678901234567890"}),
        ('{"order": "R-1", "note": 7}', {"note": "7"}),
        ('{"order": 1, "tags": ["a", 2]}', {"order": "1", "tags": ["a", "2"]}),
        ('{"order": 1, "parcel": {"number": 5}}', {"parcel": Parcel(number="5")}),
        ('{"order": 1, "count": 3, "either": 4}', {"count": 3, "either": 4}),
    ],
)
async def test_number_for_a_text_is_taken_as_one(arguments, given):
    """A small model gives up when it is told to write the number as a text."""
    seen = []

    async def look(arguments, call):
        seen.append(arguments)
        return Result(text="Found.")

    tool = Tool(name="look", description="Look.", arguments=Look, run=look)
    box = await toolbox(tool)

    assert await box.call("look", arguments) == "Found."
    assert {name: getattr(seen[0], name) for name in given} == given


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"order": true}', "order: Input should be a valid string"),
        ('{"order": [1]}', "order: Input should be a valid string"),
        ('{"order": 1, "count": "x"}', "count: Input should be a valid integer"),
        ('{"order": 99, "tags": 5}', "tags: Input should be a valid array"),
        ('{"order": ' + "9" * 400 + "}", "order: Input should be a valid string"),
        ('{"order": ' + "9" * 5_000 + "}", "The arguments do not fit."),
        ('{"order": -5.5e400}', "order: "),
    ],
)
async def test_what_no_number_makes_fit_is_told(arguments, told):
    tool = Tool(name="look", description="Look.", arguments=Look, run=None)
    box = await toolbox(tool)

    assert told in await box.call("look", arguments)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ToolError("Tea is sold out."), "Tea is sold out."),
        (KeyError("ann@example.com"), "It failed (KeyError)."),
    ],
)
async def test_tool_that_fails_is_told_to_the_model(error, told, capsys):
    """And a bug's own words stay out of the prompt and the log."""
    box = await toolbox(Shop(Effect.NONE, error=error).tool)

    assert await box.call("order", TEA) == told
    assert "ann@example.com" not in capsys.readouterr().out


@pytest.mark.parametrize("item", ["half \\ud83d", "nothing \\u0000"])
async def test_what_no_database_takes_is_not_called_with(item):
    """Half an emoji must not cost the whole answer when the turn is recorded."""
    shop = Shop()
    box = await toolbox(shop.tool)

    assert await box.call("order", f'{{"item": "{item}"}}') == "Ordered."
    [(said, _)] = shop.calls
    assert said.endswith("\ufffd")
    json.dumps(box.calls, ensure_ascii=False).encode()


async def test_tool_that_takes_too_long_is_stopped():
    shop = Shop(Effect.NONE, timeout_s=0.01)
    shop.gate = asyncio.Event()
    box = await toolbox(shop.tool)

    assert await box.call("order", TEA) == "It took longer than 0.01 s."


async def test_model_that_calls_without_end_is_stopped():
    shop = Shop(Effect.NONE)
    box = await toolbox(shop.tool)

    told = [await box.call("order", TEA) for _ in range(MAX_CALLS + 2)]

    assert told[MAX_CALLS - 1 :] == ["Ordered.", TOO_MANY, TOO_MANY]
    assert len(shop.calls) == MAX_CALLS


# Once, whatever happens.


async def test_equal_calls_are_one():
    """Also where the model makes them at once, and spells them differently."""
    shop = Shop()
    box = await toolbox(shop.tool)

    told = await asyncio.gather(
        box.call("order", TEA), box.call("order", '{"count":1, "item":"tea"}')
    )
    told.append(await box.call("order", TEA))

    assert told == ["Ordered."] * 3
    assert len(shop.calls) == 1


async def test_two_different_orders_are_two():
    shop = Shop()
    box = await toolbox(shop.tool)

    await box.call("order", TEA)
    await box.call("order", '{"item": "milk"}')

    assert [item for item, _ in shop.calls] == ["tea", "milk"]


async def test_two_orders_at_once_are_two():
    shop = Shop()
    box = await toolbox(shop.tool)

    told = await asyncio.gather(
        box.call("order", TEA), box.call("order", '{"item": "milk"}')
    )

    assert told == ["Ordered."] * 2


async def test_next_attempt_knows_what_was_done():
    """Its model is told, and the same call again is answered from the record."""
    recorder, shop = Recorder(), Shop(result=Result(text="Ordered.", labels=("tea",)))
    first = await toolbox(shop.tool, recorder=recorder)
    await first.call("order", TEA)

    second = await toolbox(shop.tool, recorder=recorder)

    [(entry, told)] = second.history()
    assert (entry.name, json.loads(entry.arguments)["item"]) == ("order", "tea")
    assert told == "Ordered."
    assert second.labels == ["tea"]
    assert await second.call("order", TEA) == "Ordered."
    assert len(shop.calls) == 1


async def interrupted(effect):
    """A process that died while its tool was at work; the record that it left."""
    recorder, shop = Recorder(), Shop(effect)
    shop.gate = asyncio.Event()
    box = await toolbox(shop.tool, recorder=recorder)
    call = asyncio.create_task(box.call("order", TEA))
    await shop.begun.wait()
    # Its record is read as the next process finds it.
    left = Recorder()
    left.entries = dict(recorder.entries)
    shop.gate.set()
    await call
    return left, shop


@pytest.mark.parametrize("arguments", [TEA, '{"item": "tea", "count": 2}'])
async def test_effect_in_doubt_is_not_repeated(arguments):
    """Not in other words either: nobody knows whether the tea is on its way."""
    left, shop = await interrupted(Effect.ONCE)
    box = await toolbox(shop.tool, recorder=left)

    assert [told for _, told in box.history()] == [IN_DOUBT]
    assert await box.call("order", arguments) == IN_DOUBT
    assert len(shop.calls) == 1


async def test_tool_that_knows_its_keys_is_asked_again_with_the_same():
    left, shop = await interrupted(Effect.KEYED)
    box = await toolbox(shop.tool, recorder=left)

    assert await box.call("order", TEA) == "Ordered."
    assert shop.calls == [("tea", "e_0"), ("tea", "e_0")]


async def test_second_try_in_vain_does_not_tell_of_the_first():
    """It was refused this time, and may have been done the time before."""
    left, shop = await interrupted(Effect.KEYED)
    shop.error = ToolError("The shop is closed.")
    box = await toolbox(shop.tool, recorder=left)
    await box.call("order", TEA)
    shop.error = None

    assert await box.call("order", TEA) == "Ordered."
    assert shop.calls == [("tea", "e_0")] * 3


async def test_tool_that_could_not_may_be_asked_again():
    shop = Shop(error=ToolError("The shop is closed."))
    box = await toolbox(shop.tool)
    assert await box.call("order", TEA) == "The shop is closed."

    shop.error = None

    assert await box.call("order", TEA) == "Ordered."


@pytest.mark.parametrize("error", [KeyError("x"), TimeoutError()])
async def test_effect_that_broke_off_is_in_doubt(error):
    shop = Shop(error=error)
    box = await toolbox(shop.tool)

    assert (await box.call("order", TEA)).endswith(IN_DOUBT)
    assert await box.call("order", TEA) == IN_DOUBT
    assert len(shop.calls) == 1


async def test_effect_that_has_begun_is_brought_to_its_end():
    """An agent steps in: the model stops, but nobody takes back half an order."""
    recorder, shop = Recorder(), Shop()
    shop.gate = asyncio.Event()
    box = await toolbox(shop.tool, recorder=recorder)
    call = asyncio.create_task(box.call("order", TEA))
    await shop.begun.wait()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    shop.gate.set()
    await box.wait()

    [entry] = recorder.entries.values()
    assert entry.result is not None


async def test_tool_that_only_reads_is_stopped_with_the_turn():
    shop = Shop(Effect.NONE)
    shop.gate = asyncio.Event()
    box = await toolbox(shop.tool)
    call = asyncio.create_task(box.call("order", TEA))
    await shop.begun.wait()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await box.wait()


async def test_nothing_is_changed_once_a_human_holds_the_conversation():
    recorder, shop = Recorder(), Shop()
    recorder.is_held = True
    box = await toolbox(shop.tool, recorder=recorder)

    assert await box.call("order", TEA) == HELD
    assert not shop.calls


# What takes place with the answer.


async def test_tools_of_the_conversation_take_place_with_the_answer():
    box = await toolbox(ESCALATE, RESOLVE, ADD_NOTE, set_label(["refund", "tea"]))

    await box.call("add_private_note", '{"text": " Likes tea. "}')
    await box.call("set_label", '{"label": "tea"}')
    await box.call("set_label", '{"label": "tea"}')
    await box.call("resolve_conversation", "")

    assert (box.notes, box.labels) == (["Likes tea."], ["tea"])
    assert (box.resolve, box.handover) == (True, None)


async def test_only_the_operators_labels_can_be_set():
    box = await toolbox(set_label(["refund"]))

    assert "'refund'" in await box.call("set_label", '{"label": "vip"}')
    assert box.labels == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('{"reason": "A refund."}', "A refund."),
        ("{", "it gave no reason."),
        ("", "it gave no reason."),
        ('{"reason": " "}', "it gave no reason."),
        (json.dumps({"reason": "x" * 600}), "x" * 500),
    ],
)
async def test_human_is_called_whatever_the_arguments(arguments, reason):
    """A contact who needs one does not wait for good JSON."""
    box = await toolbox(ESCALATE)

    await box.call("escalate_to_human", arguments)

    assert box.handover == reason


async def test_sources_are_named_once():
    returns = Source(title="Returns", url="https://x/returns")
    shop = Shop(Effect.NONE, result=Result(text="14 days.", sources=(returns,)))
    box = await toolbox(shop.tool)

    await box.call("order", TEA)
    await box.call("order", '{"item": "milk"}')

    assert box.sources == [returns]
