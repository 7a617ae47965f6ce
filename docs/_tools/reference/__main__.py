"""Write the generated parts of the pages, or with `--check` say which are not current.

A page has them between `<!-- generated: NAME -->` and `<!-- generated: end -->`; all
else on it is written by hand.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from . import (
    bots_file,
    commands,
    errors,
    http,
    metrics,
    python_api,
    settings,
    states,
    websocket,
)

DOCS = Path(__file__).parents[2]
REGION = re.compile(
    r"(<!-- generated: (?!end)([\w-]+) -->\n).*?(<!-- generated: end -->)", re.DOTALL
)
PARTS: Mapping[str, Callable[[], str]] = {
    "settings": settings.text,
    "bots-file": bots_file.text,
    "commands": commands.text,
    "http": http.text,
    "sockets": websocket.sockets,
    "socket-events": websocket.events,
    "close-codes": websocket.close_codes,
    "error-codes": errors.text,
    "metrics": metrics.text,
    "tools-api": python_api.tools,
    "responders-api": python_api.responders,
    "states": states.text,
}
PICTURES: Mapping[str, Callable[[], str]] = {"images/states.svg": states.picture}


def generated() -> Iterator[tuple[Path, str]]:
    """Yield each file that has a generated part, and what it must hold.

    Raises:
        LookupError: a part stands on no page, or on a page under an unknown name.
    """
    placed: set[str] = set()
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text("utf-8")
        names = [name for _, name, _ in REGION.findall(page)]
        if names:
            placed.update(names)
            yield path, REGION.sub(_filled, page)
    if lost := PARTS.keys() ^ placed:
        raise LookupError(f"generated parts without a page: {', '.join(sorted(lost))}")
    for name, make in PICTURES.items():
        yield DOCS / name, make()


def _filled(region: re.Match[str]) -> str:
    begin, name, end = region.groups()
    return f"{begin}\n{PARTS[name]().strip()}\n\n{end}"


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` name those that differ and return 1."""
    stale = [
        (path, text)
        for path, text in generated()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if "--check" in arguments:
        for path, _ in stale:
            print(f"not current: docs/{path.relative_to(DOCS)}; run `make docs`")
        return 1 if stale else 0
    for path, text in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        print(f"written: docs/{path.relative_to(DOCS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
