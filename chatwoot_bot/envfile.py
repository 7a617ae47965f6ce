"""Read a `.env` file; write settings into one and leave all else in it as it is.

Comments, order and line endings stay; a setting that has a line keeps its place. The
file appears whole or not at all, and only its owner can read it.
"""

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import dotenv
from dotenv.parser import Binding, parse_stream

from .errors import SettingsError

OWNER_ONLY = 0o600
PLAIN = re.compile(r"[\w./:,@%+=-]*", re.ASCII)
# Up to the value, the value, and a comment behind it; as python-dotenv reads a line.
LINE = re.compile(
    r"""\A(?P<head>\s*+(?:export[^\S\r\n]++)?['"]?[^=\s'"]++['"]?[^\S\r\n]*+=?+
            (?:[^\S\r\n]++(?=[^\s#]))?+)
        (?P<value>'(?:\\'|[^'])*'|"(?:\\"|[^"])*"
            |(?:\S++|[^\S\r\n]++(?![\#\r\n]|\Z))*+)
        (?P<tail>(?:[^\S\r\n]++\#[^\r\n]*+)?+[^\S\r\n]*+(?:\r\n|\n|\r)?)""",
    re.VERBOSE,
)
HEADING = "# Written by chatwoot-bot setup."
OURS = ("CHATWOOT_", "OPENAI_", "BOT_", "HANDOFF_", "BOOKING_")
# That `setup` reads, and the client of OpenAI's.
KNOWN = ("CHATWOOT_ADMIN_TOKEN", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_LOG")
# Which part of a name's letters must be right; fewer in one that looks like ours.
CLOSE, OURS_CLOSE = 0.8, 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvFile:
    """The content of a `.env` file.

    Attributes:
        name: for messages.
        values: by name.
        odd_lines: numbers of the lines that cannot be parsed.
    """

    name: str = ".env"
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    odd_lines: tuple[int, ...] = ()

    def doubts(
        self, settings: Collection[str], others: Collection[str] = ()
    ) -> dict[str, str]:
        """Return probable mistakes: name or line → reason.

        Args:
            settings: all names that the service reads.
            others: names that the bots file or the operator's code reads.
        """
        odd = {
            f"{self.name}:{line}": "is not a NAME=value line" for line in self.odd_lines
        }
        return odd | dict(self._strangers(settings, {*settings, *others, *KNOWN}))

    def _strangers(
        self, settings: Collection[str], known: Collection[str]
    ) -> Iterator[tuple[str, str]]:
        for name in self.values:
            upper = name.upper()
            if upper in known or name in known:
                continue
            is_ours = upper.startswith(OURS)
            cutoff = OURS_CLOSE if is_ours else CLOSE
            if meant := get_close_matches(upper, settings, 1, cutoff):
                yield name, f"is not a setting; did you mean {meant[0]}?"
            elif is_ours:
                yield name, "is not a setting"

    def share(self, environ: MutableMapping[str, str]) -> None:
        """Add missing variables to *environ*, for code that reads only that."""
        for name, value in self.values.items():
            if value:
                environ.setdefault(name, value)


def read(path: Path) -> EnvFile:
    """Return the content of the file at *path*, empty when there is no file.

    Raises:
        SettingsError: it cannot be read; the problem says how to fix it.
    """
    try:
        # A folder of that name may be a virtual environment.
        is_there = path.exists() and not path.is_dir()
        text = path.read_text(encoding="utf-8-sig") if is_there else ""
    except OSError as error:
        problem = f"cannot be read: {error.strerror}. Let this user read it"
        raise SettingsError({str(path): problem}) from error
    except UnicodeDecodeError:
        raise _not_utf8(path) from None  # it holds the secrets that it stumbled over
    if "\0" in text:  # UTF-16 without its mark
        raise _not_utf8(path)
    bindings = list(parse_stream(io.StringIO(text)))
    sound = "".join(each.original.string for each in bindings if not each.error)
    values = dotenv.dotenv_values(stream=io.StringIO(sound))
    return EnvFile(
        name=str(path),
        values={name: value for name, value in values.items() if value is not None},
        odd_lines=tuple(_line_number(each) for each in bindings if each.error),
    )


def _not_utf8(path: Path) -> SettingsError:
    return SettingsError(
        {str(path): "is not UTF-8 (PowerShell's > writes UTF-16); save it as UTF-8"}
    )


def _line_number(binding: Binding) -> int:
    """Return the number of the wrong line; its binding includes empty lines before."""
    text = binding.original.string
    before = text[: len(text) - len(text.lstrip())]
    return binding.original.line + before.count("\n")


def changed_names(path: Path, values: Mapping[str, str]) -> list[str]:
    """Return the names whose value in the file at *path* differs, in order."""
    there = read(path).values
    return [name for name, value in values.items() if there.get(name) != value]


def is_private(path: Path) -> bool:
    """Return whether only its owner can read the file, or there is none."""
    return not path.exists() or not path.stat().st_mode & 0o077


def write(path: Path, values: Mapping[str, str]) -> None:
    """Set *values* in the file at *path*, which need not exist.

    Raises:
        SettingsError: the file cannot be read or written, or cannot hold a value; it
            is as it was.
    """
    try:
        real = path.resolve()  # a link stays a link
        text = _read(real)
        wanted = {name: values[name] for name in changed_names(real, values)}
        changed = updated(text, wanted)
        _replace(real, changed)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise SettingsError({str(path): f"cannot be written: {why}"}) from error


def updated(text: str, values: Mapping[str, str]) -> str:
    """Return *text*, the content of a `.env` file, with *values* set in it.

    Raises:
        SettingsError: a value cannot be written so that it is read back the same.
    """
    bindings = list(parse_stream(io.StringIO(text, newline="")))
    # Of several lines for one name the last one counts.
    last = {binding.key or "": index for index, binding in enumerate(bindings)}
    lines = [
        _line(binding, values[name])
        if (name := binding.key or "") in values and last[name] == index
        else binding.original.string
        for index, binding in enumerate(bindings)
    ]
    new = {name: value for name, value in values.items() if name not in last}
    result = _append("".join(lines), new)
    back = dotenv.dotenv_values(stream=io.StringIO(result))
    wrong = [name for name, value in values.items() if back.get(name) != value]
    if wrong:
        raise SettingsError(dict.fromkeys(wrong, "cannot be written to a .env file"))
    return result


def _line(binding: Binding, value: str) -> str:
    found = LINE.fullmatch(binding.original.string)
    if found is None:
        return f"{binding.key}={_quoted(value)}\n"
    head = found["head"] if "=" in found["head"] else found["head"] + "="
    return head + _quoted(value) + found["tail"]


def _append(text: str, values: Mapping[str, str]) -> str:
    if not values:
        return text
    end = "\r\n" if "\r\n" in text else "\n"
    lines = [f"{name}={_quoted(value)}" for name, value in values.items()]
    before = text
    if text:
        before += (end if not text.endswith(("\n", "\r")) else "") + end
    return before + end.join([HEADING, *lines]) + end


def _quoted(value: str) -> str:
    if PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _read(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _replace(path: Path, text: str) -> None:
    """Put *text* in the place of the file in one step."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(OWNER_ONLY)
        if path.exists():
            # Run as root, it must not become a file that the service cannot read.
            before = path.stat()
            with contextlib.suppress(PermissionError):
                os.chown(temporary, before.st_uid, before.st_gid)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
