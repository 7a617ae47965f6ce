"""The knowledge base as an operator meets it: the command, and the service's start."""

import asyncio
import json
import re
import subprocess
import sys
import time

import pytest
from knowing import write
from service import Service, environment

from chatwoot_bot.store import knowledge as store
from chatwoot_bot.store.engine import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
def knowledge(tmp_path, database_url):
    """Run `chatwoot-bot knowledge …`; return exit code and output."""

    def run(*arguments, **settings):
        done = subprocess.run(
            [sys.executable, "-m", "chatwoot_bot", "knowledge", *arguments],
            cwd=tmp_path,
            env=environment(
                **{"DATABASE_URL": database_url, "COLUMNS": 200, **settings}
            ),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_from_a_folder_to_an_answer_and_back(knowledge, tmp_path):
    write(tmp_path / "docs", a="# Returns\n\nYou may return parcels for free.")
    (tmp_path / "docs" / "page.html").write_text(
        "<h1>Hours</h1><p>Open on Mondays.</p>"
    )

    assert "2 added" in knowledge("add", "docs")[1]
    assert "2 unchanged" in knowledge("add", "docs")[1]
    code, listed = knowledge("list")
    assert (code, "Returns" in listed, "Hours" in listed) == (0, True, True)
    code, found = knowledge("search", "return a parcel")
    assert (code, "You may return parcels" in found) == (0, True)
    assert knowledge("search", "unicorns")[0] == 1
    assert "2 documents removed" in knowledge("remove", "docs")[1]
    assert "Nothing is known yet" in knowledge("list")[1]
    assert knowledge("remove", "docs")[0] == 1


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b2J\u202eend [/red]"
# What a document may hold; one with control characters is no text.
TURNED = "\x9b5n\u202etxt [/b]"


async def test_what_others_wrote_moves_no_terminal(knowledge, db, tmp_path):
    """Nor is it taken for a style of rich's, which would end the command."""
    question = store.Question(
        collection="",
        folded="unicorns",
        question=f"unicorns {HOSTILE}",
        conversation_id="c_1",
        asked_at=0.0,
        count=1,
    )
    await db.write(store.collect_question, question)
    head = f"---\ntitle: Tea {TURNED}\nlanguage: en{TURNED}\n---\n"
    write(tmp_path / "docs", a=f"{head}# Tea {TURNED}\n\nWe sell green tea.{TURNED}")
    said = [
        await asyncio.to_thread(knowledge, *command)
        for command in (("add", "docs"), ("list",), ("search", "tea"), ("questions",))
    ]

    for code, text in said:
        assert code == 0, text
        assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert "end [/red]" in said[-1][1]


def test_document_of_one_bot_alone(knowledge, tmp_path):
    bots = tmp_path / "bots.toml"
    bots.write_text("[[bots]]\ninboxes = [3, 4]\nname = 'Ada'\n")
    write(tmp_path / "docs", a="# Tea\n\nGreen.")
    settings = {"BOTS_FILE": bots}

    assert "1 added" in knowledge("add", "docs", "--inbox", "4", **settings)[1]
    assert knowledge("search", "tea", "--inbox", "3", **settings)[0] == 0
    assert knowledge("search", "tea", **settings)[0] == 1
    assert knowledge("add", "docs", "--inbox", "x", **settings)[0] == 2


@pytest.mark.parametrize("what", ["add", "remove"])
def test_inbox_without_a_bot_of_its_own_is_refused(knowledge, tmp_path, what):
    """What was meant for one bot would be taken in for all, or taken from all."""
    bots = tmp_path / "bots.toml"
    bots.write_text("[[bots]]\ninboxes = [3, 'web']\n[[bots]]\nname = 'Eve'\n")
    write(tmp_path / "docs", a="# Tea\n\nGreen.")
    knowledge("add", "docs")
    code, said = knowledge(what, "docs", "--inbox", "7", BOTS_FILE=bots)

    assert code == 1
    assert "inbox 7 has no bot of its own" in said
    assert "these have: 3, web" in said
    assert "Tea" in knowledge("list")[1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"%PDF-1.7 broken", "it is damaged"),
        (b"Please sign in to read this.", "it is not a PDF file"),
    ],
)
def test_file_that_cannot_be_read_is_named_once(knowledge, tmp_path, content, why):
    (tmp_path / "a.pdf").write_bytes(content)
    code, said = knowledge("add", "a.pdf")

    assert code == 1
    assert said.count(why) == 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("missing", "no folder"),
        ("help-center", "CHATWOOT_USER_TOKEN"),
        ("http://127.0.0.1:9/foo", "write it as https://…/hc/PORTAL"),
    ],
)
def test_place_that_is_none_is_explained(knowledge, place, why):
    code, said = knowledge("add", place)

    assert code == 1
    assert why in said


@pytest.mark.parametrize(
    "command",
    [
        ("replay",),
        ("knowledge", "list"),
        ("knowledge", "search", "tea"),
        ("knowledge", "add", "http://127.0.0.1:9/foo"),
    ],
    ids=" ".join,
)
def test_wrong_folder_gets_no_database(tmp_path, command):
    """An empty one would answer, and lie there for the next start."""
    done = subprocess.run(
        [sys.executable, "-m", "chatwoot_bot", *command],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "there is no database at" in done.stderr or "http" in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_open_questions_are_listed_until_they_are_answered(
    knowledge, db, tmp_path
):
    for text in ("Do you ship to Malta?", "Who are you?"):
        question = store.Question(
            collection="",
            folded=text,
            question=text,
            conversation_id="c_1",
            asked_at=0.0,
            count=1,
        )
        await db.write(store.collect_question, question)
    write(tmp_path / "docs", a="# Malta\n\nWe ship to Malta within a week.")

    assert "Malta" in knowledge("questions")[1]
    knowledge("add", "docs")
    _, left = knowledge("questions", "--clear")
    assert ("Malta" in left, "Who are you?" in left) == (False, True)
    assert "No question is open" in knowledge("questions")[1]


@pytest.fixture
def known(database_url):
    async def titles():
        db = Database(database_url)
        await db.open(alone=False)
        try:
            return [document.title for document in await db.read(store.documents)]
        finally:
            await db.close()

    return titles


async def test_service_takes_in_its_folder_at_every_start(
    tmp_path, database_url, known
):
    folder = write(tmp_path / "docs", a="# Apples\n\nRed.", b="# Pears\n\nGreen.")
    settings = {"DATABASE_URL": database_url, "KNOWLEDGE_DIR": folder}
    with Service(tmp_path, **settings) as service:
        wait_for(service, "knowledge updated")
        service.stop()
    (folder / "a.md").unlink()
    (folder / "d.pdf").write_text("no PDF")
    write(folder, c="# Plums\n\nBlue.")
    with Service(tmp_path, **settings) as service:
        wait_for(service, "knowledge updated")
        assert service.output.count("document not read") == 1

    assert sorted(await known()) == ["Pears", "Plums"]


def wait_for(service, text):
    """Read the service's log until *text* is in it."""
    until = time.monotonic() + 30
    while text not in service.output:
        assert time.monotonic() < until, service.output
        time.sleep(0.05)


def test_service_without_knowledge_imports_none_of_it():
    """Nobody pays for what they do not use."""
    heavy = "{'snowballstemmer', 'markdown_it', 'pypdf'}"
    program = f"import sys, chatwoot_bot.app; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"


def test_lists_can_be_read_by_programs(knowledge, tmp_path):
    """In a pipe a line for each, whole; with --json objects."""
    long = "A title that is much longer than any terminal would show it in one line"
    write(tmp_path / "docs", a=f"# {long}\n\nYou may return parcels for free.")
    (tmp_path / "docs" / "b.xlsx").write_bytes(b"x")
    file = str(tmp_path / "docs" / "a.md")
    _, added = knowledge("add", "docs")
    _, listed = knowledge("list", COLUMNS=40)
    _, found = knowledge("search", "return a parcel", COLUMNS=40)
    [document] = json.loads(knowledge("list", "--json")[1])
    [passage] = json.loads(knowledge("search", "return a parcel", "--json")[1])

    assert "passed over, of another kind: b.xlsx" in added
    assert listed.split("\t")[1] == long
    assert listed.strip().endswith(file)
    assert long in found
    assert re.search(rf"{re.escape(file)} \(score \d+\.\d\d\)", found)
    assert (document["uri"], document["chunks"]) == (file, 1)
    assert (passage["uri"], passage["title"]) == (file, long)
    assert passage["score"] > 0
    assert knowledge("questions", "--json")[1].strip() == "[]"
