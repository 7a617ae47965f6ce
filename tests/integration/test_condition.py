"""What doctor sees of a database, on SQLite and on PostgreSQL."""

import pytest
import sqlalchemy as sa

from chatwoot_bot.doctor.database import check_database
from chatwoot_bot.doctor.findings import Level
from chatwoot_bot.errors import StoreError
from chatwoot_bot.settings import Settings
from chatwoot_bot.store.condition import look
from chatwoot_bot.store.deliveries import Delivery, Outcome, quarantine
from chatwoot_bot.store.engine import Database, make_engine, normal_url

pytestmark = pytest.mark.anyio


async def check(url):
    finding, _ = await check_database(Settings.load({"DATABASE_URL": url}))
    return finding


def execute(url, statement):
    engine = make_engine(sa.make_url(normal_url(url)), writes=True)
    with engine.begin() as tx:
        tx.execute(sa.text(statement))
    engine.dispose()


def delivery(delivery_id, received_at):
    return Delivery(
        delivery_id=delivery_id,
        outcome=Outcome.QUARANTINED,
        reason="",
        body=b"{}",
        received_at=received_at,
    )


async def test_running_database(db, database_url):
    """Beside the service, and without waiting for it."""
    before = look(database_url)
    await db.write(quarantine, delivery("uuid-1", 100.0))
    await db.write(quarantine, delivery("uuid-2", 200.0))
    await db.write(quarantine, delivery(None, 300.0))

    after = look(database_url)

    assert (before.exists, before.is_newest, before.delivered_at) == (True, True, None)
    assert after.delivered_at == 200.0  # what has no id is not Chatwoot's
    assert (await check(database_url)).level is Level.OK


async def test_older_and_newer_schemas(database_url):
    """An upgrade that was not finished, and one that was taken back."""
    database = Database(database_url)
    await database.open()
    await database.close()
    execute(database_url, "UPDATE alembic_version SET version_num = '0001'")
    older = await check(database_url)
    execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    newer = await check(database_url)

    assert (older.level, newer.level) == (Level.WARN, Level.FAIL)
    assert "newer release" in newer.message


async def test_empty_database_of_a_server(postgres_url):
    """The first start fills it."""
    condition = look(postgres_url)

    assert (condition.exists, condition.is_newest) == (True, False)


async def test_looking_makes_no_file(tmp_path):
    """SQLite would, at the first connection."""
    finding = await check(f"sqlite:///{tmp_path / 'bot.db'}")

    assert finding.level is Level.OK
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_told(tmp_path):
    path = tmp_path / "bot.db"
    path.write_text("these are not the bytes of a database " * 100)

    with pytest.raises(StoreError, match="not a database"):
        look(f"sqlite:///{path}")
