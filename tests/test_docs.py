"""The pages lead somewhere, name what exists, and are as the code is."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from chatwoot_bot.cli import app
from chatwoot_bot.settings import Settings
from chatwoot_bot.tools.operator import load
from chatwoot_bot.web.events import EVENTS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# What a reader of the repository reads as well.
BESIDE = sorted(
    path
    for pattern in ("*.md", "bench/*.md", "tests/*/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
)
SOURCES = sorted(
    path
    for pattern in (
        "chatwoot_bot/**/*.py",
        "tests/**/*.py",
        "bench/*.py",
        "examples/*.py",
        "static/**/*.js",
        "*.example*",
        ".env.example",
        "Makefile",
    )
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^( *)```([\w-]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# Named on pages, and set somewhere else than in our settings.
OTHERS = {
    "BOB_SECRET",
    "BOB_TOKEN",
    "CALL_A_COLLEAGUE",  # what a model without tools writes
    "CHAOS_SEED",
    "CHATWOOT_ADMIN_TOKEN",  # of `setup`, for one run
    "FORWARDED_ALLOW_IPS",  # uvicorn's
    "POSTGRES_PASSWORD",  # compose.yaml's
    "SAFE_FETCH_ALLOW_PRIVATE_NETWORK",  # Chatwoot's
    *EVENTS,
}


def prose(path):
    """Return a page without its samples."""
    return FENCE.sub("", path.read_text())


def samples(path, *languages):
    """Return the blocks of a page that are in one of *languages*."""
    return [
        re.sub(rf"^{indent}", "", text, flags=re.MULTILINE).replace("\\\n", "")
        for indent, language, text in FENCE.findall(path.read_text())
        if language in languages
    ]


def anchors(path):
    """Return the anchors of a page, as repository hosts and our site make them."""
    text = prose(path)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in plain
    } | set(re.findall(r'<a id="([\w-]+)">', text))


def linked():
    for path in (*PAGES, *BESIDE):
        text = re.sub(r"`[^`\n]*`", "", prose(path))
        for link, anchor in re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)", text):
            if not re.match(r"[a-z]+:", link):
                target = path.parent / link if link else path
                yield path, target.resolve(), anchor


def cited():
    """Yield the pages and sections that code names."""
    cite = re.compile(r"(?<![\w/.-])docs/([\w/-]+\.(?:md|png|svg))(?:#([\w-]+))?")
    for path in SOURCES:
        for page, anchor in cite.findall(path.read_text()):
            yield path, DOCS / page, anchor


@pytest.mark.parametrize(("find", "least"), [(linked, 200), (cited, 50)])
def test_each_link_and_each_citation_leads_somewhere(find, least):
    """A reader who follows one arrives at the section that was meant."""
    found = list(find())
    broken = [
        f"{path.relative_to(ROOT)}: {target} #{anchor}"
        for path, target, anchor in found
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]

    assert len(found) > least
    assert broken == []


@pytest.mark.parametrize("index", ["chatwoot/README.md", "decisions/index.md"])
def test_index_names_every_page_of_its_folder(index):
    path = DOCS / index
    named = re.findall(r"\]\(([\w-]+\.md)\)", path.read_text())

    pages = {each.name for each in path.parent.glob("*.md")} - {path.name}
    assert sorted(named) == sorted(pages)


def test_generated_pages_are_current():
    """The reference says what this code does, and not what it did some day."""
    done = subprocess.run(
        [sys.executable, "-m", "reference", "--check"],
        env=os.environ | {"PYTHONPATH": str(DOCS / "_tools")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_site_loads_nothing_from_another_host(site):
    """Whoever reads it tells no other host, and can read it without a network."""
    loads = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\bsrc=["']?([^"'\s>]+)"""
        r"""|<link[^>]*\bhref=["']?([^"'\s>]+)|url\(["']?([^"')]+)"""
    )
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    foreign = {
        loaded
        for page in pages
        for loaded in map("".join, loads.findall(page.read_text()))
        if re.match(r"(https?:)?//", loaded)
    }

    assert len(pages) > 60
    # The theme would load the library that draws them from another host.
    assert not [page for page in pages if 'class="mermaid"' in page.read_text()]
    assert foreign == set()


def test_each_page_is_on_the_site(site):
    """Decisions are reached by their index, all others by the navigation."""
    assert len(PAGES) > 50
    for page in PAGES:
        built = site / page.relative_to(DOCS).with_suffix(".html")
        if page.name == "README.md":
            built = built.with_name("index.html")
        assert built.exists(), page


@pytest.mark.parametrize(
    "path",
    # The pages about Chatwoot name Chatwoot's settings.
    [page for page in (*PAGES, ROOT / "README.md") if page.parent.name != "chatwoot"],
    ids=lambda path: path.name,
)
def test_settings_that_a_page_names_exist(path):
    """An operator who copies a name sets something."""
    names = {name.upper() for name in Settings.model_fields} | OTHERS
    spans = re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`", prose(path))
    assigned = [
        name
        for text in samples(path, "console", "sh", "ini")
        for name in re.findall(r"(?:^|\s)([A-Z][A-Z0-9]*_[A-Z0-9_]+)=", text)
    ]

    assert {*spans, *assigned} - names == set()


def commands(path):
    """Yield the command lines of a page: in samples, and as `code`."""
    lines = [
        line.removeprefix("$ ").removeprefix("# ")
        for text in samples(path, "console")
        for line in text.splitlines()
        if line.startswith(("$ ", "# "))
    ]
    lines += [line for text in samples(path, "sh") for line in text.splitlines()]
    lines += re.findall(r"`([^`\n]*chatwoot-bot [^`\n]*|make \w+)`", prose(path))
    for line in lines:
        code = line.partition(" #")[0].partition(" &&")[0]
        if found := re.search(r"(?:^|\s|bin/)(?<!--unit )(chatwoot-bot|make) .*", code):
            yield shlex.split(found[0].rpartition("bin/")[2])


@pytest.mark.parametrize("path", [*PAGES, *BESIDE], ids=lambda p: p.name)
def test_commands_that_a_page_names_exist(path):
    """Each command, and each of its options; each target of make."""
    targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for program, *words in commands(path):
        if program == "make":
            assert words[0] in targets, words
            continue
        command = typer.main.get_command(app)
        while hasattr(command, "get_command") and words and words[0][0] != "-":
            name = words.pop(0)
            command = command.get_command(typer.Context(command), name)
            assert command, f"chatwoot-bot {name}"
        known = {"--help", "--version"}.union(*(each.opts for each in command.params))
        known = known.union(*(each.secondary_opts for each in command.params))
        assert {word for word in words if word.startswith("--")} <= known, words


@pytest.mark.parametrize(
    "path", [p for p in PAGES if samples(p, "toml")], ids=lambda p: p.name
)
def test_bots_files_of_pages_can_be_used(path, tmp_path):
    """Copied as printed, with the files and variables that the text asks for."""
    (tmp_path / "bob.txt").write_text("You are Bob.")
    for text in samples(path, "toml"):
        file = tmp_path / "bots.toml"
        file.write_text(text)
        given = {"BOTS_FILE": str(file), "BOB_TOKEN": "t", "BOB_SECRET": "x" * 24}
        chatwoot = {
            "CHATWOOT_BASE_URL": "https://chat.example.com",
            "CHATWOOT_WEBHOOK_SECRET": "x" * 24,
            "CHATWOOT_API_TOKEN": "t",
            "OPENAI_API_KEY": "k",
        }

        bots = Settings.load({**given, **chatwoot}).bots

        names = {each["name"] for each in tomllib.loads(text)["bots"] if "name" in each}
        assert names <= {bot.settings.bot_name for bot in bots}


def test_tool_of_the_page_is_a_tool(tmp_path, monkeypatch):
    """Its signature and docstring are all that the model gets."""
    [text] = samples(DOCS / "extend" / "tools.md", "python")
    (tmp_path / "shop_of_the_page.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    [tool] = load(["shop_of_the_page"])

    assert tool.name == "find_order"
    assert tool.arguments.model_json_schema()["properties"].keys() == {"number"}


def test_files_that_explanations_name_exist():
    """A reader who opens the file finds what the text is about."""
    for folder in ("explanation", "decisions"):
        for path in sorted((DOCS / folder).glob("*.md")):
            for name in re.findall(r"`([\w/]+\.py)`", prose(path)):
                places = (ROOT / "chatwoot_bot", ROOT, ROOT / "tests")
                assert any((place / name).exists() for place in places), (path, name)
