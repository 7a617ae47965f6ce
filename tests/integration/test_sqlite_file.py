"""The file of a SQLite database: who may read it, and that it can be written."""

import os
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from chatwoot_bot.doctor.database import check_database
from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.errors import StoreError
from chatwoot_bot.settings import Settings
from chatwoot_bot.store.engine import Database, make_engine

pytestmark = pytest.mark.anyio


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def make(path):
    """Make a database as the first start does."""
    database = Database(f"sqlite:///{path}")
    await database.open()
    await database.close()


async def test_only_its_owner_can_read_it(tmp_path):
    """It holds what contacts wrote, and the key that signs visitors' tokens."""
    database = Database(f"sqlite:///{tmp_path / 'bot.db'}")
    await database.open()
    during = modes(tmp_path)
    await database.close()

    names = ("bot.db", "bot.db-wal", "bot.db-shm", "bot.db.lock")
    assert during == dict.fromkeys(names, 0o600)


async def test_mode_that_somebody_chose_stays(tmp_path):
    """A backup of another user may read it."""
    path = tmp_path / "bot.db"
    await make(path)
    path.chmod(0o640)

    await make(path)

    assert modes(tmp_path)["bot.db"] == 0o640


@pytest.mark.parametrize("closed", ["bot.db", "."], ids=["file", "folder"])
async def test_what_cannot_be_written_is_named_by_start_and_doctor(
    tmp_path, monkeypatch, closed
):
    """Read-only, SQLite opens it all the same, and the first write would fail."""
    path = tmp_path / "bot.db"
    await make(path)
    refused = (tmp_path / closed).resolve()
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda each, mode: Path(each) != refused and real(each, mode)
    )
    before = modes(tmp_path)

    with pytest.raises(StoreError, match=f"cannot write {refused}. Let this user"):
        await make(path)
    finding, _ = await check_database(
        Settings.load({"DATABASE_URL": f"sqlite:///{path}"})
    )

    assert modes(tmp_path) == before
    assert (finding.level, finding.setting) == (Level.FAIL, "DATABASE_URL")
    assert f"cannot write {refused}" in finding.message


@pytest.mark.parametrize("writes", [True, False])
def test_errors_hold_no_values(database_url, writes):
    """They are logged, and a value can be a contact's words."""
    url = sa.make_url(database_url.replace("postgresql://", "postgresql+psycopg://"))
    engine = make_engine(url, writes=writes)
    statement = sa.text("SELECT nothing FROM nowhere WHERE :said = 1")

    with pytest.raises(sa.exc.DBAPIError) as caught, engine.begin() as tx:
        tx.execute(statement, {"said": "hush"})
    engine.dispose()

    assert "hush" not in str(caught.value)
