"""Read a CSV file: each row becomes a line that says what its values are.

A row alone, cut from its head, would mean nothing.
"""

import csv
import itertools
from collections.abc import Iterator, Sequence

# Of the result. With its head each row is longer than it was.
MAX_CHARS = 2_000_000
MAX_COLUMNS = 100
# Of a value.
MAX_VALUE = 10_000
DELIMITERS = (",", ";", "\t", "|")


def lines_of(text: str) -> str:
    """Return a line for each row, such as ``- Size: L; Price: 12.50``.

    What is no CSV stays as it is.
    """
    text = text.removeprefix("\ufeff")
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        rows = list(_rows(text, delimiter))
    except csv.Error:
        return text
    if not rows:
        return ""
    head, *rest = rows
    if not rest or not _is_head(head):
        return _bounded(" | ".join(filter(None, row)) for row in rows)
    return _bounded(_line(head, row) for row in rest)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows that hold anything.

    Raises:
        csv.Error: a quotation does not end.
    """
    csv.field_size_limit(MAX_CHARS)
    for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter):
        values = [" ".join(value[:MAX_VALUE].split()) for value in row[:MAX_COLUMNS]]
        if any(values):
            yield values


def _is_head(row: Sequence[str]) -> bool:
    """Return whether a row names columns: all, each once, none a number."""
    return (
        len(row) > 1
        and all(row)
        and len(set(row)) == len(row)
        and not any(value[0].isdigit() for value in row)
    )


def _line(head: Sequence[str], row: Sequence[str]) -> str:
    named = itertools.zip_longest(head, row[: len(head)], fillvalue="")
    pairs = [f"{name}: {value}" for name, value in named if value]
    return "; ".join([*pairs, *filter(None, row[len(head) :])])


def _bounded(lines: Iterator[str]) -> str:
    """Return *lines* until there is enough."""
    taken: list[str] = []
    size = 0
    for line in lines:
        size += len(line) + 3
        if size > MAX_CHARS:
            break
        taken.append(f"- {line}")
    return "\n".join(taken)
