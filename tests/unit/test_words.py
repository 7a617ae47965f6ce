"""Count the words that the glossary replaces, in comments, docstrings and pages.

`MOST` is a ratchet: a folder's count must not rise, and when it falls, the number
here falls with it. Print the table for the files as they are now with
`python tests/unit/test_words.py`.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

MOST: dict[str, int] = {
    "README.md": 2,
    "chatwoot_bot": 31,
    "chatwoot_bot/booking": 2,
    "chatwoot_bot/channels": 12,
    "chatwoot_bot/chatwoot": 21,
    "chatwoot_bot/commands": 8,
    "chatwoot_bot/core": 71,
    "chatwoot_bot/demo": 4,
    "chatwoot_bot/doctor": 11,
    "chatwoot_bot/knowledge": 6,
    "chatwoot_bot/media": 5,
    "chatwoot_bot/responders": 20,
    "chatwoot_bot/simulator": 11,
    "chatwoot_bot/store": 131,
    "chatwoot_bot/texts": 2,
    "chatwoot_bot/tools": 6,
    "chatwoot_bot/web": 23,
    "docs": 1,
    "docs/_tools": 1,
    "docs/connect": 3,
    "docs/decisions": 1,
    "docs/explanation": 17,
    "docs/extend": 5,
    "docs/reference": 25,
    "docs/run": 0,
    "docs/start": 2,
    "static": 0,
    "static/css": 3,
    "static/js": 21,
}

# Words of the glossary's last column (and of rule 1 of the language) → their forms.
COUNTED = {
    "somebody, nobody": r"(?:some|no|any)body",
    "whoever, whatever": r"who(?:so)?ever|whatever|whosever",
    "guest": r"guests?",
    "handoff": r"handoffs?",
    "who holds": r"who holds",
    "call a human": r"call(?:s|ed)? a human|human is called",
    "step in": r"step(?:s|ped)? in",
    "give back": r"(?:give|gives|gave|given|giving) (?:\w+ ){0,3}back",
    "owed": r"owed?|owes|owing",
    "thought": r"thoughts",
    "speech": r"speech",
    "what is said": r"what (?:is|was) said",
    "what is kept": r"what (?:is|was) kept",
    "in doubt": r"in doubt",
    "overtaken": r"overtak(?:en|es|ing)",
    "mend": r"mend(?:s|ed|ing)?",
    "heed": r"heed(?:s|ed|ing)?",
    "answerer": r"answerers?",
    "stands by": r"stands? by",
    "quiet moment": r"quiet moments?",
}
# Words that have a right sense as well, so that only a reader can tell → the sense.
NOT_COUNTED = {
    "visitor in Chatwoot's context": "the right word in the web chat",
    "human": "in human mode and human takeover",
    "user": "the model's role, Chatwoot's user token, and `user_id` in the API",
    "owner": "of a file, a bot's settings or a copyright",
    "admin": "in ADMIN_TOKEN, the setting",
    "holder": "of a lease",
    "release": "the API path, a lease, and a version of Chatwoot",
    "keep": "an ordinary verb: keep a connection open",
    "say": "an ordinary verb for what a page or a person says",
    "tell": "an ordinary verb: tell apart",
    "interrupted": "fine for exceptions",
    "circuit alone": "the circuit breaker",
    "chunk in user-facing text": "the right word in code",
    "look": "in look up",
    "take": "in take over",
    "hold": "a lease or a lock is held",
    "toolbox in user-facing text": "the name of a module",
}
# Files that quote the words or that others have written.
EXCEPT = {
    "docs/glossary.md": "lists the words",
    "docs/chatwoot": "quotes Chatwoot, whose API says handoff",
}

ROOT = Path(__file__).parents[2]
WORDS = re.compile(rf"\b(?:{'|'.join(COUNTED.values())})\b", re.IGNORECASE)
CODE = re.compile(r"```.*?```|``[^`]*``|`[^`]*`", re.DOTALL)
SCRIPT_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'])//[^\n]*|<!--.*?-->", re.DOTALL)
KINDS = {".py", ".js", ".css", ".html", ".md"}


def prose(path):
    """Return what people read in a file: comments and docstrings, or the page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        found = text
    elif path.suffix == ".py":
        found = "\n".join([*_comments(text), *_docstrings(text)])
    else:
        found = "\n".join(SCRIPT_COMMENT.findall(text))
    return " ".join(CODE.sub(" ", found).replace("#", " ").split())


def _comments(text):
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def _docstrings(text):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, kinds):
            yield ast.get_docstring(node) or ""


def folder_of(name):
    """Return the row of a file in the table: at most two folders deep."""
    parts = name.split("/")
    return name if len(parts) == 1 else "/".join(parts[:-1][:2])


def counts(root=ROOT):
    found = Counter()
    for top in ("chatwoot_bot", "static", "docs", "README.md"):
        place = root / top
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.suffix in KINDS and not name.startswith(tuple(EXCEPT)):
                found[folder_of(name)] += len(WORDS.findall(prose(path)))
    return dict(sorted(found.items()))


NOW = counts()


@pytest.mark.parametrize("folder", sorted({*NOW, *MOST}))
def test_replaced_words_of_a_folder_become_fewer(folder):
    """A count that rises is a text to rewrite; one that falls lowers the table."""
    assert NOW.get(folder, 0) == MOST.get(folder, 0)


def test_every_replaced_word_of_the_glossary_is_counted_or_excepted():
    """Else a new line of the glossary would have no effect."""
    rows = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
    cells = [row.split("|")[3] for row in rows if row.startswith("|")]
    words = [
        word.strip()
        for cell in cells[2:]
        for word in re.sub(r"\([^)]*\)", "", cell).split(",")
    ]

    assert len(words) > 30
    unknown = {word for word in words if word} - {*COUNTED, *NOT_COUNTED}
    assert unknown == set()


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("a.py", '"""Mend what nobody owes."""\nx = "mend"  # heed\n', 4),
        ("a.js", "/* mends */ const mend = 'https://heed'; // whoever\n", 2),
        ("a.html", "<p>mend</p><!-- mend -->", 1),
        ("a.md", "A guest, `handoff`.\n```\nmend\n```\n", 1),
        ("a.md", "Amend the recommendation.", 0),
    ],
)
def test_only_words_that_people_read_are_counted(tmp_path, name, text, count):
    """Identifiers, strings and samples have names that are public."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")

    assert len(WORDS.findall(prose(path))) == count


if __name__ == "__main__":
    for folder, number in NOW.items():
        print(f'    "{folder}": {number},')
