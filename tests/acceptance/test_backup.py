"""A backup beside a busy service, and a service that starts from it."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys

import pytest
import sqlalchemy as sa
from service import Service, environment

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.server import Simulator
from chatwoot_bot.store.engine import Database
from chatwoot_bot.store.schema import conversations

pytestmark = pytest.mark.anyio

SECRET = "a-secret-of-24-characters"
BEFORE, DURING = 20, 20


def run(folder, *arguments, path=None, **settings):
    """Run a command to its end."""
    env = environment(**settings)
    if path is not None:
        env["PATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-m", "chatwoot_bot", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def two_databases(request, tmp_path, monkeypatch):
    """The URL of a database, that of another, and how a backup becomes the other."""
    if request.param == "sqlite":
        restored = tmp_path / "elsewhere.db"
        return (
            f"sqlite:///{tmp_path / 'bot.db'}",
            f"sqlite:///{restored}",
            lambda file: shutil.copyfile(file, restored),
        )
    # The server's own programs; a distribution may have older ones.
    programs = request.getfixturevalue("postgres").bin_path
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    second = request.getfixturevalue("second_postgres_url")
    return (
        request.getfixturevalue("postgres_url"),
        second,
        lambda file: subprocess.run(
            ["pg_restore", "--no-owner", f"--dbname={second}", file],
            check=True,
            timeout=60,
        ),
    )


@pytest.fixture
def second_postgres_url(postgres, psql):
    """Where a backup is restored."""
    psql("CREATE DATABASE restored")
    yield postgres.get_uri(database="restored")
    psql("DROP DATABASE restored WITH (FORCE)")


async def known(url):
    """Return the conversations that a database knows."""
    database = Database(url)
    await database.open(alone=False)
    try:
        asked = sa.select(conversations.c.display_id)
        return await database.read(lambda tx: set(tx.scalars(asked)))
    finally:
        await database.close()


async def test_backup_under_load_is_restored_elsewhere_and_no_answer_comes_twice(
    tmp_path, two_databases
):
    """The answers that were sent after the backup are not in it, but in Chatwoot."""
    url, other, restore = two_databases
    file = tmp_path / "backup"
    async with (
        ModelStandIn(delay_s=0.3) as model,
        Simulator(webhook_url="http://127.0.0.1:9/", secret=SECRET) as chatwoot,
    ):
        settings = {
            "CHATWOOT_BASE_URL": chatwoot.base_url,
            "CHATWOOT_API_TOKEN": "bot-token",
            "CHATWOOT_USER_TOKEN": "user-token",
            "CHATWOOT_WEBHOOK_SECRET": SECRET,
            "CHATWOOT_ACCOUNT_ID": 1,
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": "k",
        }

        async def ask(count):
            said = [await chatwoot.contact_says(f"Question {n}") for n in range(count)]
            return [message.conversation_id for message in said]

        async def answered(asked):
            await chatwoot.until(lambda: all(map(chatwoot.replies, asked)), timeout=60)
            await chatwoot.settled(timeout=60)

        with Service(tmp_path, DATABASE_URL=url, **settings) as service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            before = await ask(BEFORE)
            await answered(before)
            during = await ask(DURING)
            await model.until(lambda: model.started > BEFORE)
            made = await asyncio.to_thread(
                run, tmp_path, "backup", str(file), DATABASE_URL=url
            )
            assert made.returncode == 0, made.stderr
            await answered(during)
            assert service.stop() == 0
        restore(file)
        assert set(before) <= await known(other)
        with Service(tmp_path, DATABASE_URL=other, **settings) as service:
            chatwoot.webhook_url = f"{service.url}/webhook/chatwoot"
            again = await chatwoot.contact_says("And now?", conversation=before[0])
            await chatwoot.wait_for_replies(again.conversation_id, 2, timeout=60)
            after = await ask(1)
            await answered(after)
            assert service.stop() == 0

    assert [len(chatwoot.replies(cid)) for cid in before] == [2] + [1] * (BEFORE - 1)
    assert [len(chatwoot.replies(cid)) for cid in during] == [1] * DURING
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_backup_of_sqlite_is_one_file_that_needs_no_other(tmp_path, migrated_file):
    source = tmp_path / "bot.db"
    shutil.copyfile(migrated_file, source)
    made = run(tmp_path, "backup", "copy", DATABASE_URL=f"sqlite:///{source}")

    assert made.returncode == 0, made.stderr
    assert [p.name for p in tmp_path.glob("copy*")] == ["copy"]
    with sqlite3.connect(tmp_path / "copy") as copy:
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"DATABASE_URL": "sqlite:///nowhere.db"}, "there is no database at"),
        ({"DATABASE_URL": "postgresql://bot:hush@127.0.0.1:9/bot"}, "needs pg_dump"),
    ],
)
def test_backup_that_cannot_be_made_says_why_and_leaves_nothing(
    tmp_path, settings, said
):
    made = run(tmp_path, "backup", "copy", path=tmp_path, **settings)

    assert made.returncode == 1
    assert said in made.stderr
    assert "Traceback" not in made.stderr
    assert "hush" not in made.stderr
    assert not list(tmp_path.iterdir())


def test_backup_replaces_no_file(tmp_path, migrated_file):
    (tmp_path / "copy").write_text("precious")
    url = f"sqlite:///{migrated_file}"
    made = run(tmp_path, "backup", "copy", DATABASE_URL=url)

    assert made.returncode == 1
    assert "copy exists; name a new file" in made.stderr
    assert (tmp_path / "copy").read_text() == "precious"


@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--port", "0"),
        ("worker",),
        ("purge", "--older-than", "90d"),
        ("knowledge", "search", "shipping"),
    ],
)
def test_older_release_on_a_newer_schema_says_so(tmp_path, migrated_file, command):
    source = tmp_path / "bot.db"
    shutil.copyfile(migrated_file, source)
    with sqlite3.connect(source) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    ended = run(tmp_path, *command, DATABASE_URL=f"sqlite:///{source}")

    assert ended.returncode == 1
    assert "migrated by a newer release of chatwoot-bot" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
