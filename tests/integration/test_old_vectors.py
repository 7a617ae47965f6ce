"""The signs of vectors that an older release has stored are still there."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from chatwoot_bot.store import migrations
from chatwoot_bot.store.engine import make_engine, normal_url

# Before signs were about a mean.
OLD = "0013"


def test_signs_survive_the_migration(empty_database_url):
    engine = make_engine(sa.make_url(normal_url(empty_database_url)), writes=True)
    config = Config()
    folder = Path(migrations.__file__).parent
    config.set_main_option("script_location", str(folder))
    with engine.begin() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, OLD)
        vectors = sa.Table("knowledge_vectors", sa.MetaData(), autoload_with=tx)
        row = {"chunk_id": 7, "model": "m", "signs": b"\x05", "numbers": b"1234"}
        tx.execute(sa.insert(vectors), row)
    migrations.upgrade(engine)
    with engine.begin() as tx:
        [signs] = tx.execute(sa.text("SELECT * FROM knowledge_signs")).mappings()
        [vector] = tx.execute(sa.text("SELECT * FROM knowledge_vectors")).mappings()
    engine.dispose()

    assert dict(signs) == {
        "chunk_id": 7,
        "model": "m",
        "mean_id": None,
        "bits": b"\x05",
    }
    assert dict(vector) == {"chunk_id": 7, "model": "m", "numbers": b"1234"}
