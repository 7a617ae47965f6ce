"""`chatwoot-bot doctor`: what is wrong, and what mends it."""

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from .. import envfile
from ..doctor.examination import examine
from ..doctor.findings import Finding, Level, fail, warn
from ..doctor.subject import Subject
from ..envfile import EnvFile
from ..errors import SettingsError
from ..http import make_client
from ..settings import Settings
from .console import VisibleConsole
from .environment import ENV_FILE, doubts
from .questions import checked_url
from .terminal import echo

LOOKS = {
    Level.OK: ("✓", "green"),
    Level.SKIP: ("-", "dim"),
    Level.WARN: ("!", "yellow"),
    Level.FAIL: ("✗", "red"),
}
UNUSABLE = 2  # the exit code for settings that cannot be read

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
PublicUrl = Annotated[
    str | None,
    typer.Option(help="Where Chatwoot reaches this service. Default: PUBLIC_URL."),
]
EnvFileName = Annotated[
    Path | None, typer.Option(help="The file with the settings. Default: .env.")
]


def doctor(
    as_json: AsJson = False,
    public_url: PublicUrl = None,
    env_file: EnvFileName = None,
) -> None:
    """Check the settings, Chatwoot, the model and the database.

    Ends with 0 when nothing fails, 1 when something does, and 2 when the settings
    cannot be used at all. Nothing is changed and no secret is printed.
    """
    file = EnvFile()
    try:
        url = checked_url("--public-url", public_url) if public_url else None
        file = _read(env_file)
        settings = Settings.load(os.environ, env_file=file)
    except SettingsError as error:
        unusable = [_unusable(*item) for item in error.problems.items()]
        _report([*unusable, *_doubtful(file)], as_json)
        raise typer.Exit(UNUSABLE) from error
    doubtful = _doubtful(file)
    file.share(os.environ)  # as serve does: own code is loaded
    findings = asyncio.run(_examine(settings, url))
    _report([*doubtful, *findings], as_json)
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(1)


def _read(named: Path | None) -> EnvFile:
    if named is not None and not named.exists():
        raise SettingsError({"--env-file": f"names {named}, which is not there"})
    return envfile.read(named or ENV_FILE)


def _doubtful(file: EnvFile) -> list[Finding]:
    mend = f"mend that line of {file.name}, or take it out"
    return [
        warn("settings", f"{name} {why}", setting=name, mend=mend)
        for name, why in doubts(file, os.environ).items()
    ]


def _unusable(name: str, problem: str) -> Finding:
    mend = "mend it in the environment or in .env"
    if name.startswith("--"):
        mend = "give another one"
    elif name != name.upper():
        mend = "mend that file"
    if ":" in name:
        mend = "mend that line"
    if name.startswith("CHATWOOT_"):
        mend = "run chatwoot-bot setup, which writes what Chatwoot needs to .env"
    return fail("settings", f"{name} {problem}", setting=name, mend=mend)


async def _examine(settings: Settings, public_url: str | None) -> list[Finding]:
    async with make_client() as http:
        return await examine(
            Subject(settings=settings, http=http, public_url=public_url)
        )


def _report(findings: list[Finding], as_json: bool) -> None:
    if as_json:
        fine = all(finding.level is not Level.FAIL for finding in findings)
        checks = [asdict(finding) for finding in findings]
        echo(json.dumps({"ok": fine, "checks": checks}, indent=2))
        return
    console = VisibleConsole(highlight=False, soft_wrap=True)
    for finding in findings:
        console.print(_line(finding))
    count = {level: sum(f.level is level for f in findings) for level in Level}
    console.print(f"{count[Level.FAIL]} to mend, {count[Level.WARN]} to look at.")


def _line(finding: Finding) -> Text:
    sign, colour = LOOKS[finding.level]
    line = Text(f"{sign} {finding.check:<10} ", style=colour)
    line.append(finding.message, style="default" if finding.mend else "")
    if finding.mend:
        setting = f"{finding.setting}: " if finding.setting else ""
        line.append(f"\n  → {setting}{finding.mend}", style="bold")
    return line
