"""How commands write lines to a terminal: text of others cannot move it.

A contact's words, a document's title or another server's error may hold what clears the
screen, sets its title or writes to the clipboard. Every command prints through `echo`,
or through `console`, which is apart because the service itself does without rich.
"""

from typing import Any

import typer

from ..core.text import visible


def echo(text: str, *, err: bool = False, **style: Any) -> None:
    """Print a line; *style* as in `typer.secho`."""
    typer.secho(visible(text), err=err, **style)
