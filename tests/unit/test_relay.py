"""What only passes may get lost on the way to other processes, but not its end."""

import asyncio

import pytest

from chatwoot_bot import relay
from chatwoot_bot.errors import StoreError
from chatwoot_bot.hub import Hub, Passing
from chatwoot_bot.relay import Relay

pytestmark = pytest.mark.anyio


class Database:
    """Refuses the first write."""

    def __init__(self):
        self.refused = False
        self.told = []
        self.wrote = asyncio.Event()

    async def write(self, _job, lives):
        if not self.refused:
            self.refused = True
            raise StoreError("down")
        self.told += [(live.event, live.body) for live in lives]
        self.wrote.set()


async def test_end_of_something_is_told_when_the_database_is_back(monkeypatch):
    monkeypatch.setattr(relay, "RETRY_S", 0.0)
    db, hub = Database(), Hub()
    carrier = Relay(db, hub)
    hub.attach(carrier)
    dropped = {"conversation_id": "c_1", "turn_id": "t_1"}
    hub.typing("c_1", "ai", True)
    hub.tell(Passing(event="REPLY_CHUNK", body={**dropped, "text": "Your parcel"}))
    hub.tell(Passing(event="REPLY_DROPPED", body=dropped, conversation_id="c_1"))
    hub.typing("c_1", "ai", False)
    running = asyncio.create_task(carrier.run())
    async with asyncio.timeout(10):
        await db.wrote.wait()
    running.cancel()

    assert [event for event, _ in db.told] == ["REPLY_DROPPED", "TYPING"]
    assert db.told[1][1]["typing"] is False
