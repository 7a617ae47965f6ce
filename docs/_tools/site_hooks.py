"""Bring files of the repository that pages link to onto the site.

On a page, a link such as `../CHANGELOG.md` leads out of `docs/`. It works where the
repository is read; here the file becomes a page or a download under `repository/`.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_files(files: Files, *, config: Any) -> Files:
    """Add what the pages link to, and what those files link to."""
    waiting = [Path("docs", file.src_uri) for file in files.documentation_pages()]
    seen = set(waiting)
    for source in waiting:
        for target in outside(source):
            if target in seen:
                continue
            seen.add(target)
            if target.suffix == ".md":
                waiting.append(target)
            files.append(_generated(target, config))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Lead links out of `docs/` to the files that were added."""
    source = _source(page.file.src_uri)
    here = Path(page.file.src_uri).parent.as_posix()

    def redirected(link: re.Match[str]) -> str:
        target = _target(source, link[2])
        if target is None or (target.parts[0] == "docs" == source.parts[0]):
            return link[0]
        return f"{link[1]}{posixpath.relpath(_place(target), here)}{link[3] or ''}"

    return LINK.sub(redirected, markdown)


def outside(source: Path) -> Iterator[Path]:
    """Yield files outside of `docs/` that the page *source* links to."""
    for _, link, _ in LINK.findall((ROOT / source).read_text("utf-8")):
        target = _target(source, link)
        if target is not None and target.parts[0] != "docs":
            yield target


def _target(source: Path, link: str) -> Path | None:
    """Return where *link* leads, within the repository; None for other places."""
    if "://" in link or link.startswith(("mailto:", "/")):
        return None
    target = Path(posixpath.normpath((source.parent / link).as_posix()))
    return target if (ROOT / target).is_file() else None


def _source(uri: str) -> Path:
    is_added = uri.startswith("repository/")
    return Path(uri.removeprefix("repository/")) if is_added else Path("docs", uri)


def _place(target: Path) -> str:
    """Return the address on the site of a file of the repository."""
    if target.parts[0] == "docs":
        return Path(*target.parts[1:]).as_posix()
    shown = target.as_posix().lstrip(".")
    ending = "" if target.suffix in (".md", ".py", ".toml", ".yaml") else ".txt"
    return f"repository/{shown}{ending}"


def _generated(target: Path, config: Any) -> File:
    content = (ROOT / target).read_text("utf-8")
    return File.generated(config, _place(target), content=content)
