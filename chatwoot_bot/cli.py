"""The commands: `chatwoot-bot serve` is the default."""

from typing import Annotated

import typer

from . import __version__
from .commands.doctor import doctor
from .commands.replay import replay
from .commands.serve import serve
from .commands.setup import setup
from .commands.simulate import simulate
from .commands.worker import worker

app = typer.Typer(
    help="An AI assistant in front of a Chatwoot inbox.",
    no_args_is_help=False,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    add_completion=False,
)
app.command()(serve)
app.command()(worker)
app.command()(setup)
app.command()(doctor)
app.command()(replay)
app.command()(simulate)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, help="Show the version.")
    ] = False,
) -> None:
    """Serve when no command is given."""
    if context.invoked_subcommand is None:
        serve()


def main() -> None:
    """Run the command line."""
    app()
