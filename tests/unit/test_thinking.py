"""A thought stops when somebody else speaks, also one that will not."""

import asyncio
import contextlib
import gc

import pytest

from chatwoot_bot import thinking
from chatwoot_bot.chores import Chores
from chatwoot_bot.thinking import Interrupted, Thinking

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(thinking, "LET_GO_S", 0.01)


@pytest.fixture
async def complaints():
    """What asyncio would write to the log about tasks that nobody looks after."""
    heard = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: heard.append(context["message"])
    )
    return heard


async def answer():
    return "Yes."


async def test_closed_chores_leave_one_that_will_not_stop():
    stubborn = Stubborn()
    chores = Chores()
    chores.begin("c_1", stubborn.think)
    await stubborn.begun.wait()

    async with asyncio.timeout(5):
        await chores.close()

    stubborn.may_end.set()


class Stubborn:
    """Takes a cancellation for one more error."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def think(self):
        self.begun.set()
        while not self.may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.may_end.wait()
        raise ValueError("and it fails in the end")


async def test_thought_comes_to_its_end():
    assert await Thinking().think(answer(), for_s=5) == "Yes."


async def test_thought_that_takes_too_long_is_stopped():
    with pytest.raises(TimeoutError):
        await Thinking().think(asyncio.sleep(60), for_s=0.01)


async def test_who_has_no_time_left_gets_no_thought():
    with pytest.raises(TimeoutError):
        await Thinking().think(asyncio.sleep(60), for_s=-1.0)


async def test_interrupted_thought_stops_and_no_other_begins():
    thoughts = Thinking()
    asyncio.get_running_loop().call_soon(thoughts.interrupt, "agent_joined")

    with pytest.raises(Interrupted, match="agent_joined"):
        await thoughts.think(asyncio.sleep(60))
    with pytest.raises(Interrupted, match="agent_joined"):
        await thoughts.think(answer())


async def test_cancelled_turn_takes_its_thought_with_it():
    stopped = asyncio.Event()

    async def think():
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    turn = asyncio.create_task(Thinking().think(think()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    turn.cancel()

    with pytest.raises(asyncio.CancelledError):
        await turn
    assert stopped.is_set()


@pytest.mark.parametrize("how", ["too late", "interrupted", "cancelled"])
async def test_thought_that_will_not_stop_holds_nobody_up(how, complaints, capsys):
    thoughts, stubborn = Thinking(), Stubborn()
    for_s = 0.01 if how == "too late" else 60
    turn = asyncio.create_task(thoughts.think(stubborn.think(), for_s=for_s))
    await stubborn.begun.wait()
    if how == "interrupted":
        thoughts.interrupt("agent_joined")
    if how == "cancelled":
        turn.cancel()

    with pytest.raises((TimeoutError, Interrupted, asyncio.CancelledError)) as ended:
        async with asyncio.timeout(5):
            await turn

    expected = {
        "too late": TimeoutError,
        "interrupted": Interrupted,
        "cancelled": asyncio.CancelledError,
    }
    assert ended.type is expected[how]
    assert "Stubborn.think" in capsys.readouterr().out
    [left] = thinking._LEFT
    stubborn.may_end.set()
    await asyncio.wait([left])
    del left
    gc.collect()
    assert complaints == []
