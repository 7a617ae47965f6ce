"""Split a Markdown text into parts that a channel can carry.

Between paragraphs if that can be, else between lines, sentences, words; inside code,
a link or bold text only when it is longer than a part. Code and bold text that are cut
are closed in one part and opened again in the next, so every part is whole Markdown.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .clusters import cluster_start
from .transcript import LIQUID


@dataclass(frozen=True, slots=True)
class _Region:
    """What is to stay in one piece: text[start:end].

    Attributes:
        body: where its content begins; `tail`: where that ends.
        opener: opens the same again in the next part; `closer` ends it in this one.
    """

    start: int
    body: int
    tail: int
    end: int
    opener: str = ""
    closer: str = ""


def size(text: str) -> int:
    """Return how much of a channel's limit *text* takes.

    In UTF-16 units, as JavaScript counts, with what escaping for Liquid adds.
    """
    return len(text) + sum(c > "\uffff" for c in text) + len(LIQUID.findall(text))


def split(text: str, limit: int) -> list[str]:
    """Return *text* in parts of at most *limit*, in order, none of them blank.

    Nothing is lost but white space where it was cut. A text that fits is one part,
    as it is.

    Args:
        limit: in units of `size`, at least 32.
    """
    if size(text) <= limit or not text.strip():
        return [text]
    parts = []
    rest = text.strip("\n").rstrip()
    while len(rest) > limit or size(rest) > limit:
        head, rest = _cut(rest, limit)
        parts.append(head.rstrip())
        rest = rest.lstrip("\n")
    parts.append(rest)
    return [part for part in parts if part.strip()]


def _cut(text: str, limit: int) -> tuple[str, str]:
    """Return the first part of a text that is too long, and the rest."""
    # Whatever begins in the first part and does not end in here has to be cut.
    window = text[: 2 * limit]
    regions = list(_regions(window, limit))
    end = _room(window, limit)
    for breaks in BREAKS:
        if (found := _last(breaks, window, end, regions)) is not None:
            head_end, rest_start = found
            return text[:head_end], text[rest_start:]
    inside = next((r for r in regions if r.start < end < r.end), None)
    if inside is None:
        end = cluster_start(text, end)
        return text[:end], text[end:]
    if inside.start > 0:
        return text[: inside.start], text[inside.start :]
    # A brace before the closer's back-tick is escaped, too.
    return _cut_inside(text, inside, _room(window, limit - len(inside.closer) - 1))


def _last(
    breaks: re.Pattern[str], window: str, end: int, regions: Sequence[_Region]
) -> tuple[int, int] | None:
    """Return the last break up to *end* that is outside of all *regions*."""
    starts = [region.start for region in regions]
    begin = len(window) - len(window.lstrip())
    found = None
    for match in breaks.finditer(window):
        start, stop = match.span(match.lastindex or 0)
        if start > end:
            break
        before = bisect_left(starts, stop) - 1
        is_inside = before >= 0 and regions[before].end > start
        if not is_inside and start > begin:
            found = start, stop
    return found


def _cut_inside(text: str, region: _Region, room: int) -> tuple[str, str]:
    """Cut *region*, with which *text* begins: at a line, a word, or anywhere."""
    first, last = region.body + 1, min(room, region.tail)
    at = text.rfind("\n", first, last + 1)
    if at < 0:
        at = text.rfind(" ", first, last + 1)
    rest_start = at + 1
    if at < 0:
        at = rest_start = max(cluster_start(text, last), first)
    head = text[:at] + region.closer
    if rest_start >= region.tail:
        return head, text[region.end :]
    return head, region.opener + text[rest_start:]


def _room(window: str, limit: int) -> int:
    """Return how many characters of *window* fit into *limit*."""
    weights = [1 + (character > "\uffff") for character in window]
    for match in LIQUID.finditer(window):
        weights[match.start()] += 1
    return bisect_right(list(accumulate(weights)), limit)


def _regions(window: str, limit: int) -> Iterator[_Region]:
    """Yield what is to stay in one piece, in order, without overlaps."""
    position = 0
    for fence in _fences(window, limit):
        yield from _spans(window, position, fence.start, limit)
        yield fence
        position = fence.end
    yield from _spans(window, position, len(window), limit)


def _fences(window: str, limit: int) -> Iterator[_Region]:
    """Yield the fenced blocks; one without an end goes to the end of the text."""
    position = 0
    while (opening := FENCE.search(window, position)) is not None:
        line, mark = opening.group().rstrip(), opening["mark"]
        position = opening.end()
        if size(line) > limit // 4:
            continue  # no room for it in every part
        # As long as the one that opened the block, or longer.
        closings = CLOSING_FENCE.finditer(window, position)
        closing = next((c for c in closings if c["mark"].startswith(mark)), None)
        end = closing.end() if closing else len(window)
        yield _Region(
            start=opening.start(),
            body=opening.end() + 1,
            tail=closing.start() - 1 if closing else end,
            end=end,
            opener=f"{line}\n",
            closer=f"\n{opening['indent']}{mark}",
        )
        position = end


def _spans(window: str, start: int, end: int, limit: int) -> Iterator[_Region]:
    """Yield code spans, links and bold text between two positions."""
    code_ends = _code_ends(window, start, end)
    position = start
    while (match := SPAN.search(window, position, end)) is not None:
        mark = match["ticks"] or match["bold"] or ""
        position = match.end()
        if match["ticks"]:
            code_end = code_ends.get(match.start())
            if code_end is None:
                continue
            position = code_end
        if len(mark) <= limit // 4:
            yield _Region(
                start=match.start(),
                body=match.start() + len(mark),
                tail=position - len(mark),
                end=position,
                opener=mark,
                closer=mark,
            )


def _code_ends(window: str, start: int, end: int) -> dict[int, int]:
    """Return where a code span ends, by where it would begin.

    At the next back-ticks of the same number, if there is no blank line before them.
    """
    ends: dict[int, int] = {}
    # From the end: the next ones of each number, in the same paragraph.
    following: dict[int, int] = {}
    for match in reversed(list(TICKS_OR_GAP.finditer(window, start, end))):
        length = len(match["ticks"] or "")
        if not length:
            following.clear()
            continue
        if length in following:
            ends[match.start()] = following[length]
        following[length] = match.end()
    return ends


TICKS_OR_GAP = re.compile(r"(?P<ticks>`++)|\n[ \t]*+(?=\n)")
CLOSING_FENCE = re.compile(r"^[ \t]*+(?P<mark>`{3,}+|~{3,}+)[ \t]*+$", re.MULTILINE)
FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})(?P<info>[^\n`]*)$", re.MULTILINE
)
SPAN = re.compile(
    # where `code` may begin; where it ends, `_code_ends` knows
    r"(?P<ticks>`++)"
    # [text](address "title"), the address with one level of brackets
    r"|!?\[[^\[\]\n]+\]\([^\s()]*(?:\([^\s()]*\)[^\s()]*)*(?: +\"[^\"\n]*\")?\)"
    # **bold**
    r"|(?<![*\w])(?P<bold>\*\*)(?=[^\s*])[^*\n]+?(?<=\S)\*\*",
    re.DOTALL,
)
# The best first; what the last group matches goes away.
BREAKS = (
    re.compile(r"(?<![ \t])[ \t]*+\n(?:[ \t]*+\n)++"),
    re.compile(r"(?<![ \t])[ \t]*+\n"),
    # Not after "1.", which begins an item of a list.
    re.compile(r"(?<!\d)[.!?…][\"'”’»)*_]*([ \t]+)|[。！？]()"),  # noqa: RUF001
    re.compile(r"[ \t]+"),
)
