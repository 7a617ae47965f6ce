"""The database behind one small door: `write`, `read` and `glance`.

Writes are committed in groups: whatever waits when a transaction begins shares it, so
that one fsync serves many events. A job is a function of the connection and may run
twice (see `_commit`), so it must not touch anything else. Reads have their own threads
and see one snapshot each.

Where a write runs: PostgreSQL answers over a socket, so a thread waits for it. SQLite
works in this process, and a second thread of Python would only take turns with the
event loop; so its statements run in the loop (0.1 ms an event) and only the commit,
which waits for the disk, has a thread. So does a `glance`; a `read` may take its time.
"""

import asyncio
import fcntl
import importlib.util
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import IO, Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog

from ..errors import BusyError, StoreError
from . import pooling
from .newest import is_newest

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

log = structlog.get_logger(__name__)

# At 1,000 durable events a second this is five seconds of work: Chatwoot's own
# timeout, after which an answer is of no use to it.
MAX_WAITING = 5_000
# Small enough that a SQLite group holds the event loop for some 5 ms at most.
GROUP = 64
READERS = 4
BUSY_TIMEOUT_S = 5
OWNER_ONLY = 0o600
NO_URL = (
    "is no URL such as postgresql://user:password@host:5432/database; write @ : / # in "
    "the password as %40 %3A %2F %23"
)


class _Job:
    """One write and who waits for it.

    With an item, `call` takes the items of every such job in the group at once.
    """

    __slots__ = ("again", "call", "error", "future", "item", "result")

    def __init__(self, call: Callable[..., Any], item: Any = None) -> None:
        self.call = call
        self.item = item
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.result: Any = None
        self.error: BaseException | None = None
        self.again = False

    def settle(self) -> None:
        if self.future.done():  # the waiter was cancelled; the write stands
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Database:
    """One SQLite file or one PostgreSQL database.

    Args:
        url: ``sqlite:///path``, ``postgresql://…`` or ``postgres://…``.
        listen_url: the same PostgreSQL without the pooler that *url* leads to.
    """

    def __init__(self, url: str, *, listen_url: str | None = None) -> None:
        self.url = sa.make_url(normal_url(url))
        self.listen_url = sa.make_url(normal_url(listen_url or url))
        self._pooled = listen_url is not None
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._running = 0
        self._writing: asyncio.Task[None] | None = None
        self._lock_file: IO[str] | None = None
        self._closing = False

    async def open(self, *, alone: bool = True) -> None:
        """Lock a SQLite file for this process, migrate, and begin to write.

        Args:
            alone: False for a short visit to the file of a running service.

        Raises:
            StoreError: the database cannot be reached or written, or another process
                has it.
        """
        self._loop = asyncio.get_running_loop()
        if self.is_sqlite:
            require_writable(self.url)
            if alone:
                self._lock_file = lock_sqlite(self.url)
            _make_private(self.url)
        self._writer = make_engine(self.url, writes=True, pooled=self._pooled)
        self._reader = make_engine(self.url, writes=False, pooled=self._pooled)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="db-read")
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="db-write")
        try:
            await self._on_disk(self._migrate)
        except StoreError:
            self._release()
            raise
        except sa.exc.SQLAlchemyError as error:
            self._release()
            raise StoreError(f"cannot open the database: {reason(error)}") from error
        self._writing = asyncio.create_task(self._write_groups(), name="db-write")

    def _migrate(self) -> None:
        if is_newest(self._writer):
            return
        # Alembic's memory would never be given back.
        from .migrations import upgrade

        upgrade(self._writer)

    async def close(self) -> None:
        """Finish what was handed in, then let go of the database."""
        if self._writing is not None:
            self._closing = True
            self._arrived.set()
            await self._writing
            self._writing = None
        self._release()

    def _release(self) -> None:
        self._pool.shutdown()
        self._disk.shutdown()
        self._reader.dispose()
        self._writer.dispose()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    @property
    def waiting(self) -> int:
        """How many writes have been handed in and not yet committed."""
        return len(self._jobs) + self._running

    def refuse_when_full(self) -> None:
        """Keep the queue bounded where work comes from outside.

        Raises:
            BusyError: too many writes wait for the disk already.
        """
        if self.waiting >= MAX_WAITING:
            raise BusyError("Too many events are waiting; try again in a few seconds.")

    async def write(
        self,
        job: Callable[Concatenate[sa.Connection, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run *job* in a transaction and return its result once it is on disk.

        Raises:
            StoreError: the transaction failed; nothing of *job* has happened.
        """
        result: R = await self._queue(_Job(lambda tx: job(tx, *args, **kwargs)))
        return result

    async def write_grouped(
        self, job: Callable[[sa.Connection, Sequence[T]], Sequence[R]], item: T
    ) -> R:
        """Run *job* once for all items that wait for it, and return this one's result.

        A statement for many rows costs a fraction of one for each.

        Args:
            job: the same object for all who want to share; returns a result per item.

        Raises:
            StoreError: the transaction failed; nothing of *item* has happened.
        """
        result: R = await self._queue(_Job(job, item))
        return result

    async def _queue(self, job: _Job) -> Any:
        if self._closing:
            raise StoreError("the database is closed")
        self._jobs.append(job)
        self._arrived.set()
        return await job.future

    async def read(
        self,
        job: Callable[Concatenate[sa.Connection, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run *job* on a snapshot of the database; it must not write.

        Raises:
            StoreError: the database did not answer.
        """
        return await self._loop.run_in_executor(
            self._pool, lambda: self._look(lambda tx: job(tx, *args, **kwargs))
        )

    async def glance(
        self,
        job: Callable[Concatenate[sa.Connection, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run *job* as `read` does; for a few rows that an index finds.

        On SQLite it holds the event loop, for less than a thread would take of it.

        Raises:
            StoreError: the database did not answer.
        """
        if self.is_sqlite:
            return self._look(lambda tx: job(tx, *args, **kwargs))
        return await self.read(job, *args, **kwargs)

    def _look(self, job: Callable[[sa.Connection], R]) -> R:
        try:
            with self._reader.begin() as tx:
                return job(tx)
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(reason(error)) from error

    async def _write_groups(self) -> None:
        """Commit group after group until `close`."""
        while not (self._closing and not self._jobs):
            await self._arrived.wait()
            self._arrived.clear()
            while self._jobs:
                size = min(len(self._jobs), GROUP)
                group = [self._jobs.popleft() for _ in range(size)]
                self._running = size
                await self._commit(group)
                self._running = 0
                for job in group:
                    job.settle()

    async def _commit(self, jobs: Sequence[_Job]) -> None:
        """Run *jobs* in one transaction; if any fails, each in its own.

        Optimistic, instead of a savepoint around each: a failing job is rare and
        two more statements for every event are not.
        """
        if await self._try(jobs) or len(jobs) == 1:
            return
        for job in jobs:
            await self._try([job])

    async def _try(self, jobs: Sequence[_Job]) -> bool:
        error: BaseException | None = None
        try:
            if self.is_sqlite:
                await self._write_here(jobs)
            else:
                await self._on_disk(lambda: self._write_there(jobs))
                return True
        except Exception as caught:  # noqa: BLE001 - it goes to whoever waits
            error = translated(caught)
        for job in jobs:
            job.error = error
        return error is None

    async def _write_here(self, jobs: Sequence[_Job]) -> None:
        with self._writer.connect() as connection:
            transaction = connection.begin()
            try:
                _perform(connection, jobs)
                await self._on_disk(transaction.commit)
            finally:
                if transaction.is_active:
                    transaction.rollback()

    def _write_there(self, jobs: Sequence[_Job]) -> None:
        """Write on PostgreSQL: what shares a statement together, the rest one by one.

        A transaction holds its rows' locks until it ends, so one over unrelated jobs
        would wait for another process in every possible order. When nobody can be
        reached, that is found out once for all of them: it takes seconds.
        """
        shared = [job for job in jobs if job.item is not None]
        groups = deque([shared] if shared else [])
        groups.extend([job] for job in jobs if job.item is None)
        while groups:
            try:
                connection = self._writer.connect()
            except sa.exc.SQLAlchemyError as error:
                for job in chain.from_iterable(groups):
                    job.error = translated(error)
                return
            with connection:
                _write_while_connected(connection, groups)

    async def _on_disk(self, call: Callable[[], None]) -> None:
        await self._loop.run_in_executor(self._disk, call)


def _write_while_connected(
    connection: sa.Connection, groups: deque[list[_Job]]
) -> None:
    """Write group after group; what is left wants another connection."""
    while groups and not connection.invalidated:
        group = groups.popleft()
        error: BaseException | None = None
        try:
            with connection.begin():
                _perform(connection, group)
        except Exception as caught:  # noqa: BLE001 - it goes to whoever waits
            error = translated(caught)
        if error is not None and group[0].item is not None and not group[0].again:
            # Each alone: one may be at fault, and where the connection was cut it
            # does no harm to write twice what shares a statement (see `accept`).
            for job in group:
                job.again = True
            groups.extendleft([job] for job in reversed(group))
            continue
        for job in group:
            job.error = error


def _perform(tx: sa.Connection, jobs: Sequence[_Job]) -> None:
    groups: dict[Callable[..., Any], list[_Job]] = {}
    for job in jobs:
        if job.item is None:
            job.result = job.call(tx)
        else:
            groups.setdefault(job.call, []).append(job)
    for call, members in groups.items():
        results = call(tx, [member.item for member in members])
        for member, result in zip(members, results, strict=True):
            member.result = result


def translated(error: BaseException) -> BaseException:
    """Return our own error for the driver's; anything else as it is."""
    if isinstance(error, sa.exc.SQLAlchemyError):
        ours = StoreError(reason(error))
        ours.__cause__ = error
        return ours
    return error


def reason(error: sa.exc.SQLAlchemyError) -> str:
    """Return what the driver said, without the statement and its values."""
    driver = getattr(error, "orig", None) or error
    # psycopg adds a DETAIL, which can hold a row with a contact's text.
    primary = getattr(getattr(driver, "diag", None), "message_primary", None)
    if primary:
        return f"{type(driver).__name__}: {primary}"
    return " ".join(f"{type(driver).__name__}: {driver}".split())[:300]


URL = sa.URL


def normal_url(url: str) -> str:
    """Return *url* with the driver SQLAlchemy needs for PostgreSQL."""
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def require_file(name: str) -> None:
    """Make sure that a SQLite file is there.

    Raises:
        StoreError: it is not.
    """
    path = Path(name).absolute()
    if not path.is_file():
        raise StoreError(
            f"there is no database at {path}: run this where the service runs, or set "
            "DATABASE_URL to the service's"
        )


def parsed_url(url: str) -> sa.URL:
    """Return *url* in its parts.

    Raises:
        ValueError: it is none, or leads to no database that is kept; nothing of it is
            in the message, because it holds a password.
    """
    try:
        parsed = sa.make_url(normal_url(url))
    except (ValueError, sa.exc.ArgumentError):
        raise ValueError(NO_URL) from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("must name a file, such as sqlite:///chatwoot_bot.db")
    # The rest of a password: it would be looked up, and shown when it is not found.
    elif "@" in f"{parsed.host}/{parsed.database}":
        raise ValueError(NO_URL)
    return parsed


def make_engine(url: sa.URL, *, writes: bool, pooled: bool = False) -> sa.Engine:
    """Make the engine for writing, or for the readers.

    Args:
        pooled: see `pooling.adapt`.
    """
    if url.get_backend_name() != "sqlite":
        require_psycopg()
        # One snapshot for a whole read, as SQLite gives by itself.
        level = "READ COMMITTED" if writes else "REPEATABLE READ"
        engine = sa.create_engine(
            url,
            isolation_level=level,
            pool_pre_ping=True,
            connect_args=pooling.LIBPQ,
            pool_size=1 if writes else READERS,
            hide_parameters=True,
        )
        pooling.adapt(engine, pooled=pooled)
        return engine
    engine = sa.create_engine(
        url,
        connect_args={"check_same_thread": False},
        pool_size=READERS,
        # Errors are logged, and a value can be a contact's words.
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    sa.event.listen(engine, "begin", lambda tx: tx.exec_driver_sql(begin))
    return engine


def require_psycopg() -> None:
    """Make sure of the driver.

    Raises:
        StoreError: it is not installed.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise StoreError(
            "PostgreSQL needs its driver: pip install 'chatwoot-bot[postgres]'"
        )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN; the driver must not
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: the commit is on the disk, not in the system's cache, before the 200.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    cursor.close()


def require_writable(url: sa.URL) -> None:
    """Make sure of a SQLite database's file, which need not exist, and its folder.

    SQLite opens what it cannot write, and fails at the first write.

    Raises:
        StoreError: one of them is not there or cannot be written.
    """
    path = sqlite_file(url)
    if path is None:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise StoreError(f"there is no folder {folder}")
    for each in (path, folder) if path.exists() else (folder,):
        if not os.access(each, os.W_OK):
            raise StoreError(
                f"cannot write {each}. Let this user write it, or name another file "
                "in DATABASE_URL"
            )


def sqlite_file(url: sa.URL) -> Path | None:
    """Return where a SQLite database lies; None in memory, or behind a URI."""
    name = url.database or ":memory:"
    return None if name.startswith((":memory:", "file:")) else Path(name)


def _make_private(url: sa.URL) -> None:
    """Make the file, if there is none, so that only its owner can read it.

    SQLite gives the same mode to what it makes beside it.

    Raises:
        StoreError: it cannot be made.
    """
    path = sqlite_file(url)
    if path is None:
        return
    try:
        # Not one that is there: to close it would drop SQLite's own locks on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error


def lock_sqlite(url: sa.URL) -> IO[str]:
    """Lock a SQLite database for this process until the returned file is closed.

    The lock goes with the process, so a killed one leaves nothing behind.

    Raises:
        StoreError: another process has it.
    """
    path = Path(f"{url.database}.lock")
    try:
        file = open(  # noqa: SIM115 - held as long as the database
            path, "a+", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)
        )
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StoreError(
            f"another process uses {url.database}. Stop it, or use PostgreSQL "
            "(DATABASE_URL=postgresql://…) to run more than one"
        ) from error
    return file
