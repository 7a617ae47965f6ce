"""What `docs/explanation/wishes.md` claims can be looked up."""

import re
from pathlib import Path

import pytest

from chatwoot_bot.settings import Settings

ROOT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "explanation" / "wishes.md").read_text().splitlines()
    if re.match(r"\| \d", line)
]
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
# Chatwoot's own, named because an operator has to set it there.
CHATWOOTS = {"SAFE_FETCH_ALLOW_PRIVATE_NETWORK"}


def named(row, pattern):
    return re.findall(rf"`({pattern})`", row[4])


def test_every_wish_has_a_row_and_a_verdict():
    assert [int(row[0]) for row in ROWS] == list(range(1, 37))
    assert {row[3] for row in ROWS} == {"yes", "partly", "no"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_a_row_names_exists(row):
    """A test for each "yes", and no setting, file or test that is not there."""
    settings = {name.upper() for name in Settings.model_fields} | CHATWOOTS
    tests = named(row, r"test_\w+")

    assert set(named(row, "[A-Z][A-Z_]+")) <= settings
    for file in named(row, r"[\w/]+\.py"):
        assert (ROOT / "chatwoot_bot" / file).is_file(), file
    for test in tests:
        assert f"def {test}(" in TESTS, test
    assert tests or row[3] != "yes"
