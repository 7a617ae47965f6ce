"""What an older release has stored means the same to this one."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from chatwoot_bot.store import migrations
from chatwoot_bot.store.conversations import inbox_has_bot
from chatwoot_bot.store.engine import make_engine, normal_url

# Before it was noted how conversations begin.
OLD = "0003"
ROW = {
    "channel": "chatwoot",
    "account_id": 1,
    "inbox_id": 3,
    "state": "ai",
    "status": "open",
    "ever_pending": False,
    "switch": None,
    "created_at": 1.0,
    "active_at": 1.0,
}


@pytest.fixture
def database(empty_database_url):
    """A database of that release, and a function that fills it and upgrades it."""
    engine = make_engine(sa.make_url(normal_url(empty_database_url)), writes=True)

    def upgraded(*rows, agents=()):
        config = Config()
        folder = Path(migrations.__file__).parent
        config.set_main_option("script_location", str(folder))
        with engine.begin() as tx:
            config.attributes["connection"] = tx
            command.upgrade(config, OLD)
            table = sa.Table("conversations", sa.MetaData(), autoload_with=tx)
            said = sa.Table("messages", sa.MetaData(), autoload_with=tx)
            for number, row in enumerate(rows):
                named = {"id": f"c_{number}", "display_id": number + 1}
                tx.execute(sa.insert(table), ROW | named | row)
            for number in agents:
                agent = {"sender": "agent", "content": "Hi", "created_at": 1.0}
                tx.execute(sa.insert(said), agent | {"conversation_id": f"c_{number}"})
        migrations.upgrade(engine)
        with engine.begin() as tx:
            return inbox_has_bot(tx, 3), [
                (row.agent_replied, row.hushed)
                for row in tx.execute(
                    sa.text("SELECT * FROM conversations ORDER BY display_id")
                )
            ]

    yield upgraded
    engine.dispose()


def test_plain_inbox_with_one_that_was_given_back_is_plain_again(database):
    """It was taken for a bot's, and all its new conversations were silent."""
    has_bot, _ = database({"ever_pending": True}, {}, {}, {})

    assert not has_bot


def test_bots_inbox_stays_one(database):
    has_bot, _ = database({"ever_pending": True}, {"ever_pending": True}, {})

    assert has_bot


def test_agents_of_long_ago_are_no_news(database):
    _, rows = database({}, {})

    assert all(agent_replied for agent_replied, _ in rows)


def test_label_that_alone_silenced_the_bot_still_gives_back(database):
    """Not where an agent has written since."""
    off = {"switch": "off", "state": "human"}

    _, rows = database(off, off, {"state": "human"}, agents=[1])

    assert [bool(hushed) for _, hushed in rows] == [True, False, False]
