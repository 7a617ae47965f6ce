"""Nothing lost, nothing said twice, humans win: under faults and kills, by seed.

`CHAOS=long` (`make chaos`) plays the long form; `CHAOS_SEED=…` plays a story again.
"""

import os

import pytest
from harness import new_seed, run_chaos

pytestmark = pytest.mark.anyio

SHORT = {"messages": 150, "conversations": 30, "seconds": 14.0, "kills": 3}
LONG = {"messages": 2_000, "conversations": 300, "seconds": 150.0, "kills": 20}
SIZE = LONG if os.environ.get("CHAOS") == "long" else SHORT


async def test_contacts_get_one_answer_to_everything_on_sqlite(tmp_path):
    """One process, killed at random moments, with all that Chatwoot can do to it."""
    report = await run_chaos(tmp_path, seed=new_seed(), **SIZE)

    assert not report.problems, report.describe()


async def test_contacts_get_one_answer_to_everything_on_postgresql(
    tmp_path, postgres_url
):
    """Two web and two worker processes, killed independently."""
    report = await run_chaos(
        tmp_path, seed=new_seed(), postgres_url=postgres_url, **SIZE
    )

    assert not report.problems, report.describe()
