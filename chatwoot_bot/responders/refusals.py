"""Read why a model's server has refused a request.

Each server says it in its own way: OpenAI and Azure by `code` and `param`, llama.cpp
by `type`, vLLM and Mistral in a `detail` of their validation, Gemini in a list, Ollama
in a sentence. What is read here decides what is changed before the next try; see
`terms`. The server's words are never logged: they may be the contact's.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Cause(StrEnum):
    """What a server does not take."""

    EFFORT = "reasoning_effort"  # tools only with `reasoning_effort` "none"
    FIELD = "field"  # a parameter, or its value
    OVERFLOW = "context"  # more than the model's context holds
    TOOLS = "tools"
    ROLES = "roles"  # user and assistant must take turns
    SYSTEM = "system"  # the system prompt
    MISUSED = "misused"  # no request of ours: the model's call of a tool
    FILTERED = "content_filter"  # what the contact has written
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refusal.

    Attributes:
        field: of the request, for `FIELD`; else "".
        context: the tokens that the context holds, if the server says so.
        told: its error code, type and param, for the log; "" without any.
    """

    cause: Cause
    field: str = ""
    context: int | None = None
    told: str = ""


# Characters of the server's words that are read.
MAX_WORDS = 4_000
# They hold what was sent, which may be anything.
QUOTES = frozenset({"input", "ctx", "url", "failed_generation"})
NEVER_DROPPED = frozenset({"model", "messages", "tools"})
NAME = re.compile(r"[\w.-]{1,64}")
FIELD = re.compile(r"[A-Za-z_]++")
OVERFLOW_CODES = frozenset(
    {
        "context_length_exceeded",
        "exceed_context_size_error",
        "model_max_prompt_tokens_exceeded",
        "request_too_large",
    }
)
OVERFLOW = re.compile(
    r"maximum context length|maximum model length|context (?:size|window|length)|"
    r"exceeds the maximum number of tokens|input token count|prompt is too long|"
    r"too many tokens|reduce the length|request too large",
    re.IGNORECASE,
)
# Of the context, in tokens, as the servers write it.
CONTEXT = re.compile(
    r"(?:maximum context length is|maximum model length of|"
    r"number of tokens allowed \(|context (?:size|window|length)(?: is| of| \()?)"
    r"\s?+(\d{2,9})|(\d{2,9}) maximum context length",
    re.IGNORECASE,
)
FILTERED = frozenset({"content_filter", "content_policy_violation"})
UNSUPPORTED = re.compile(
    r"support|unknown|unrecogni|unexpected|not permitted|not allowed|forbidden|"
    r"invalid|cannot find|must be|too large|only",
    re.IGNORECASE,
)
MISUSED = re.compile(r"\bpars(?:e|ing) (?:tool|input|function)", re.IGNORECASE)
EFFORT = re.compile(r"\breasoning[_ ]effort\b|\bthinking\b", re.IGNORECASE)
ROLES = re.compile(
    r"must alternate|expected last role|unexpected role|consecutive (?:user|assistant)|"
    r"(?:first message|conversation) must (?:start|begin|be)|roles? .{0,20}alternat",
    re.IGNORECASE,
)
SYSTEM = re.compile(
    r"system (?:role|message|prompt|instruction)s? (?:is |are )?not "
    r"(?:supported|enabled)|not support (?:the )?system|developer instruction is not",
    re.IGNORECASE,
)
TOOLS = re.compile(
    r"\btools?\b|\btool[_ ](?:choice|calls?|use)\b|\bfunction[_ ]call", re.IGNORECASE
)
# A complaint about the order of messages, not about tools.
ORDER = re.compile(
    r"role.{0,4}tool\b|tool_call_id|following tool_calls|followed by tool",
    re.IGNORECASE,
)


def read(body: object, sent: Collection[str]) -> Refusal:
    """Return what *body* says.

    Args:
        body: of the answer, as JSON; a text where it is none.
        sent: the names of what was in the request.
    """
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error", body) if isinstance(body, Mapping) else body
    fields = error if isinstance(error, Mapping) else {}
    words = " ".join(_words(error))[:MAX_WORDS]
    codes = [_name(fields.get(key)) for key in ("code", "type", "status")]
    param = _param(fields)
    field = _field(param, words, sent)
    told = ", ".join(dict.fromkeys(filter(None, (*codes, param))))
    cause = _cause(set(codes), param, words, field)
    return Refusal(
        cause=cause,
        field=field if cause is Cause.FIELD else "",
        context=_context(fields, words) if cause is Cause.OVERFLOW else None,
        told=told,
    )


def _cause(codes: set[str], param: str, words: str, field: str) -> Cause:
    """Return the first of the causes, from the certain to the doubtful."""
    about_messages = param.startswith("messages") or ORDER.search(words)
    certain = (
        (Cause.MISUSED, "tool_use_failed" in codes or MISUSED.search(words)),
        (Cause.FILTERED, codes & FILTERED or "ResponsibleAIPolicyViolation" in words),
        (Cause.OVERFLOW, codes & OVERFLOW_CODES or OVERFLOW.search(words)),
        (Cause.EFFORT, param == "reasoning_effort" or EFFORT.search(words)),
        (Cause.ROLES, ROLES.search(words)),
        (Cause.SYSTEM, SYSTEM.search(words)),
        (Cause.FIELD, field and field != "tool_choice"),
        (Cause.TOOLS, param.startswith("tool")),
        (Cause.TOOLS, TOOLS.search(words) and not about_messages),
    )
    return next((cause for cause, found in certain if found), Cause.OTHER)


def _words(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts in what the server says, without what it quotes."""
    if isinstance(value, str):
        yield value[:MAX_WORDS]
    elif depth > 6:
        return
    elif isinstance(value, Mapping):
        for key, each in list(value.items())[:20]:
            if key not in QUOTES:
                yield from _words(each, depth + 1)
    elif isinstance(value, list):
        for each in value[:20]:
            yield from _words(each, depth + 1)


def _name(value: object) -> str:
    """Return a code or a type that may be logged; "" for a sentence, or a status."""
    return value if isinstance(value, str) and NAME.fullmatch(value) else ""


def _param(error: Mapping[str, Any]) -> str:
    """Return which part of the request is named, also where a validation names it."""
    if name := _name(error.get("param")):
        return name
    detail = error.get("detail")
    message = error.get("message")
    if detail is None and isinstance(message, Mapping):
        detail = message.get("detail")
    first = detail[0] if isinstance(detail, list) and detail else None
    where = first.get("loc") if isinstance(first, Mapping) else None
    for part in where if isinstance(where, list) else ():
        if (name := _name(part)) and name != "body":
            return name
    return ""


def _field(param: str, words: str, sent: Collection[str]) -> str:
    """Return the optional part of the request that is named, or ""."""
    optional = set(sent) - NEVER_DROPPED
    found = FIELD.match(param)
    if found and found.group() in optional:
        return found.group()
    if param or not UNSUPPORTED.search(words):
        return ""
    return next((name for name in FIELD.findall(words) if name in optional), "")


def _context(error: Mapping[str, Any], words: str) -> int | None:
    told = error.get("n_ctx")
    if isinstance(told, int) and not isinstance(told, bool) and 0 < told < 10**9:
        return told
    found = CONTEXT.search(words)
    return int(found.group(1) or found.group(2)) if found else None
