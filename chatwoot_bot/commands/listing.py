"""Show rows: as a table in a terminal, as lines with tabs in a pipe, or as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .terminal import echo

Row = Mapping[str, Any]


def show_json(rows: Sequence[Row]) -> None:
    """Print *rows* as a list of objects; all but ASCII is escaped."""
    echo(json.dumps(rows, indent=2))


def show_rows(console: Console, rows: Sequence[Row]) -> None:
    """Print *rows*, which all have the columns of the first one.

    In a pipe there is one line for each, without a head: nothing is cut or wrapped.
    """
    if not console.is_terminal:
        for row in rows:
            echo("\t".join(" ".join(str(value).split()) for value in row.values()))
        return
    table = Table()
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row.values()))
    console.print(table)
