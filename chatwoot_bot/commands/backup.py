"""`chatwoot-bot backup`: one file that holds the whole database."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ChatwootBotError
from ..store.backup import back_up
from .environment import load_settings
from .terminal import echo

File = Annotated[Path, typer.Argument(help="The new file; it must not exist.")]


def backup(file: File) -> None:
    """Write the database to one file, beside a running service.

    SQLite: a database of its own, to start from. PostgreSQL: an archive for pg_restore.
    """
    settings = load_settings()
    try:
        # Past a pooler: pg_dump needs a session of its own.
        back_up(settings.listen_url or settings.database_url.get_secret_value(), file)
    except ChatwootBotError as error:
        echo(f"no backup was made: {error}", fg="red", err=True)
        raise typer.Exit(1) from error
    echo(f"The database is in {file} ({file.stat().st_size:,} bytes).")
