"""What others have written must not move an operator's terminal."""

import ast
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import chatwoot_bot
from chatwoot_bot.commands.console import VisibleConsole
from chatwoot_bot.commands.terminal import echo
from chatwoot_bot.core.text import visible

CLEAR, TITLE, COPY = "\x1b[2J", "\x1b]0;owned\x07", "\x1b]52;c;cm0gLXJm\x07"
HOSTILE = [
    CLEAR,
    TITLE,
    COPY,
    "\x9b2J",
    "\x9d0;owned\x9c",
    "a\x08b\x7f",
    "one\rtwo",
    "\x00",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "\u200f\u061c",
    "\u2028\u2029",
]
DANGEROUS = {
    *map(chr, (*range(32), *range(127, 160))),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
} - {"\n", "\t"}


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_moves_a_terminal_is_left(text):
    shown = visible(f"a {text} b")

    assert not DANGEROUS & set(shown)
    assert shown.startswith("a ")
    assert shown.endswith(" b")


@pytest.mark.parametrize(
    "text", ["", "Grüße 😀 注文 שלום", "a\n\tb", r"\x1b", "👩‍👩‍👧"]
)
def test_what_is_only_text_stays_as_it_is(text):
    assert visible(text) == text


def test_what_is_hidden_can_be_seen():
    assert visible("a\x1b[2J\u202e") == r"a\x1b[2J\u202e"


def printed(*things, **options):
    console = VisibleConsole(
        file=io.StringIO(), force_terminal=True, width=200, **options
    )
    for thing in things:
        console.print(thing)
    return console.file.getvalue()


@pytest.mark.parametrize("text", HOSTILE)
def test_console_of_the_commands_shows_it(text):
    """As a text, as a cell of a table, and as its title."""
    table = Table(title=f"t {text}")
    table.add_column(f"c {text}")
    table.add_row(f"r {text}")
    table.add_row(Text(f"x {text}"))
    said = printed(f"s {text}", Text(f"y {text}"), table, markup=False)

    # Its own colours aside.
    for style in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3m", "\x1b[1;36m"):
        said = said.replace(style, "")
    assert not (DANGEROUS & set(said))
    for begin in "stcrxy":
        assert f"{begin} " in said


def test_console_keeps_its_own_colours():
    assert "\x1b[31m" in printed("[red]no[/]")


def test_echo_shows_it(capsys):
    echo(f"one {CLEAR}", fg="red", err=True)
    echo(f"two {TITLE}")
    said = capsys.readouterr()

    assert "\x1b[2J" not in said.err
    assert r"one \x1b[2J" in said.err
    assert said.out == "two \\x1b]0;owned\\x07\n"


PACKAGE = Path(chatwoot_bot.__file__).parent
# The way itself, and what prints its own version only.
ALLOWED = {"commands/terminal.py", "commands/console.py", "cli.py"}


PRINTS = re.compile(r"(typer\.s?echo|(.*\.)?Console|print)")


def prints(program):
    """Return what in *program* is called that prints what it is given."""
    called = [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Call)
    ]
    return [name for name in called if PRINTS.fullmatch(name)]


def test_commands_print_by_nothing_else():
    """One way to the terminal, or the next command is open again."""
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if name not in ALLOWED and not name.startswith("media/pdf"):
            assert prints(path.read_text()) == [], name


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("print(x)", ["print"]),
        ("if x:\n    typer.secho(x)", ["typer.secho"]),
        ("rich.console.Console().print(x)", ["rich.console.Console"]),
        ("VisibleConsole().print(x)", []),
        ("HOW = 'python -c \"print(1)\"'", []),
    ],
)
def test_what_prints_is_found(program, found):
    assert prints(program) == found


PROGRAM = """
import sys
import structlog
from chatwoot_bot import logs

logs.configure("INFO", sys.argv[1])
log = structlog.get_logger("x")
evil = "\\x1b[2J\\x9b2J\\u202eend"
log.info("tool called", tool=evil, many=[evil], spaced=f"a {evil}", **{"key" + evil: 1})
log.info("event " + evil + "\\nforged line")
import logging
logging.getLogger("other" + evil).warning("foreign %s", evil)
try:
    raise ValueError(evil)
except ValueError:
    log.exception("failed")
    logging.getLogger("x").exception("failed too")
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_logs_show_it(form):
    """A model chooses the name of the tool that it calls."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, form], capture_output=True, check=True
    )
    said = done.stderr.decode()

    assert not DANGEROUS & set(said)
    assert "end" in said
    assert said.count("tool called") == 1
    assert not [line for line in said.splitlines() if line.startswith("forged")]
    if form == "json":
        lines = [json.loads(line) for line in said.splitlines()]
        assert lines[0]["tool"] == "\x1b[2J\x9b2J\u202eend"
