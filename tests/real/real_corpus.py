"""What is searched with real models, and what is asked.

Two help centres, and the texts of Python's own library, which is always there, as a
crowd in which an article must be found.
"""

import ast
import sysconfig
import tomllib
from pathlib import Path

from knowing import ARTICLES

HERE = Path(__file__).parent
CENTRE = tomllib.loads((HERE / "help_centre.toml").read_text(encoding="utf-8"))
SHOP = tomllib.loads((ARTICLES / "questions.toml").read_text(encoding="utf-8"))["en"]
# (question, name of the file that answers)
ASKED = [
    *((q, each["file"]) for each in CENTRE["article"] for q in each["questions"]),
    *((q, article) for article, questions in SHOP.items() for q in questions),
]
NOTHING = CENTRE["nothing"]
TEXTS_OF_ONE = 12
MAX_CHARS = 1_000


def write_corpus(folder, modules):
    """Write all documents as Markdown.

    Args:
        modules: of Python's library, at most.
    """
    folder.mkdir()
    for each in CENTRE["article"]:
        text = f"# {each['title']}\n\n{each['text']}"
        (folder / f"{each['file']}.md").write_text(text, encoding="utf-8")
    for path in (ARTICLES / "en").glob("*.md"):
        (folder / path.name).write_bytes(path.read_bytes())
    for name, text in _library(modules):
        (folder / f"python-{name}.md").write_text(text, encoding="utf-8")
    return folder


def _library(most):
    """Yield (module, its documentation), read and not run."""
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    found = 0
    for path in paths:
        tree = ast.parse(path.read_bytes())
        said = list(_said(tree))
        if found < most and len(said) > 1 and not path.stem.startswith("_"):
            found += 1
            parts = "\n\n".join(f"## {name}\n\n{text}" for name, text in said)
            yield path.stem, f"# The module {path.stem}\n\n{parts}"


def _said(tree):
    nodes = [node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED)]
    for node in nodes[:TEXTS_OF_ONE]:
        if text := ast.get_docstring(node):
            lines = (line.strip() for line in text[:MAX_CHARS].splitlines())
            yield getattr(node, "name", "About"), "\n".join(lines).replace("#", "")


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
