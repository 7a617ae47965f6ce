"""PostgreSQL goes away: whoever waits hears so soon, and the next is served again."""

import asyncio

import psycopg
import pytest
import sqlalchemy as sa

from chatwoot_bot.errors import StoreError
from chatwoot_bot.store.engine import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def db(postgres_url):
    database = Database(postgres_url)
    await database.open()
    yield database
    await database.close()


def together(tx, items):
    return [tx.execute(sa.select(sa.literal(item))).scalar_one() for item in items]


def alone(tx):
    return tx.execute(sa.text("SELECT 7")).scalar_one()


def refused(tx):
    tx.execute(sa.text("SELECT 1 / 0"))


def cut_off(tx):
    """End this connection, as a failover does."""
    tx.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def test_nobody_reached_is_found_out_once_for_all_who_wait(db, monkeypatch):
    attempts = []

    def nobody():
        attempts.append(1)
        raise psycopg.OperationalError("connection timeout expired")

    db._writer.dispose()
    away = sa.create_engine("postgresql+psycopg://", creator=nobody, pool_size=1)
    monkeypatch.setattr(db, "_writer", away)

    writes = [db.write_grouped(together, number) for number in range(20)]
    writes += [db.write(alone) for _ in range(20)]
    results = await asyncio.gather(*writes, return_exceptions=True)

    assert {type(result) for result in results} == {StoreError}
    assert len(attempts) == 1


async def test_write_after_a_connection_was_cut_is_done(db):
    results = await asyncio.gather(
        db.write(cut_off), db.write(alone), return_exceptions=True
    )

    assert isinstance(results[0], StoreError)
    assert results[1] == 7


async def test_group_whose_connection_was_cut_is_done_on_the_next(db):
    """A webhook is not lost to a failover that has ended already."""
    first = True

    def fragile(tx, items):
        nonlocal first
        if first:
            first = False
            cut_off(tx)
        return together(tx, items)

    results = await asyncio.gather(*(db.write_grouped(fragile, n) for n in range(5)))

    assert results == [0, 1, 2, 3, 4]


async def test_group_with_one_that_is_refused_is_done_one_by_one(db):
    def picky(tx, items):
        if 3 in items:
            refused(tx)
        return together(tx, items)

    writes = [db.write_grouped(picky, number) for number in range(1, 6)]
    results = await asyncio.gather(*writes, return_exceptions=True)

    assert isinstance(results.pop(2), StoreError)
    assert results == [1, 2, 4, 5]
