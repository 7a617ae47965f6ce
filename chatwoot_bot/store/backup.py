"""The whole database in one file: a snapshot, taken beside a running service."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from ..errors import StoreError
from .engine import OWNER_ONLY, parsed_url, require_file, sqlite_file

MAX_REASON = 300
NO_PG_DUMP = (
    "a backup of PostgreSQL needs pg_dump, which is not in PATH: install PostgreSQL's "
    "client programs of the server's version or newer"
)


def back_up(url: str, file: Path) -> None:
    """Write to a file beside *file* first, so that *file* is whole or not there.

    Raises:
        StoreError: the database cannot be read, or the file cannot be written.
    """
    parsed = parsed_url(url)
    source = sqlite_file(parsed) if parsed.get_backend_name() == "sqlite" else None
    if source is not None:
        require_file(str(source))
        _written(file, lambda part: _copy_sqlite(source, part))
    else:
        _written(file, lambda part: _dump_postgres(parsed, part))


def _written(file: Path, write: Callable[[Path], None]) -> None:
    if file.exists():
        raise StoreError(f"{file} exists; name a new file")
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY))
        try:
            write(part)
            with part.open("rb+") as written:
                os.fsync(written.fileno())
            part.rename(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror}") from error


def _copy_sqlite(source: Path, part: Path) -> None:
    """Copy one snapshot; the service goes on writing.

    Raises:
        StoreError: SQLite cannot read the one or write the other.
    """
    uri = f"{source.absolute().as_uri()}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(uri, uri=True)) as database,
            closing(sqlite3.connect(part)) as copy,
        ):
            # In one step: several would begin again after each write of the service.
            database.backup(copy)
            # One file, without a -wal beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
            [sound] = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{type(error).__name__}: {error}") from error
    if sound != "ok":
        raise StoreError("the database is damaged: PRAGMA quick_check fails on it")


def _dump_postgres(url: sa.URL, part: Path) -> None:
    """Have pg_dump write an archive of one snapshot.

    Raises:
        StoreError: pg_dump is not installed, or fails.
    """
    pg_dump = shutil.which("pg_dump")
    if pg_dump is None:
        raise StoreError(NO_PG_DUMP)
    # The list of processes shows arguments to every user of the machine.
    named = url.set(drivername="postgresql", password=None)
    environ = dict(os.environ)
    if url.password:
        environ["PGPASSWORD"] = str(url.password)
    ended = subprocess.run(  # noqa: S603 - no shell, and no word of a stranger
        [
            pg_dump,
            "--format=custom",
            "--no-password",
            f"--file={part}",
            f"--dbname={named.render_as_string(hide_password=False)}",
        ],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise StoreError(" ".join(ended.stderr.split())[:MAX_REASON])
