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


# Reading it.


def test_lines_that_say_nothing_are_numbered(tmp_path):
    """python-dotenv leaves them out; an empty line or a comment is no such line."""
    path = tmp_path / ".env"
    path.write_text("A=1\n\n# b\n\nB 2\nC='3'\nD: 4\nE=\"5\nF=6\n")

    found = envfile.read(path)

    assert found.values == {"A": "1", "C": "3", "F": "6"}
    assert found.odd_lines == (5, 7, 8)


def test_mark_before_the_first_name_does_not_hide_it(tmp_path):
    """Notepad writes one."""
    path = tmp_path / ".env"
    path.write_text("PORT=9000\n", encoding="utf-8-sig")

    assert envfile.read(path).values == {"PORT": "9000"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_file_that_is_not_utf8_is_named(tmp_path, encoding):
    """PowerShell's > writes UTF-16."""
    path = tmp_path / ".env"
    path.write_text("ADMIN_TOKEN=hüsh\n", encoding=encoding)

    with pytest.raises(SettingsError, match=r"\.env: is not UTF-8") as caught:
        envfile.read(path)

    assert "save it as UTF-8" in str(caught.value)
    assert "sh" not in str(caught.value).partition("is not")[2].replace(
        "PowerShell", ""
    )


def test_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / ".env"
    path.write_text("A=1\n")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_text", refuse)

    with pytest.raises(
        SettingsError, match=r"\.env: cannot be read: Permission denied"
    ):
        envfile.read(path)


def test_folder_of_that_name_says_nothing(tmp_path):
    """Some keep a virtual environment there."""
    (tmp_path / ".env").mkdir()

    assert envfile.read(tmp_path / ".env").values == {}


SETTINGS = {"ADMIN_TOKEN", "CHATWOOT_BASE_URL", "PORT", "OPENAI_API_KEY", "BOT_NAME"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ADMIN_TOKN", "ADMIN_TOKEN"),
        ("admin_tokn", "ADMIN_TOKEN"),
        ("CHATWOOT_BASEURL", "CHATWOOT_BASE_URL"),
        ("OPENAI_KEY", "OPENAI_API_KEY"),
        ("PORTS", "PORT"),
    ],
)
def test_misspelt_name_is_told_with_what_was_meant(name, meant):
    file = envfile.EnvFile(values={name: "hush"})

    assert file.doubts(SETTINGS) == {name: f"is not a setting; did you mean {meant}?"}


def test_name_like_no_other_is_told_where_it_looks_like_a_setting():
    file = envfile.EnvFile(values={"CHATWOOT_X": "1", "HANDOFF_SOUND": "loud"})

    assert file.doubts(SETTINGS) == {
        "CHATWOOT_X": "is not a setting",
        "HANDOFF_SOUND": "is not a setting",
    }


def test_names_of_others_are_not_doubted():
    """The file is also for compose, own tools, the bots' tokens, and libraries."""
    values = dict.fromkeys(
        ("port", "POSTGRES_PASSWORD", "SHOP_KEY", "BOT_BOB_TOKEN", "OPENAI_ORG_ID"), "1"
    )

    assert envfile.EnvFile(values=values).doubts(SETTINGS, {"BOT_BOB_TOKEN"}) == {}


def test_odd_lines_are_told_by_file_and_number():
    file = envfile.EnvFile(name="x/.env", odd_lines=(5,))

    assert file.doubts(SETTINGS) == {"x/.env:5": "is not a NAME=value line"}


def test_own_code_gets_what_the_environment_does_not_say():
    """An empty value counts as not set, as it does for settings."""
    environ = {"A": "theirs"}

    envfile.EnvFile(values={"A": "1", "B": "2", "C": ""}).share(environ)

    assert environ == {"A": "theirs", "B": "2"}
