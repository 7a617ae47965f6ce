"""Load the settings of the commands from the environment and `.env`."""

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
    """Return the settings of the environment and `.env`, or exit with the reason."""
    try:
        return Settings.load(os.environ, env_file=ENV_FILE)
    except SettingsError as error:
        raise refused(error) from error


def begin(**overrides: object) -> Settings:
    """Return the settings of a service that starts, or exit with the reason.

    Set up logging, and export `.env` to the environment for the operator's own code.

    Args:
        overrides: values that replace both, by field; None leaves a setting.
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
        log.warning(".env entry ignored", name=name, why=why)
    file.share(os.environ)
    return settings


def refused(error: ChatwootBotError) -> typer.Exit:
    """Print why the start is refused; return exit code 2 for invalid settings."""
    echo(f"chatwoot-bot cannot start: {error}", fg="red", err=True)
    return typer.Exit(2 if isinstance(error, SettingsError) else 1)


def doubts(file: EnvFile, environ: Mapping[str, str]) -> dict[str, str]:
    """Return probable mistakes in *file*: name or line → reason.

    `BOTS_FILE` may name variables of any name, for tokens.
    """
    bots = environ.get("BOTS_FILE") or file.values.get("BOTS_FILE") or ""
    try:
        text = Path(bots.strip()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    settings = [name.upper() for name in Settings.model_fields]
    return file.doubts(settings, set(WORD.findall(text)))
