"""Calls of tools that a model wrote as text. Pure.

A server whose parser does not know the model's form, or fails on it, passes the call
on as the answer. These forms are read:

- JSON, plain or in a code fence: ``{"name": …, "arguments": {…}}`` and its relatives
- ``Function Name: …`` and ``Function Arguments: {…}``; ``Action:`` likewise
- ``name(argument="…")``, of a tool that is offered
- what stands between markers such as ``<tool_call>``: JSON, a name and JSON, or tags
  for each parameter

The work is bounded by the length of the text.
"""

import ast
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# More than a model calls at once on purpose.
MAX_CALLS = 32
NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}")
NAMES = ("name", "function", "tool", "tool_name", "function_name", "action")
ARGUMENTS = (
    *("arguments", "parameters", "args", "kwargs"),
    *("input", "tool_input", "action_input"),
)
# All that a call of a tool that is not offered may have besides.
FORMAL = {"name", "function", "arguments", "parameters", "type", "id"}
PREFIX = "functions."
# Around or before a call that is written as in Python.
CALLERS = ("print(", "default_api.")

FENCE = re.compile(r"```[\w+-]{0,20}[ \t]{0,20}\r?\n")
# Before the labelled form, from models that were taught to think so.
THOUGHT = "thought:"
# The lines of the labelled form; what they begin with is in `LABELS`, too.
LABELS = (
    *("function name:", "function_name:", "function call:", "function_call:"),
    *("tool name:", "tool_name:", "tool call:", "tool_call:", "action:", THOUGHT),
)
LABELLED = re.compile(
    r"(?:(?:function|tool)[ _](?:name|call)|action):[*\s`]{0,20}"
    r"(?P<name>[A-Za-z_][\w.-]{0,63})[*\s`]{0,20}"
    r"(?:(?:function|tool)?[ _]?(?:arguments|parameters|input)|action[ _]input)?"
    r"[*\s:]{0,20}",
    re.IGNORECASE,
)
LABEL_BEHIND = re.compile(
    r"^[*# ]{0,4}(?:(?:function|tool)[ _](?:name|call)|action):",
    re.IGNORECASE | re.MULTILINE,
)
# A name in JSON that is broken or cut off.
NAMED = re.compile(
    r"""["'](?:name|function|tool)["']\s{0,20}:\s{0,20}["'](?P<name>[\w.-]{1,64})["']"""
)
OPENS = re.compile(r"[{\[]")
BETWEEN = re.compile(r"[\s;,]*+")
# Gemma's call:name{key:<|"|>value<|"|>}
BRACED = re.compile(r"call:[\w.-]{1,64}+\{")
QUOTES = re.compile(r"<\|\"\|>|<escape>")
KEY = re.compile(r"([{,]\s{0,8})([A-Za-z_]\w{0,63})\s{0,8}:")
PYTHON = re.compile(
    r"\A\[?\s{0,8}(?:print\()?(?:default_api\.)?(?P<name>[A-Za-z_][\w.-]{0,63}+)\s{0,8}+\("
)
# Of a call, or of one in a list, in a `print` or in a fence.
PYTHON_ENDS = (")", ")]")
TOKENS = re.compile(r"<[|\uff5c][\w\u2581/-]{1,40}[|\uff5c]>|\[[A-Z_]{3,20}\]")
# <function=name>, <invoke name="name">
FUNCTION = re.compile(r"<(?:function=|invoke name=)[\"']?([\w.-]{1,64})[\"']?\s?>")
PARAMETER = re.compile(
    r"<(?:parameter=|parameter name=)[\"']?([\w.-]{1,64})[\"']?[^<>\n]{0,40}>"
    r"|<arg_key>\s{0,8}([\w.-]{1,64})\s{0,8}</arg_key>\s{0,20}<arg_value>"
)
VALUE_ENDS = ("</parameter>", "</arg_value>")
# Characters: what is longer is no call, and `ast` takes its time.
LONGEST_PYTHON = 4_000
DECODER = json.JSONDecoder()
# What `ast` and `json` raise for a text that is neither, or is nested too deeply.
BROKEN = (ValueError, SyntaxError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class TextualCall:
    """A call as the model wrote it; `arguments` should be a JSON object."""

    name: str
    arguments: str


def calls_alone(text: str, tools: Collection[str]) -> list[TextualCall]:
    """Return the calls that *text* consists of; none if it is anything else.

    Args:
        tools: the names of those that are offered. A call of another tool counts only
            in its plainest form, as an answer may be JSON on purpose.
    """
    text = text.strip()
    if fence := FENCE.match(text):
        text = text[fence.end() :].removesuffix("```").strip()
    if text[:8].lower() == THOUGHT:
        return labelled_behind(text, tools)[1]
    if labelled := LABELLED.match(text.lstrip("*# ")):
        return _labelled(labelled, text.lstrip("*# "), tools)
    if text[:1] not in ("{", "["):
        return _python(text, tools)
    found, end = _values(text)
    read = [_call(value, tools, marked=False) for value in found]
    calls = [call for call in read if call is not None]
    if end < len(text):
        offered = [call for call in calls if call.name in tools]
        return offered or _python(text, tools) or _cut_off(text, tools)
    return calls if len(calls) == len(read) else []


def calls_marked(text: str, tools: Collection[str]) -> list[TextualCall]:
    """Return the calls in *text*, which the model has marked as such."""
    text = text.replace("longcat_", "")
    if FUNCTION.search(text) or PARAMETER.search(text):
        return list(_tagged(text, tools))[:MAX_CALLS]
    text = TOKENS.sub(" ", text)
    if BRACED.search(text):
        text = _as_json(text)
    calls: list[TextualCall] = []
    position = 0
    while len(calls) < MAX_CALLS and (opens := OPENS.search(text, position)):
        head = text[position : opens.start()]
        try:
            value, position = DECODER.raw_decode(text, opens.start())
        except BROKEN:
            return calls or _python(text.strip(), tools) or _cut_off(text, tools)
        for each in _flat(value):
            call = _call(each, tools, marked=True) or _headed(head, each, tools)
            calls += [call] if call is not None else []
    return calls or _python(text.strip(), tools)


def labelled_behind(text: str, tools: Collection[str]) -> tuple[str, list[TextualCall]]:
    """Return the words before a labelled call of an offered tool, and the call."""
    for label in LABEL_BEHIND.finditer(text) if tools else ():
        found = calls_alone(text[label.start() :], tools)
        calls = [call for call in found if call.name in tools]
        if calls:
            return text[: label.start()].strip(), calls
    return text, []


def _as_json(text: str) -> str:
    """Return a call in Gemma's form with its keys and values quoted."""
    parts = QUOTES.split(text)
    return "".join(
        json.dumps(part) if number % 2 else KEY.sub(r'\1"\2":', part)
        for number, part in enumerate(parts)
    )


def _labelled(
    labelled: re.Match[str], text: str, tools: Collection[str]
) -> list[TextualCall]:
    behind = text.partition(":")[2].strip()
    if FENCE.match(behind) and (fenced := calls_alone(behind, tools)):
        return fenced
    name, rest = _bare(labelled["name"]), text[labelled.end() :].strip("`\n ")
    rest = rest.removeprefix("json").strip()
    if not rest.startswith("{"):
        if not rest and name in tools:
            return [TextualCall(name, "{}")]
        return _python(text[labelled.start("name") :].strip("`\n "), tools)
    try:
        value, _ = DECODER.raw_decode(rest)
    except BROKEN:
        return [TextualCall(name, rest)]  # the tool will say so
    return [TextualCall(name, _dumped(value))]


def _values(text: str) -> tuple[list[Any], int]:
    """Return the JSON values that *text* begins with, and where they end."""
    found: list[Any] = []
    position = 0
    while position < len(text) and len(found) < MAX_CALLS:
        try:
            value, end = DECODER.raw_decode(text, position)
        except BROKEN:
            break
        found += _flat(value)
        gap = BETWEEN.match(text, end)
        position = gap.end() if gap else end
    return found, position


def _flat(value: Any) -> list[Any]:
    """Return the single calls of *value*, if it is a list of some."""
    if isinstance(value, Mapping) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    return value[:MAX_CALLS] if isinstance(value, list) else [value]


def _call(value: Any, tools: Collection[str], *, marked: bool) -> TextualCall | None:
    """Return the call that *value* is, if it is one."""
    if not isinstance(value, Mapping):
        return None
    inner = value.get("function")
    if isinstance(inner, Mapping):
        value = inner
    key = next((each for each in NAMES if isinstance(value.get(each), str)), None)
    if key is None or not NAME.fullmatch(value[key]):
        return None
    name = _bare(value[key])
    given = next((each for each in ARGUMENTS if each in value and each != key), None)
    if name not in tools:
        if given is None and not marked:
            return None
        if not marked and not set(value) <= FORMAL:
            return None
    rest = {each: inner for each, inner in value.items() if each not in (key, "type")}
    return TextualCall(name, _dumped(value[given] if given is not None else rest))


def _headed(head: str, value: Any, tools: Collection[str]) -> TextualCall | None:
    """Return the call whose name stands before its arguments."""
    names = [_bare(name) for name in NAME.findall(head)]
    named = [name for name in names if name in tools] or names[-1:]
    if not named or not isinstance(value, Mapping):
        return None
    return TextualCall(named[-1], _dumped(value))


def _cut_off(text: str, tools: Collection[str]) -> list[TextualCall]:
    """Return the call of an offered tool whose JSON is broken; the tool will say so."""
    named = NAMED.search(text)
    if named is None or _bare(named["name"]) not in tools:
        return []
    return [TextualCall(_bare(named["name"]), text)]


def _python(text: str, tools: Collection[str]) -> list[TextualCall]:
    """Return the calls of offered tools that *text* is, written as in Python."""
    begun = PYTHON.match(text)
    if begun is None or _bare(begun["name"]) not in tools:
        return []
    try:
        return [_python_call(node) for node in _nodes(text[:LONGEST_PYTHON])]
    except BROKEN:
        is_open = text.count("(") > text.count(")")
        if not is_open and not text.endswith(PYTHON_ENDS):
            return []  # words about it follow
    return [TextualCall(_bare(begun["name"]), text)]  # the tool will say so


def _nodes(text: str) -> Sequence[ast.AST]:
    """Return what stands alone, in a list, or on a line of its own each."""
    lines = [line.value for line in ast.parse(text).body if isinstance(line, ast.Expr)]
    only = lines[0] if len(lines) == 1 else None
    nodes = only.elts if isinstance(only, ast.List) else lines
    return nodes[:MAX_CALLS]


def _python_call(node: ast.AST) -> TextualCall:
    """Return the call that *node* is.

    Raises:
        ValueError: it is none.
    """
    match node:
        case ast.Call(func=ast.Name(id="print"), args=[inner]):
            return _python_call(inner)
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError("not a call by keywords")
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            given = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
            return TextualCall(name, _dumped(given))
    raise ValueError("not a call of a tool")


def _tagged(text: str, tools: Collection[str]) -> Iterator[TextualCall]:
    """Yield the calls whose name, or whose parameters, have a tag each."""
    starts = list(FUNCTION.finditer(text))
    if not starts:
        head = text.partition("<arg_key>")[0].partition("<parameter")[0]
        if (call := _headed(head, _parameters(text), tools)) is not None:
            yield call
        return
    ends = [*(each.start() for each in starts[1:]), len(text)]
    for start, end in zip(starts, ends, strict=True):
        body = text[start.end() : end]
        given = _parameters(body) or next(iter(_values(body.strip())[0]), {})
        yield TextualCall(_bare(start[1]), _dumped(given))


def _parameters(text: str) -> dict[str, Any]:
    starts = list(PARAMETER.finditer(text))
    limits = [*(each.start() for each in starts[1:]), len(text)]
    given = {}
    for start, limit in zip(starts, limits, strict=False):
        value = text[start.end() : limit]
        for mark in VALUE_ENDS:
            value = value.partition(mark)[0]
        given[start[1] or start[2]] = _parameter(value.strip())
    return given


def _parameter(value: str) -> Any:
    """Return what a tag holds: a list or an object as such, all else as a text."""
    if value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except BROKEN:
            return value
    return value


def _dumped(value: Any) -> str:
    if isinstance(value, str):
        return value  # JSON in JSON
    return json.dumps(value or {}, ensure_ascii=False)


def _bare(name: str) -> str:
    return name.removeprefix(PREFIX)
