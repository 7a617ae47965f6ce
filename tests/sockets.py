"""A WebSocket client for tests that talks to the application without a network."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

WAIT_S = 10


class Closed(Exception):
    """The service has closed the socket."""

    def __init__(self, code, reason=""):
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Wire:
    """One socket: `await wire.next("NEW_MESSAGE")`, `await wire.send(typing=True)`."""

    def __init__(self, room=0):
        self.incoming = asyncio.Queue(room)
        self.outgoing = asyncio.Queue()
        self.events = []

    async def send(self, text=None, **frame):
        data = json.dumps(frame) if text is None else text
        kind = "bytes" if isinstance(data, bytes) else "text"
        await self.outgoing.put({"type": "websocket.receive", kind: data})

    async def any(self):
        """The next event, as (name, body)."""
        async with asyncio.timeout(WAIT_S):
            message = await self.incoming.get()
        if message["type"] == "websocket.close":
            raise Closed(message.get("code", 1000), message.get("reason", ""))
        event = json.loads(message["text"])
        assert event.keys() == {"event", "body"}
        self.events.append(event)
        return event["event"], event["body"]

    async def next(self, name):
        """The body of the next event of that name; others are skipped."""
        while True:
            event, body = await self.any()
            if event == name:
                return body


@asynccontextmanager
async def opened(client, path, *, address="127.0.0.1", room=0, **headers):
    """Open a socket to the application behind *client* (an httpx client over ASGI).

    One that is refused is closed with a code: the first event raises `Closed`. Of
    what is not read, *room* events fit on the way (0: all); then sending waits.
    """
    app = client._transport.app
    parts = urlsplit(path)
    own = {k: v for k, v in client.headers.items() if k == "authorization"}
    given = {"host": "127.0.0.1", **own, **headers}
    scope = {
        "type": "websocket",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
        "client": (address, 1234),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "scheme": "ws",
        "root_path": "",
        "state": {},
    }
    wire = Wire(room)
    await wire.outgoing.put({"type": "websocket.connect"})
    task = asyncio.create_task(
        app(scope, wire.outgoing.get, wire.incoming.put), name="socket"
    )
    try:
        async with asyncio.timeout(WAIT_S):
            message = await wire.incoming.get()
        assert message["type"] == "websocket.accept", message
        yield wire
    finally:
        await wire.outgoing.put({"type": "websocket.disconnect", "code": 1005})
        async with asyncio.timeout(WAIT_S):
            await task
