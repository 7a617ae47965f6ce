"""Where the commands find the settings: the environment, and `.env` beside it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import structlog
import typer

from .. import envfile, logs
from ..envfile import EnvFile
from ..errors import ChatwootBotError, SettingsError
from ..settings import Settings
from .terminal import echo

ENV_FILE = Path(".env")
WORD = re.compile(r"\w+")

log = structlog.get_logger(__name__)


def load_settings() -> Settings:
    """Return the settings of the environment and `.env`, or exit and say why not."""
    try:
        return Settings.load(os.environ, env_file=ENV_FILE)
    except SettingsError as error:
        raise refused(error) from error


def begin(**overrides: object) -> Settings:
    """Return the settings of a service that begins to run, or exit and say why not.

    Logs are set up then, and code of the operator's own finds in the environment what
    `.env` says.

    Args:
        overrides: what stands above both, by field; None leaves it.
    """
    given = {name.upper(): str(v) for name, v in overrides.items() if v is not None}
    file = EnvFile()
    try:
        file = envfile.read(ENV_FILE)
        settings = Settings.load({**os.environ, **given}, env_file=file)
    except SettingsError as error:
        for name, why in doubts(file, os.environ).items():
            echo(f"{name} {why}", fg="yellow", err=True)
        raise refused(error) from error
    logs.configure(settings.log_level, settings.log_format)
    for name, why in doubts(file, os.environ).items():
        log.warning("not heeded in the .env file", name=name, why=why)
    file.share(os.environ)
    return settings


def refused(error: ChatwootBotError) -> typer.Exit:
    """Say why the start is refused; return the end, with 2 for unusable settings."""
    echo(f"chatwoot-bot cannot start: {error}", fg="red", err=True)
    return typer.Exit(2 if isinstance(error, SettingsError) else 1)


def doubts(file: EnvFile, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what in *file* is most likely not meant so: name or line → why.

    `BOTS_FILE` may name variables of any name, for tokens.
    """
    bots = environ.get("BOTS_FILE") or file.values.get("BOTS_FILE") or ""
    try:
        text = Path(bots.strip()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    settings = [name.upper() for name in Settings.model_fields]
    return file.doubts(settings, set(WORD.findall(text)))
