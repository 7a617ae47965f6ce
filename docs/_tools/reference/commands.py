"""The commands, as typer knows them."""

from collections.abc import Iterator
from typing import Any

import typer

from chatwoot_bot.cli import app

from .tables import code, plain, table


def text() -> str:
    """Return a section for each command, and for each command of a group."""
    root = typer.main.get_command(app)
    return "\n".join(_sections(root, "chatwoot-bot"))


def _sections(group: Any, prefix: str) -> Iterator[str]:
    context = typer.Context(group, info_name=prefix)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        path = f"{prefix} {name}"
        yield _section(command, path)
        if hasattr(command, "list_commands"):
            yield from _sections(command, path)


def _section(command: Any, path: str) -> str:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    rows = [_row(each) for each in shown]
    usage = " ".join([path, *_arguments(shown)])
    options = any(each.param_type_name == "option" for each in shown)
    parts = [
        f"## {path.removeprefix('chatwoot-bot ')}",
        f"```text\n{usage}{' [OPTIONS]' if options else ''}\n```",
        "\n\n".join(plain(part) for part in (command.help or "").split("\n\n")),
        table(("Option", "Meaning", "Default", "Variable"), rows),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _arguments(parameters: list[Any]) -> Iterator[str]:
    for each in parameters:
        if each.param_type_name == "argument":
            name = each.name.upper()
            yield name if each.required else f"[{name}]"


def _row(each: Any) -> tuple[str, str, str, str]:
    is_option = each.param_type_name == "option"
    names = [*each.opts, *each.secondary_opts] if is_option else [each.name.upper()]
    needed = " Required." if is_option and each.required else ""
    return (
        ", ".join(code(name) for name in names),
        plain(each.help or "") + needed,
        _default(each),
        code(each.envvar or ""),
    )


def _default(each: Any) -> str:
    if each.default is None or isinstance(each.default, bool) or callable(each.default):
        positive = each.opts[0] if each.default is True else ""
        return code(positive)
    return code(each.default)
