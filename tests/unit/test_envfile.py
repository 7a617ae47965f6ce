"""Writing `.env`: what is set changes, and nothing else does."""

import os
import stat

import dotenv
import pytest

from chatwoot_bot import envfile
from chatwoot_bot.errors import SettingsError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "# Written by chatwoot-bot setup.\nTOKEN=new\n"),
        ("TOKEN=\n", "TOKEN=new\n"),
        ("TOKEN", "TOKEN=new"),
        (
            "# mine\n\nTOKEN=old # the bot's\nB=2",
            "# mine\n\nTOKEN=new # the bot's\nB=2",
        ),
        ("TOKEN=  # the bot's\n", "TOKEN=new  # the bot's\n"),
        ("export TOKEN='o l d' # x\r\nB=1\r\n", "export TOKEN=new # x\r\nB=1\r\n"),
        ('TOKEN="two\nlines"\n# end\n', "TOKEN=new\n# end\n"),
        ("TOKEN = old\n", "TOKEN = new\n"),
        ("TOKEN=1\nTOKEN=2\n", "TOKEN=1\nTOKEN=new\n"),
        ("# TOKEN=old\nXTOKEN=1\n", None),
        ("B=1", "B=1\n\n# Written by chatwoot-bot setup.\nTOKEN=new\n"),
        ("B=1\r\n", "B=1\r\n\r\n# Written by chatwoot-bot setup.\r\nTOKEN=new\r\n"),
    ],
)
def test_only_the_value_changes(before, after):
    """Comments, order, quotes of others and line endings are the operator's."""
    if after is None:
        after = f"{before}\n# Written by chatwoot-bot setup.\nTOKEN=new\n"

    assert envfile.updated(before, {"TOKEN": "new"}) == after


@pytest.mark.parametrize("value", ["a b", "a#b # c", "it's", '"', "ü", "a\\b", ""])
def test_any_value_is_read_back_the_same(value, tmp_path):
    path = tmp_path / ".env"

    envfile.write(path, {"A": value, "B": "1"})

    assert dotenv.dotenv_values(path) == {"A": value, "B": "1"}


def test_value_that_the_format_cannot_hold_is_refused(tmp_path):
    """python-dotenv would replace it by a variable."""
    path = tmp_path / ".env"

    with pytest.raises(SettingsError, match="A: cannot be written"):
        envfile.write(path, {"A": "x${HOME}"})

    assert not path.exists()


def test_file_is_only_for_its_owner(tmp_path):
    """It holds the bot's token."""
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o644)
    assert not envfile.is_private(path)

    envfile.write(path, {"A": "1"})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert envfile.is_private(path)
    assert path.read_text() == "A=1\n"
    assert os.listdir(tmp_path) == [".env"]


def test_link_stays_a_link(tmp_path):
    """Some keep the file elsewhere."""
    real, link = tmp_path / "real", tmp_path / ".env"
    real.write_text("A=1\n")
    link.symlink_to(real)

    envfile.write(link, {"A": "2"})

    assert link.is_symlink()
    assert real.read_text() == "A=2\n"


def test_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "nowhere" / ".env"

    with pytest.raises(SettingsError, match=r"nowhere/\.env: cannot be written"):
        envfile.write(path, {"A": "1"})


def test_what_would_change_is_told_by_name(tmp_path):
    """A dry run shows no secret."""
    path = tmp_path / ".env"
    path.write_text("A=1\nB='2'\n")

    assert envfile.changed_names(path, {"A": "1", "B": "2", "C": "3"}) == ["C"]
    assert envfile.changed_names(tmp_path / "none", {"A": ""}) == ["A"]
