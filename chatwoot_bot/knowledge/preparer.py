"""Prepare documents in a process of its own; see `prepare.py`."""

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from typing import Any, Self

from ..core.chunk import Chunk
from ..errors import KnowledgeError
from .documents import MAX_CHARS, Raw
from .prepare import Prepared

# Text and terms of one line's chunks, as JSON in any script.
MAX_LINE = 2 * 1024 * 1024
# For one document.
TIMEOUT_S = 60.0
PROGRAM = (sys.executable, "-m", f"{__package__}.prepare")


class Preparer:
    """The process; it starts with the first document, and ends with the block."""

    def __init__(self) -> None:
        self._program: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Begin; nothing is started yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the process."""
        await self._stop()

    async def prepare(self, raw: Raw) -> Prepared:
        """Return what is to be stored of a document.

        Raises:
            KnowledgeError: it cannot be read; the next one may be.
        """
        if len(raw.text) > MAX_CHARS:
            raise KnowledgeError(f"it is longer than {MAX_CHARS:,} characters")
        program = await self._running()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await _ask(program, raw)
        except (TimeoutError, OSError, ValueError) as error:
            await self._stop()
            raise KnowledgeError("it takes too long to read") from error
        except asyncio.CancelledError:
            await self._stop()  # its answer would be taken for the next one's
            raise
        except EOFError as error:
            await self._stop()
            raise KnowledgeError("it is too complicated") from error

    async def _running(self) -> asyncio.subprocess.Process:
        if self._program is None:
            self._program = await asyncio.create_subprocess_exec(
                *PROGRAM,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
                # Ctrl-C is the service's business, which then ends this.
                start_new_session=True,
                env={k: v for k, v in os.environ.items() if k in ENVIRONMENT},
            )
        return self._program

    async def _stop(self) -> None:
        program, self._program = self._program, None
        if program is not None:
            with contextlib.suppress(ProcessLookupError):
                program.kill()
            await program.wait()


# What Python needs to start; a program that reads documents gets no key.
ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")


async def _ask(program: asyncio.subprocess.Process, raw: Raw) -> Prepared:
    """Have one document prepared.

    Raises:
        EOFError: the process has died of it.
        ValueError: a line of the answer is too long.
    """
    if program.stdin is None or program.stdout is None:
        raise ValueError("the process has no pipes")
    question = await asyncio.to_thread(json.dumps, dataclasses.asdict(raw))
    program.stdin.write(question.encode() + b"\n")
    await program.stdin.drain()
    said = await _line(program.stdout)
    chunks: list[Chunk] = []
    for _ in range(said.pop("lines")):
        chunks += [Chunk(**chunk) for chunk in await _line(program.stdout)]
        await asyncio.sleep(0)  # lines that are here already make nobody wait
    return Prepared(**said, chunks=tuple(chunks))


async def _line(stream: asyncio.StreamReader) -> Any:
    line = await stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return json.loads(line)
