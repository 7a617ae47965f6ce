"""The marks that models put around thoughts, calls and turns. Pure.

``<think>``, ``<tool_call>``, ``<|im_end|>``, ``<|channel|>`` and their relatives, as
the chat templates of common models have them. `answer_text` says what becomes of them.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto


class Meaning(Enum):
    """What a mark says of the text behind it, or before it."""

    THINKS = auto()  # a thought begins
    THOUGHT = auto()  # a thought ends
    CALLS = auto()  # a call of a tool begins
    RESULT = auto()  # what a tool has said, or the model makes up, begins
    CHANNEL = auto()  # a header begins that says what follows; harmony
    SPEAKER = auto()  # a header or a line begins that names who speaks
    OVER = auto()  # the model's turn is over
    NOISE = auto()  # nothing


BAR = "[|\uff5c]"  # DeepSeek's tokens have the wide one
# Before the names of tags: whose model it is.
MAKER = r"(?:(?:seed|mm|minimax|antml):|longcat_)?"
MARK = re.compile(
    rf"<{BAR}(?P<token>/?[\w\u2581/-]{{1,40}}){BAR}?>"
    r"|<(?P<ended>[a-z_]{1,20})\|>"
    rf"|<(?P<tag>/?{MAKER}[A-Za-z][A-Za-z_]{{0,19}})"
    r"(?P<more>[ =][^<>\n]{0,80})?\s?>"
    r"|\[(?P<caps>/?[A-Z_]{3,20})\]"
    r"|\u25c1(?P<kimi>/?think)\u25b7"
)
# What may become a mark, at the end of what has come so far.
BEGUN = re.compile(
    rf"<(?:{BAR}/?[\w\u2581/-]{{0,40}}{BAR}?"
    r"|/?(?:[A-Za-z][A-Za-z_:]{0,24}(?:[ =][^<>\n]{0,80}|\|)?\s?)?)?\Z"
    r"|\[/?[A-Z_]{0,20}\Z"
    r"|\u25c1/?[a-z]{0,5}\Z"
)
# How a call begins on a line of its own, and what may become that.
FORM = re.compile(
    r"(?:```[\w+-]{0,20}[ \t]{0,8}\r?\n)?\s{0,8}\{\s{0,8}"
    r"[\"'](?:name|function|tool|tool_name|function_name|action|type)[\"']\s{0,4}:"
)
FORM_BEGUN = re.compile(
    r"(?:`{0,2}\Z|```[\w+-]{0,20}[ \t]{0,8}(?:\r?\Z|\r?\n))?\s{0,8}"
    r"(?:\Z|\{\s{0,8}(?:\Z|[\"'][a-z_]{0,16}(?:\Z|[\"']\s{0,4}\Z)))"
)
BEGINS = re.compile("[<\\[\u25c1{`]")

THOUGHTS = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "reflection"),
    *("analysis", "scratchpad", "antthinking"),
)
CALLS = (
    *("tool_call", "tool_calls", "tools", "tool_use", "tool_code"),
    *("function_call", "function_calls", "functions", "start_function_call"),
)
RESULTS = (
    *("tool_response", "tool_responses", "tool_result", "tool_results"),
    *("tool_output", "tool_outputs", "function_response", "function_responses"),
    *("function_result", "function_results", "function_output", "observation"),
)
WRAPPERS = ("answer", "final_answer", "response", "bos", "eos", "pad")

TAGS: Mapping[str, Meaning] = {
    **{name: Meaning.THINKS for name in THOUGHTS},
    **{f"/{name}": Meaning.THOUGHT for name in THOUGHTS},
    **{name: Meaning.CALLS for name in CALLS},
    **{name: Meaning.RESULT for name in RESULTS},
    # The end of nothing.
    **{f"/{name}": Meaning.NOISE for name in (*CALLS, *RESULTS)},
    **{f"/{name}": Meaning.NOISE for name in ("function", "invoke")},
    **{name: Meaning.NOISE for name in WRAPPERS},
    **{f"/{name}": Meaning.NOISE for name in WRAPPERS},
    "start_of_turn": Meaning.SPEAKER,
    "end_of_turn": Meaning.OVER,
}
# These name something, or are tags of somebody's XML.
NAMING = ("function", "invoke")
TOKENS: Mapping[str, Meaning] = {
    **{name: Meaning.THINKS for name in ("begin_of_thought", "think", "thinking")},
    **{name: Meaning.THOUGHT for name in ("end_of_thought", "/think", "/thinking")},
    **{"START_THINKING": Meaning.THINKS, "END_THINKING": Meaning.THOUGHT},
    **dict.fromkeys(("python_tag", "function_call", "START_ACTION"), Meaning.CALLS),
    "channel": Meaning.CHANNEL,
    **dict.fromkeys(("im_start", "start", "start_header_id"), Meaning.SPEAKER),
    "turn": Meaning.SPEAKER,
    **dict.fromkeys(
        (
            *("im_end", "eot_id", "eom_id", "eot", "end", "return", "endoftext"),
            *("end_of_text", "end\u2581of\u2581sentence", "end_of_turn", "user"),
            "END_OF_TURN_TOKEN",
        ),
        Meaning.OVER,
    ),
}
# Gemma's marks have a bar at one side: <|channel>a thought<channel|>
OPENED: Mapping[str, Meaning] = {
    "<|channel>": Meaning.THINKS,
    "<|tool_response>": Meaning.RESULT,
}
ENDED: Mapping[str, Meaning] = {
    "channel": Meaning.THOUGHT,
    "turn": Meaning.OVER,
    "tool_call": Meaning.NOISE,
    "tool_response": Meaning.NOISE,
}
# tool_call, tool_calls_section_begin, tool▁calls▁begin
CALL_TOKEN = re.compile(r"tool[\w\u2581]{0,30}")
NO_CALL = ("end", "response", "result", "output", "outputs", "sep")
CAPS: Mapping[str, Meaning] = {
    "THINK": Meaning.THINKS,
    "/THINK": Meaning.THOUGHT,
    "TOOL_CALLS": Meaning.CALLS,
    "/TOOL_CALLS": Meaning.NOISE,
    "INST": Meaning.NOISE,
    "/INST": Meaning.NOISE,
}


def meaning_of(mark: re.Match[str]) -> Meaning | None:
    """Return what *mark* means; None for what is text."""
    if token := mark["token"]:
        return OPENED.get(mark[0]) or _of_token(token)
    if ended := mark["ended"]:
        return ENDED.get(ended)
    if caps := mark["caps"]:
        return CAPS.get(caps)
    if kimi := mark["kimi"]:
        return TAGS[kimi]
    tag, more = FROM_MAKER.sub("", mark["tag"]), mark["more"]
    if tag in NAMING:
        return Meaning.CALLS if more else None
    return TAGS.get(tag) or _of_thought(tag.lower())


FROM_MAKER = re.compile(f"(?<![^/]){MAKER}")


def _of_thought(tag: str) -> Meaning | None:
    return TAGS[tag] if tag.removeprefix("/") in THOUGHTS else None


def _of_token(token: str) -> Meaning:
    if CALL_TOKEN.fullmatch(token) and not token.endswith(NO_CALL):
        return Meaning.CALLS
    return TOKENS.get(token, Meaning.NOISE)


# How blocks end. Each is found in the text behind the mark that began it.
ENDS: Mapping[Meaning, re.Pattern[str]] = {
    Meaning.THINKS: re.compile(
        rf"</{MAKER}(?:think(?:ing)?|thoughts?|reasoning|reflection|analysis"
        r"|scratchpad|antthinking)\s?>"
        r"|<\|(?:end_of_thought|end_thinking|/think(?:ing)?)\|>|<channel\|>|\[/THINK\]|\u25c1/think\u25b7",
        re.IGNORECASE,
    ),
    Meaning.CALLS: re.compile(
        rf"</{MAKER}(?:tool_calls?|tools|tool_use|tool_code|invoke|functions?"
        r"|function_calls?)\s?>|<tool_call\|>|<end_function_call>"
        rf"|<{BAR}(?:tool[\w\u2581]{{0,20}}end|/tool_calls?|eo[mt]_id|im_end"
        rf"|END_ACTION){BAR}>"
        r"|\[/TOOL_CALLS\]"
    ),
    Meaning.RESULT: re.compile(
        r"</(?:(?:tool|function)_(?:response|result|output)s?|observation)\s?>"
        r"|<tool_response\|>"
    ),
    Meaning.CHANNEL: re.compile(r"<\|message\|>"),
}
SPEAKER_ENDS: Mapping[str, re.Pattern[str]] = {
    "<|start|>": re.compile(r"<\|message\|>|(?=<\|channel\|>)"),
    "<|start_header_id|>": re.compile(r"<\|end_header_id\|>"),
}
LINE_ENDS = re.compile(r"\n")
# A call without an end mark is all that follows, unless that was a thought.
FORM_ENDS = re.compile(f"(?={ENDS[Meaning.THINKS].pattern})", re.IGNORECASE)
# In a thought: another one begins.
THOUGHT_BEGINS = re.compile(
    rf"<{MAKER}(?:think(?:ing)?|thoughts?|reasoning|reflection)\s?>|\[THINK\]",
    re.IGNORECASE,
)
# What is said in a channel.
CHANNEL_ENDS = re.compile(r"<\|(?:end|call|return)\|>|(?=<\|(?:start|channel)\|>)")
# Longer than any of these ends.
LONGEST_END = 64

RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w.-]{1,64})")
# Marks in what was held for a call, and is none.
DEBRIS = re.compile(
    rf"<{BAR}[\w\u2581/-]{{1,40}}{BAR}>|</?[a-z]{{2,9}}_[a-z_]{{2,16}}>|</?tools>"
)
