"""A server of files on a real socket, which does to a client what the world does."""

import asyncio
import contextlib
from dataclasses import dataclass, field

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(100)
OGG = b"OggS\x00\x02" + bytes(100)


def answer(status=200, body=b"", *, length=True, **headers):
    """Return a raw HTTP answer; it ends with the connection."""
    lines = [f"HTTP/1.1 {status} X", "Connection: close"]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def moved(location, status=302):
    return answer(status, location=location)


@dataclass(slots=True)
class FileServer:
    """Answers by path; use `serving`.

    Attributes:
        answers: path -> raw answers in turn, the last for ever. An item may be a
            list of pieces, between which it waits for `gate`.
        requests: what was asked: head lines as text.
        asked: set at the first request.
    """

    answers: dict[str, list[bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    serving: set[asyncio.Task] = field(default_factory=set)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self):
        return [request.split(" ")[1] for request in self.requests]

    def put(self, path, *answers):
        """Serve *answers* at *path*, and return its URL."""
        self.answers[path] = list(answers)
        return f"{self.url}{path}"

    async def serve(self, reader, writer):
        self.serving.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            self.asked.set()
            waiting = self.answers.get(head.split(" ")[1], [answer(404)])
            found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            pieces = [found] if isinstance(found, bytes) else found
            for number, piece in enumerate(pieces):
                if number:
                    await self.gate.wait()
                writer.write(piece)
                await writer.drain()
            writer.close()
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving():
    """Run a `FileServer` while the block lasts."""
    server = FileServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
        server.gate.set()
        await asyncio.gather(*server.serving)
