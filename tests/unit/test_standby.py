"""The second responder: when it is asked, and what it is told."""

import pydantic
import pytest
from factories import assignment, message

from chatwoot_bot.errors import ResponderError
from chatwoot_bot.responders.base import Answer
from chatwoot_bot.responders.standby import StandbyResponder
from chatwoot_bot.store.effects import Entry
from chatwoot_bot.tools.base import Effect, Result, Tool
from chatwoot_bot.tools.conversation import ADD_NOTE, RESOLVE
from chatwoot_bot.tools.journal import _RESULT

pytestmark = pytest.mark.anyio


class Recorder:
    """Remembers effects as the database would."""

    def __init__(self):
        self.begun = 0

    async def read(self):
        return []

    async def begin(self, name, arguments):
        self.begun += 1
        return Entry(key=f"e_{self.begun}", name=name, arguments=arguments)

    async def done(self, entry, result):
        written = _RESULT.dump_json(result).decode()
        return Entry(
            key=entry.key, name=entry.name, arguments=entry.arguments, result=written
        )


class Model:
    """Makes calls, then answers or fails."""

    name = "model"

    def __init__(self, *calls, model, fails=False):
        self.calls, self.model, self.fails = calls, model, fails
        self.history = None

    async def respond(self, assignment, listener=None):
        self.history = assignment.toolbox.history()
        for name, arguments in self.calls:
            await assignment.toolbox.call(name, arguments)
        if listener is not None:
            listener.hear(self.model)
        if self.fails:
            raise ResponderError("down", retryable=True)
        return Answer(text=self.model, model=self.model)

    async def summarize(self, transcript, *, so_far=None):
        if self.fails:
            raise ResponderError("down", retryable=True)
        return self.model


class Listener:
    def __init__(self):
        self.text = ""

    def hear(self, piece):
        self.text += piece

    def forget(self):
        self.text = ""


class Orders:
    """A tool with an effect."""

    def __init__(self):
        self.done = []

    @property
    def tool(self):
        return Tool(
            name="order",
            description="Order.",
            arguments=pydantic.create_model("Order", what=(str, ...)),
            run=self.run,
            effect=Effect.ONCE,
        )

    async def run(self, given, call):
        self.done.append(given.what)
        return Result(text=f"Ordered {given.what}.", labels=("ordered",))


async def test_second_goes_on_from_what_the_first_has_done():
    orders, failures, listener = Orders(), [], Listener()
    tea, milk = ("order", '{"what": "tea"}'), ("order", '{"what": "milk"}')
    first = Model(tea, model="first", fails=True)
    second = Model(tea, milk, model="second")
    asked = assignment([message()], tools=[orders.tool], recorder=Recorder())
    standby = StandbyResponder(first, second, lambda: failures.append(1))
    answer = await standby.respond(asked, listener)

    assert answer.model == listener.text == "second"
    assert orders.done == ["tea", "milk"]
    assert [text for _, text in second.history] == ["Ordered tea."]
    assert asked.toolbox.labels == ["ordered"]
    assert failures == [1]


async def test_what_the_first_wanted_with_its_answer_goes_with_it():
    """It had no effect yet, and the second may want something else."""
    note = ("add_private_note", '{"text": "VIP"}')
    first = Model(note, ("resolve_conversation", ""), model="first", fails=True)
    second = Model(note, model="second")
    asked = assignment([message()], tools=[ADD_NOTE, RESOLVE])
    await StandbyResponder(first, second, lambda: None).respond(asked)

    assert (asked.toolbox.notes, asked.toolbox.resolve) == (["VIP"], False)


async def test_first_that_answers_is_enough():
    second = Model(model="second")
    standby = StandbyResponder(Model(model="first"), second, lambda: None)

    assert (await standby.respond(assignment())).model == "first"
    assert await standby.summarize([message()]) == "first"
    assert second.history is None


async def test_second_sums_up_too():
    first = Model(model="first", fails=True)
    standby = StandbyResponder(first, Model(model="second"), lambda: None)

    assert await standby.summarize([message()]) == "second"


async def test_when_both_fail_it_says_so():
    first, second = (Model(model=name, fails=True) for name in ("first", "second"))
    with pytest.raises(ResponderError):
        await StandbyResponder(first, second, lambda: None).respond(assignment())
