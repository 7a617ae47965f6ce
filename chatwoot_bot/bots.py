"""`bots.toml` (`BOTS_FILE`): many inboxes, many bots.

`read` checks keys, types, and the environment variables and files that are named.
`Settings.load` checks values, such as a URL or a time zone, with the rules of the
settings that they replace. All problems are found in one pass, each with its line.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, get_args

import pydantic

from .core.conversation import Inbox
from .core.endpoint import Endpoint
from .core.rules import Rule, When, attribute_mark, contact_mark, label_mark
from .endpoints import HttpTool
from .language import languages
from .tables import TABLE, Text, Variable

# The bot of our own web chat, which is not an inbox of Chatwoot.
WEB = "web"
Key = tuple[str | int, ...]

# A setting → the key of a bot's table that stands in for it.
KEYS: Mapping[str, Key] = {
    "bot_name": ("name",),
    "company_name": ("company",),
    "system_prompt": ("prompt",),
    "system_prompt_file": ("prompt_file",),
    "bot_rules": ("guardrails",),
    "contact_attributes": ("contact_attributes",),
    "remember_contacts": ("remember_contacts",),
    "ignore_contacts": ("ignore_contacts",),
    "recover": ("recover",),
    "openai_model": ("model",),
    "openai_base_url": ("base_url",),
    "openai_api_key": ("api_key_env",),
    "openai_fallback_model": ("fallback_model",),
    "openai_fallback_base_url": ("fallback_base_url",),
    "openai_fallback_api_key": ("fallback_api_key_env",),
    "chatwoot_api_token": ("token_env",),
    "chatwoot_webhook_secret": ("secret_env",),
    "business_hours": ("business_hours",),
    "timezone": ("timezone",),
    "booking_url": ("booking_url",),
    "calcom_event_type_id": ("calcom_event_type",),
    "knowledge_dir": ("knowledge",),
    "tools": ("tools",),
    "tool_labels": ("tool_labels",),
    "max_bot_turns": ("handoff", "max_turns"),
    "contact_messages_per_hour": ("handoff", "max_messages_per_hour"),
    "max_cost_per_conversation": ("handoff", "max_cost"),
    "agents_language": ("agents_language",),
    "handoff_message": ("handoff", "message"),
    "handoff_keywords": ("handoff", "keywords"),
    "handoff_team_id": ("handoff", "team"),
    "handoff_assignee_id": ("handoff", "assignee"),
    "handoff_priority": ("handoff", "priority"),
    "handoff_labels": ("handoff", "labels"),
    "handoff_attributes": ("handoff", "attributes"),
}
# They hold the name of an environment variable, never the secret itself.
SECRETS = (
    "openai_api_key",
    "openai_fallback_api_key",
    "chatwoot_api_token",
    "chatwoot_webhook_secret",
)
# Relative to the folder of the file.
PATHS = ("system_prompt_file", "knowledge_dir")


def _inboxes(value: list[Any]) -> list[Inbox]:
    for each in value:
        number = isinstance(each, int) and not isinstance(each, bool) and each > 0
        if not number and each != WEB:
            raise ValueError(
                f'contains {each!r}; use the ids of Chatwoot\'s inboxes and "{WEB}"'
            )
    if not value:
        raise ValueError("is empty; leave it out for all inboxes without another bot")
    return value


def _languages(value: list[str]) -> list[str]:
    for code in value:
        if code not in languages():
            raise ValueError(f"{code!r} is not one of {', '.join(languages())}")
    return value


def _words(value: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of custom attributes as text."""
    words = {}
    for name, each in value.items():
        if not isinstance(each, str | int | float):
            raise ValueError(f"{name} must be a text, a number, true or false")
        words[name] = str(each).lower() if isinstance(each, bool) else str(each)
    return words


MODULE = r"\w++(?:\.\w++)*+"
MODULES = re.compile(rf"\A{MODULE}(?:\s*+,\s*+{MODULE})*+")


def _modules(value: str) -> str:
    if not MODULES.fullmatch(value):
        raise ValueError("must be a module, such as package.module; several by commas")
    return value


Texts = list[Text]
Attributes = Annotated[dict[str, Any], pydantic.AfterValidator(_words)]
Modules = Annotated[Text, pydantic.AfterValidator(_modules)]


class _Table(pydantic.BaseModel):
    model_config = TABLE


class _Rule(_Table):
    because: Text | None = None
    says: Texts = []
    labels: Texts = []
    attributes: Attributes = {}
    contacts: Texts = []
    ignore: bool = False
    hours: Annotated[When, pydantic.Strict(False)] | None = None
    first_message: bool = False
    unsupported: bool = False

    def conditions(self) -> dict[str, Any]:
        """Return what the rule names, by its keys."""
        named = self.model_dump(exclude={"because", "ignore"}, exclude_defaults=True)
        return {name: value for name, value in named.items() if value}


class _Handoff(_Table):
    message: Text | None = None
    keywords: Texts | None = None
    team: int | None = None
    assignee: int | None = None
    priority: Text | None = None
    labels: Texts | None = None
    attributes: Attributes | None = None
    max_turns: int | None = None
    max_messages_per_hour: int | None = None
    max_cost: Annotated[float, pydantic.Strict(False)] | None = None
    rules: list[_Rule] = []


class _Bot(_Table):
    inboxes: Annotated[list[Any], pydantic.AfterValidator(_inboxes)] = []
    name: Text | None = None
    company: Text | None = None
    prompt: Text | None = None
    prompt_file: Text | None = None
    guardrails: Texts | None = None
    contact_attributes: Texts | None = None
    remember_contacts: bool | None = None
    ignore_contacts: Texts | None = None
    recover: Text | None = None
    model: Text | None = None
    base_url: Text | None = None
    api_key_env: Variable | None = None
    fallback_model: Text | None = None
    fallback_base_url: Text | None = None
    fallback_api_key_env: Variable | None = None
    token_env: Variable | None = None
    secret_env: Variable | None = None
    languages: Annotated[Texts, pydantic.AfterValidator(_languages)] = []
    agents_language: Text | None = None
    business_hours: Text | None = None
    timezone: Text | None = None
    booking_url: Text | None = None
    calcom_event_type: int | None = None
    knowledge: Text | None = None
    tools: Modules | None = None
    tool_labels: Texts | None = None
    http_tools: list[HttpTool] = []
    handoff: _Handoff = _Handoff()


class _File(_Table):
    bots: list[_Bot] = []


class Source:
    """The text of a file, to find the line of a key."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines = [f"{line}\n" for line in text.split("\n")]

    def place(self, key: Key) -> str:
        """Return where *key* is, such as ``bots.toml:12 handoff.team``."""
        shown = ""
        for part in key[2:] if key[:1] == ("bots",) else key:
            shown += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
        return f"{self.path}:{self.line(key)} {shown[1:] or 'bots'}"

    def line(self, key: Key) -> int:
        """Return the line of *key*, or of what it would stand in, from 1."""
        for length in range(len(key), 0, -1):
            for line, content in self._statements:
                if _lookup(content, key[:length]) is not None:
                    return line
        return 1

    @cached_property
    def _statements(self) -> Sequence[tuple[int, Mapping[str, Any]]]:
        """Return for each statement its first line, and the content up to its end.

        tomllib reports no positions. But text that ends in the middle of a statement
        cannot be parsed, so the shortest beginning of the file that has a key ends
        with the statement that sets it.
        """
        found: list[tuple[int, Mapping[str, Any]]] = []
        first = 1
        for number in range(1, len(self._lines) + 1):
            try:
                content = tomllib.loads("".join(self._lines[:number]))
            except tomllib.TOMLDecodeError:
                continue
            found.append((first, content))
            first = number + 1
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One bot of the file.

    Attributes:
        settings: values that replace the environment's settings, by field.
        languages: codes; all when empty.
        rules: that hand over.
        endpoints: that the model may call.
        key: of its table.
    """

    settings: Mapping[str, Any]
    inboxes: tuple[Inbox, ...]
    languages: tuple[str, ...]
    rules: tuple[Rule, ...]
    endpoints: tuple[Endpoint, ...]
    key: Key


@dataclass(slots=True)
class Reading:
    """The content of a file, and its problems.

    Attributes:
        unreadable: why the file as a whole cannot be used: place → problem.
    """

    source: Source
    unreadable: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    _wrong: dict[Key, str] = field(default_factory=dict)

    def refuse(self, key: Key, problem: str) -> None:
        """Add a problem and its fix; only the first problem of a key is stored."""
        self._wrong.setdefault(key, problem)

    def is_wrong_within(self, key: Key) -> bool:
        """Return whether a part of the table at *key* is refused."""
        return any(wrong[: len(key)] == key for wrong in self._wrong)

    @property
    def problems(self) -> dict[str, str]:
        """Return the problems from top to bottom: place → problem."""
        wrong = sorted(self._wrong.items(), key=lambda item: self.source.line(item[0]))
        return self.unreadable | {self.source.place(key): text for key, text in wrong}


def read(path: Path, variables: Mapping[str, str]) -> Reading:
    """Read the file.

    Args:
        variables: the environment and `.env`, for the names in the file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # as some editors write it
        content = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problem = f"names a file that cannot be read ({path}): {why}"
        return Reading(Source(path, ""), {"BOTS_FILE": problem})
    except tomllib.TOMLDecodeError as error:
        return Reading(Source(path, ""), dict([_broken(path, text, str(error))]))
    reading = Reading(Source(path, text))
    if not content:
        reading.refuse((), "has no bot; write at least one table [[bots]]")
    file = _checked(content, reading)
    for number, bot in enumerate(file.bots):
        key: Key = ("bots", number)
        reading.entries.append(_entry(key, bot, variables, reading))
    _refuse_shared(reading)
    return reading


ONE_LINE = re.compile(r"[ -~]+")
PLACE = re.compile(r"line (\d{1,18}), column (\d{1,18})")


def _broken(path: Path, text: str, said: str) -> tuple[str, str]:
    """Return (place, problem) for an error message of tomllib."""
    what, _, where = said.removesuffix(")").rpartition(" (at ")
    found = PLACE.fullmatch(where)
    line = found[1] if found else text.rstrip().count("\n") + 1
    column = f" column {found[2]}" if found else ""
    return f"{path}:{line}{column}", f"is not valid TOML: {what}"


def _checked(content: dict[str, Any], reading: Reading) -> _File:
    """Check keys and types; return the file without the wrong entries."""
    try:
        return _File.model_validate(content)
    except pydantic.ValidationError as error:
        items = error.errors(include_input=False, include_url=False)
    for item in items:
        reading.refuse(item["loc"], _words_for(item))
    for item in reversed(items):  # so that the numbers before them stay right
        _remove(content, item["loc"], is_table=item["type"] == "model_type")
    return _File.model_validate(content)


MUST_BE = {
    "string_type": 'must be a text in "quotes"',
    "int_type": "must be a whole number without quotes",
    "bool_type": "must be true or false",
    "list_type": "must be a list in [brackets]",
    "dict_type": 'must be a table, such as { plan = "gold" }',
    "model_type": "must be a table",
    "string_too_short": "is empty; leave it out for the environment's",
    "enum": f"must be one of {', '.join(When)}",
}
TABLES = ("bots", "rules", "http_tools")


def _words_for(item: Any) -> str:
    if item["type"] == "list_type" and item["loc"][-1] in TABLES:
        return "must be a list of tables; write its name in [[double brackets]]"
    if item["type"] != "extra_forbidden":
        message: str = item["msg"].removeprefix("Value error, ")
        return MUST_BE.get(item["type"], message)
    known = list(_model_at(item["loc"][:-1]).model_fields)
    near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
    if near:
        return f"is not a known key; did you mean {near[0]}?"
    return f"is not a known key; use one of {', '.join(known)}"


def _model_at(key: Key) -> type[pydantic.BaseModel]:
    """Return the form of the table at *key*."""
    model: type[pydantic.BaseModel] = _File
    for part in key:
        if isinstance(part, str):
            model = _table_in(model.model_fields[part].annotation)
    return model


def _table_in(annotation: Any) -> type[pydantic.BaseModel]:
    inner = get_args(annotation)
    found: type[pydantic.BaseModel] = inner[0] if inner else annotation
    return found


def _remove(content: Any, key: Key, *, is_table: bool) -> None:
    """Remove what is at *key*; a table in a list keeps its place."""
    *around, last = key
    for part in around:
        content = content[part]
    if is_table and isinstance(last, int):
        content[last] = {}
    else:
        del content[last]


def _lookup(content: Any, key: Key) -> Any:
    """Return what is at *key*, or None."""
    for part in key:
        try:
            content = content[part]
        except (LookupError, TypeError):
            return None
    return content


def _entry(
    key: Key, bot: _Bot, variables: Mapping[str, str], reading: Reading
) -> Entry:
    written = bot.model_dump(exclude_none=True)
    settings: dict[str, Any] = {}
    for name, path in KEYS.items():
        if (value := _lookup(written, path)) is not None:
            settings[name] = value
    folder = reading.source.path.parent
    for name in settings.keys() & {*PATHS}:
        settings[name] = folder / settings[name]
    for name in [name for name in SECRETS if name in settings]:
        variable = settings.pop(name)
        if value := variables.get(variable):
            settings[name] = value
            continue
        problem = (
            f"the environment variable {variable} is not set; set it, or add it to"
        )
        reading.refuse((*key, *KEYS[name]), f"{problem} .env")
    if "handoff_attributes" in settings:
        settings["handoff_attributes"] = tuple(settings["handoff_attributes"].items())
    _settle_prompt(key, settings, reading)
    _settle_booking(settings)
    _settle_servers(settings)
    return Entry(
        settings=settings,
        inboxes=tuple(bot.inboxes),
        languages=tuple(bot.languages),
        rules=tuple(_rules((*key, "handoff", "rules"), bot.handoff.rules, reading)),
        endpoints=tuple(_endpoints((*key, "http_tools"), bot, variables, reading)),
        key=key,
    )


SERVER = ("openai_base_url", "openai_api_key")
SECOND = ("openai_fallback_base_url", "openai_fallback_api_key")


def _settle_servers(settings: dict[str, Any]) -> None:
    """Send no key or contact's text to a server that it is not meant for.

    A server without a key of its own gets none; a local server accepts any. And a bot
    with its own server does not fall back to the environment's fallback provider.
    """
    if settings.keys() & {*SERVER}:
        for name in (*SECOND, "openai_fallback_model"):
            settings.setdefault(name, None)
    for url, key in (SERVER, SECOND):
        if url in settings:
            settings.setdefault(key, None)


def _settle_prompt(key: Key, settings: dict[str, Any], reading: Reading) -> None:
    """Let the bot's own prompt, of either kind, replace the environment's."""
    file = settings.get("system_prompt_file")
    if file is None:
        if "system_prompt" in settings:
            settings["system_prompt_file"] = None
        return
    place = (*key, *KEYS["system_prompt_file"])
    if not file.is_file():
        reading.refuse(place, f"names a file that does not exist: {file}")
    elif "system_prompt" in settings:
        reading.refuse(place, "conflicts with prompt; leave one of them out")


def _settle_booking(settings: dict[str, Any]) -> None:
    """Let the bot's own way to book calls replace the environment's."""
    ways = {"booking_url", "calcom_event_type_id"}
    if own := ways & settings.keys():
        settings.update(dict.fromkeys(ways - own))


HANDS_OVER_ALL = "hand over every conversation"


def _rules(key: Key, rules: Sequence[_Rule], reading: Reading) -> Iterator[Rule]:
    for number, rule in enumerate(rules):
        conditions = rule.conditions()
        if not conditions and not reading.is_wrong_within((*key, number)):
            no_conditions = ("because", "ignore")
            fields = [name for name in _Rule.model_fields if name not in no_conditions]
            does = "ignore every contact" if rule.ignore else HANDS_OVER_ALL
            reading.refuse(
                (*key, number), f"would {does}; name one of {', '.join(fields)}"
            )
        shown = "; ".join(_shown(*condition) for condition in conditions.items())
        yield Rule(
            # One line: a note shows the conversation behind the first empty one.
            because=" ".join((rule.because or shown).split()),
            says=tuple(rule.says),
            labels=tuple(map(label_mark, rule.labels)),
            attributes=tuple(attribute_mark(*pair) for pair in rule.attributes.items()),
            contacts=tuple(map(contact_mark, rule.contacts)),
            ignore=rule.ignore,
            hours=rule.hours,
            first_message=rule.first_message,
            unsupported=rule.unsupported,
        )


def _endpoints(
    key: Key, bot: _Bot, variables: Mapping[str, str], reading: Reading
) -> Iterator[Endpoint]:
    names: set[str] = set()
    for number, tool in enumerate(bot.http_tools):
        place = (*key, number)
        if tool.name is None or tool.description is None or tool.url is None:
            if not reading.is_wrong_within(place):
                reading.refuse(place, "needs a name, a description and an url")
            continue
        if tool.name in names:
            reading.refuse((*place, "name"), f"there are two tools named {tool.name}")
        names.add(tool.name)
        endpoint = Endpoint(
            name=tool.name,
            description=tool.description,
            url=tool.url,
            method=tool.method,
            parameters=tuple(tool.parameters.values()),
            headers=tool.headers,
            secret_headers=dict(
                _secrets((*place, "headers_env"), tool, variables, reading)
            ),
            key_header=tool.idempotency_header,
            timeout_s=tool.timeout,
        )
        missing = sorted(endpoint.placed - tool.parameters.keys())
        if missing and not reading.is_wrong_within((*place, "parameters")):
            said = f"{{{missing[0]}}} is not a parameter; add it to parameters"
            reading.refuse((*place, "url"), said)
        if tool.method == "GET" and tool.idempotency_header:
            said = "has no effect on a GET, which changes nothing; leave it out"
            reading.refuse((*place, "idempotency_header"), said)
        yield endpoint


def _secrets(
    key: Key, tool: HttpTool, variables: Mapping[str, str], reading: Reading
) -> Iterator[tuple[str, str]]:
    for header, variable in tool.headers_env.items():
        value = variables.get(variable)
        if not value:
            said = (
                f"the environment variable {variable} is not set; set it, or add it to"
            )
            reading.refuse((*key, header), f"{said} .env")
        elif not ONE_LINE.fullmatch(value):
            said = f"{variable} must be ASCII, on one line; copy it again"
            reading.refuse((*key, header), said)
        else:
            yield header, value


def _shown(name: str, value: Any) -> str:
    """Return a condition as agents read it."""
    if isinstance(value, bool):
        return name.replace("_", " ")
    if isinstance(value, Mapping):
        value = [f"{one} = {content}" for one, content in value.items()]
    return f"{name}: {' or '.join(value) if isinstance(value, list) else value}"


def _refuse_shared(reading: Reading) -> None:
    """Refuse inboxes with two bots, and two bots for all other inboxes."""
    taken: dict[Inbox | None, Key] = {}
    for entry in reading.entries:
        for inbox in entry.inboxes or (None,):
            if inbox not in taken:
                taken[inbox] = entry.key
                continue
            line = reading.source.line(taken[inbox])
            if inbox is None:
                problem = f"names no inboxes, like the bot in line {line}"
                reading.refuse(
                    entry.key, f"{problem}; only one bot can serve all other inboxes"
                )
            else:
                problem = f"{inbox} already has a bot, in line {line}"
                reading.refuse(
                    (*entry.key, "inboxes"), f"{problem}; remove it from one of them"
                )
