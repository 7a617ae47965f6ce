"""What of a model's text the contact reads, and what of it is a call of a tool."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatwoot_bot.core.answer_text import AnswerText, answer_in

TOOLS = ("escalate_to_human", "search_knowledge")
CALL = '{"name": "search_knowledge", "arguments": {"query": "returns"}}'


def read(text):
    """Return the answer in *text*, and the calls."""
    reading = AnswerText(TOOLS)
    first, rest = reading.hear(text), reading.end()
    answer = rest.text if rest.withdrawn else first.text + rest.text
    return answer.strip(), [(c.name, c.arguments) for c in reading.calls]


ANSWERS = {
    "plain": ("It costs 12 euros.", "It costs 12 euros."),
    "nothing": ("", ""),
    "thought": ("<think>\nHm.\n</think>\n\nIt costs 12.", "It costs 12."),
    "no thought": ("<think>\n\n</think>\n\nYes.", "Yes."),
    "long name": ("<thinking>Hm.</thinking>Yes.", "Yes."),
    "capitals": ("<Thought>Hm.</Thought>Yes.", "Yes."),
    "another end": ("<think>Hm.</thinking>Yes.", "Yes."),
    "lone end behind JSON": (
        'So:\n{"name": "search_knowledge"}\n</think>\nYes.',
        "Yes.",
    ),
    "two thoughts": ("<think>a</think>Yes.<think>b</think> No.", "Yes. No."),
    "lone end": ("They are annoyed.\n</think>\n\nIt costs 12.", "It costs 12."),
    "end of a thought of marks": ("<b>Hm</b> {1}\n</think>\nYes.", "Yes."),
    "lone end and nothing": ("It costs 12.</think>", "It costs 12."),
    "endless thought": ("<think>Hm. The depot", ""),
    "answer before an endless thought": ("Yes.<think>Hm.", "Yes."),
    "Magistral": ("[THINK]Hm.[/THINK]Yes.", "Yes."),
    "Seed": ("<seed:think>Hm.</seed:think>Yes.", "Yes."),
    "Kimi": ("\u25c1think\u25b7Hm.\u25c1/think\u25b7Yes.", "Yes."),
    "OpenThinker": ("<|begin_of_thought|>Hm.<|end_of_thought|>Yes.", "Yes."),
    "harmony": (
        "<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        "Yes.",
    ),
    "harmony without an end": (
        "<|channel|>analysis<|message|>Hm.<|start|>assistant"
        "<|channel|>final<|message|>Yes.",
        "Yes.",
    ),
    "harmony's comment": (
        "<|channel|>commentary<|message|>I look.<|end|><|channel|>final<|message|>Yes.",
        "Yes.",
    ),
    "end token": ("Yes.<|im_end|>", "Yes."),
    "end tag": ("Yes.</s>", "Yes."),
    "crossed out": ("<s>12</s> 9 euros", "<s>12</s> 9 euros"),
    "goes on as the contact": (
        "Yes.<|im_end|>\n<|im_start|>user\nAnd my money?<|im_end|>",
        "Yes.",
    ),
    "Gemma goes on": ("Yes.<end_of_turn>\n<start_of_turn>user\nAnd?", "Yes."),
    "says who speaks": ("<|im_start|>assistant\nYes.", "Yes."),
    "Llama's header": (
        "<|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|>",
        "Yes.",
    ),
    "DeepSeek's end": (
        "Yes.<\uff5cend\u2581of\u2581sentence\uff5c>",
        "Yes.",
    ),
    "instructions": ("[INST] [/INST] Yes.", "Yes."),
    "wrapped": ("<think>Hm.</think><answer>Yes.</answer>", "Yes."),
    "empty tools": ("<tools></tools>", ""),
    "empty tools and words": ("<tools></tools>\nYes.", "Yes."),
    "made up result": ("<tool_response>\n12 euros\n</tool_response>\nYes.", "Yes."),
    "stray end": ("Yes.</tool_call>", "Yes."),
    "in code": ("Write `<think>` or `</think>`.", "Write `<think>` or `</think>`."),
    "a menu": ("Open <tools> and choose.", "Open <tools> and choose."),
    "a capital menu": ("Open <Tools> and choose.", "Open <Tools> and choose."),
    "markup": ("<b>Yes</b> <i>sir</i> <br>", "<b>Yes</b> <i>sir</i> <br>"),
    "less": ("5 < 6 and a<b, x <- y |> f", "5 < 6 and a<b, x <- y |> f"),
    "a link first": ("[Returns](https://a.example)", "[Returns](https://a.example)"),
    "capitals in brackets": ("[NOTE] Yes. [FAQ]", "[NOTE] Yes. [FAQ]"),
    "JSON on purpose": ('{"a": [1, 2]}', '{"a": [1, 2]}'),
    "JSON of a person": ('{"name": "Ada", "age": 36}', '{"name": "Ada", "age": 36}'),
    "a list of things": ("[{}, 1]", "[{}, 1]"),
    "code first": ("```python\nprint(1)\n```\nSo.", "```python\nprint(1)\n```\nSo."),
    "JSON in code": ('```json\n{"a": 1}\n```', '```json\n{"a": 1}\n```'),
    "an action": ("Action: none is needed.", "Action: none is needed."),
    "a word and a bracket": ("Lamp(s) are here.", "Lamp(s) are here."),
    "words and JSON in one line": (f"See: {CALL}", f"See: {CALL}"),
    "words and JSON of a person": (
        'So:\n{"name": "Ada"}\nAnd on.',
        'So:\n{"name": "Ada"}\nAnd on.',
    ),
    "words and a call of nothing": (
        'So:\n```json\n{"name": "rm", "arguments": {}}\n```\n',
        'So:\n```json\n{"name": "rm", "arguments": {}}\n```',
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_contact_reads_the_answer_alone(name):
    text, answer = ANSWERS[name]

    assert read(text) == (answer, [])


ESCALATED = ("escalate_to_human", {"reason": "a refund"})
SEARCHED = ("search_knowledge", {"query": "returns"})
HUMAN = '{"reason": "a refund"}'
CALLS = {
    "plain": (CALL, [SEARCHED]),
    "parameters": (
        '{"name": "escalate_to_human", "parameters": {"reason": "a refund"}}',
        [ESCALATED],
    ),
    "as the API has it": (
        '{"type": "function", "function": {"name": "escalate_to_human", "arguments": '
        '"{\\"reason\\": \\"a refund\\"}"}}',
        [ESCALATED],
    ),
    "list of the API": (f'{{"tool_calls": [{CALL}]}}', [SEARCHED]),
    "function": (f'{{"function": "escalate_to_human", "args": {HUMAN}}}', [ESCALATED]),
    "no arguments of their own": (
        '{"name": "escalate_to_human", "reason": "a refund"}',
        [ESCALATED],
    ),
    "action": (
        f'{{"action": "escalate_to_human", "action_input": {HUMAN}}}',
        [ESCALATED],
    ),
    "spaces": (f"\n\n  {CALL}\n", [SEARCHED]),
    "fenced": (f"```json\n{CALL}\n```", [SEARCHED]),
    "fenced without a name": (f"```\n{CALL}\n```", [SEARCHED]),
    "fenced with markers": (f"```xml\n<tool_call>{CALL}</tool_call>\n```", [SEARCHED]),
    "list": (f"[{CALL}, {CALL}]", [SEARCHED, SEARCHED]),
    "one after the other": (f"{CALL}; {CALL}", [SEARCHED, SEARCHED]),
    "words behind it": (f"{CALL}\nI have looked.", [SEARCHED]),
    "marked": (f"<tool_call>\n{CALL}\n</tool_call>", [SEARCHED]),
    "marked twice": (f"<tool_call>{CALL}</tool_call>\n" * 2, [SEARCHED, SEARCHED]),
    "without an end": (f"<tool_call>\n{CALL}", [SEARCHED]),
    "ended by a token": (f"<tool_call>\n{CALL}<|im_end|>", [SEARCHED]),
    "tools": (f"<tools>\n{CALL}\n</tools>", [SEARCHED]),
    "nested": (f"<tool_calls><tool_call>{CALL}</tool_call></tool_calls>", [SEARCHED]),
    "behind a thought": (f"<think>I look.</think>\n{CALL}", [SEARCHED]),
    "behind a lone end": (f"I look.</think>\n{CALL}", [SEARCHED]),
    "marked behind a lone end": (
        f"I look.</think>\n<tool_call>{CALL}</tool_call>",
        [SEARCHED],
    ),
    "labelled": (
        f"Function Name: escalate_to_human\nFunction Arguments:\n{HUMAN}",
        [ESCALATED],
    ),
    "labelled in bold": (
        f"**Function Name:** `escalate_to_human`\n**Arguments:** {HUMAN}",
        [ESCALATED],
    ),
    "labelled without arguments": (
        "Function Name: escalate_to_human",
        [("escalate_to_human", {})],
    ),
    "ReAct": (f"Action: escalate_to_human\nAction Input: {HUMAN}", [ESCALATED]),
    "Python": ('escalate_to_human(reason="a refund")', [ESCALATED]),
    "Python list": ('[search_knowledge(query="returns")]', [SEARCHED]),
    "Mistral": (f"[TOOL_CALLS] [{CALL}]", [SEARCHED]),
    "Mistral's name": (f"[TOOL_CALLS]escalate_to_human[ARGS]{HUMAN}", [ESCALATED]),
    "Llama": (f"<|python_tag|>{CALL}<|eom_id|>", [SEARCHED]),
    "Llama's function": (
        f"<function=escalate_to_human>{HUMAN}</function>",
        [ESCALATED],
    ),
    "Qwen coder": (
        "<tool_call>\n<function=search_knowledge>\n<parameter=query>\nreturns\n"
        "</parameter>\n</function>\n</tool_call>",
        [SEARCHED],
    ),
    "GLM": (
        "<tool_call>search_knowledge\n<arg_key>query</arg_key>\n"
        "<arg_value>returns</arg_value>\n</tool_call>",
        [SEARCHED],
    ),
    "Claude": (
        '<function_calls>\n<invoke name="search_knowledge">\n'
        '<parameter name="query">returns</parameter>\n</invoke>\n</function_calls>',
        [SEARCHED],
    ),
    "DeepSeek": (
        "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581call\u2581begin\uff5c>"
        "function<\uff5ctool\u2581sep\uff5c>escalate_to_human\n```json\n"
        f"{HUMAN}\n```<\uff5ctool\u2581call\u2581end\uff5c>"
        "<\uff5ctool\u2581calls\u2581end\uff5c>",
        [ESCALATED],
    ),
    "Kimi": (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.escalate_to_human:0"
        f"<|tool_call_argument_begin|>{HUMAN}<|tool_call_end|>"
        "<|tool_calls_section_end|>",
        [ESCALATED],
    ),
    "harmony": (
        "<|channel|>analysis<|message|>I look.<|end|><|start|>assistant<|channel|>"
        "commentary to=functions.escalate_to_human <|constrain|>json<|message|>"
        f"{HUMAN}<|call|>",
        [ESCALATED],
    ),
    "a tool that is not offered": (
        '{"name": "order_status", "arguments": {"id": 7}}',
        [("order_status", {"id": 7})],
    ),
    "a marked one that is not offered": (
        '<tool_call>{"name": "order_status"}</tool_call>',
        [("order_status", {})],
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_call_that_is_written_as_text_is_a_call(name):
    text, calls = CALLS[name]

    answer, found = read(text)

    assert answer == ""
    assert [(called, json.loads(given)) for called, given in found] == calls


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "escalate_to_human", "parameters": {"reason": "wants a',
        '<tool_call>{"name": "escalate_to_human", "arguments": {"reason": "wan',
        "{'name': 'escalate_to_human', 'arguments': {}}",
        'Function Name: escalate_to_human\nFunction Arguments: {"reason": "wan',
    ],
)
def test_broken_call_of_an_offered_tool_is_one(text):
    """The tool says that its arguments are broken; a human is called all the same."""
    answer, [(name, _)] = read(text)

    assert (answer, name) == ("", "escalate_to_human")


def test_call_behind_words_counts_if_it_is_marked_and_offered():
    text = f"Let me look.\n<tool_call>{CALL}</tool_call>"

    assert read(text) == ("Let me look.", read(CALL)[1])
    assert read(f"{text}\nThere it is.")[1] == []
    assert read('So.<tool_call>{"name": "rm"}</tool_call>') == ("So.", [])


@pytest.mark.parametrize(
    "behind",
    [
        f"\n{CALL}",
        f"\n\n```json\n{CALL}\n```\n",
        f"\n```\n{CALL}",
        f"\n{CALL}<|im_end|>",
    ],
)
def test_call_on_lines_of_its_own_behind_words_counts_if_it_is_offered(behind):
    """Small models say what they do, and then do it."""
    assert read(f"Let me look.{behind}") == ("Let me look.", read(CALL)[1])


FORMS = [text for text, _ in (*ANSWERS.values(), *CALLS.values())]
MARKS = [
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<tools>", "</tools>"),
    *(
        "<|im_end|>",
        "<|im_start|>",
        "<|channel|>",
        "<|message|>",
        "<|end|>",
        "<|start|>",
    ),
    *("analysis", "final", "to=functions.x ", "<s>", "</s>", "[THINK]", "[/THINK]"),
    *("[TOOL_CALLS]", "```json\n", "```", "`", "{", "}", "[", "]", "<", ">", "|", "/"),
    *('{"name": ', '```\n{"name": "search_knowledge"', "\n```", '\n{"'),
    *("Function Name:", "Action: ", "search_knowledge", "(", ")", "*", "\n", " ", "a"),
    *(
        "\u25c1think\u25b7",
        "\u25c1/think\u25b7",
        CALL,
        "Yes. ",
        "<tool_response>",
        "x" * 70,
    ),
]
texts = st.one_of(
    st.sampled_from(FORMS),
    st.lists(st.sampled_from(MARKS), max_size=14).map("".join),
    st.lists(st.sampled_from([*FORMS, *MARKS]), max_size=5).map("".join),
)


def cut(text, places):
    ends = sorted({min(place, len(text)) for place in places} | {len(text)})
    begins = [0, *ends[:-1]]
    return [text[a:b] for a, b in zip(begins, ends, strict=True)]


@settings(max_examples=600, deadline=None, derandomize=True, database=None)
@given(texts, st.lists(st.integers(0, 300), max_size=40), st.booleans())
@example("<think>Hm.</think>Yes.", list(range(30)), False)
@example("Hm.</think>{</think>Yes.", [3, 12], False)
def test_answer_does_not_depend_on_its_pieces(text, places, thinks_first):
    """What was heard and not withdrawn is how the whole answer begins."""
    whole = AnswerText(TOOLS, thinks_first=thinks_first)
    first, rest = whole.hear(text), whole.end()
    answer = rest.text if rest.withdrawn else first.text + rest.text
    reading = AnswerText(TOOLS, thinks_first=thinks_first)
    heard = ""
    for piece in cut(text, places):
        given = reading.hear(piece)
        heard = given.text if given.withdrawn else heard + given.text
    last = reading.end()

    assert (last.text if last.withdrawn else heard + last.text) == answer
    assert reading.calls == whole.calls
    assert reading.thought_first == whole.thought_first


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(texts)
def test_single_characters_make_the_same_answer(text):
    reading = AnswerText(TOOLS)
    heard = ""
    for piece in text:
        given = reading.hear(piece)
        heard = given.text if given.withdrawn else heard + given.text
    last = reading.end()

    assert (last.text if last.withdrawn else heard + last.text) == answer_in(
        text, TOOLS
    )


def test_words_are_given_out_at_once():
    """Who reads along does not wait for the end."""
    reading = AnswerText(TOOLS)
    pieces = ["It ", "costs ", "12 ", "euros", " <b>", "now</b>."]

    assert [reading.hear(piece).text for piece in pieces] == pieces


@pytest.mark.parametrize("name", CALLS)
def test_nothing_of_a_call_is_given_out_while_it_is_written(name):
    reading = AnswerText(TOOLS)
    given = "".join(reading.hear(piece).text for piece in CALLS[name][0])

    assert given in ("", "I look.")  # until its lone end


def test_model_that_only_closes_its_thoughts_is_known_the_next_time():
    text = "They are annoyed.</think>Yes."
    first = AnswerText()
    given = [first.hear(piece) for piece in text]
    assert any(each.text for each in given[:5])
    assert first.thought_first

    second = AnswerText(thinks_first=True)
    given = [second.hear(piece) for piece in text]
    assert "".join(each.text for each in given) == "Yes."
    assert not any(each.withdrawn for each in given)
    assert second.thought_first

    third = AnswerText(thinks_first=True)
    assert (third.hear("Yes.").text, third.end().text) == ("", "Yes.")
    assert not third.thought_first


HOSTILE = ("<", "[", "<think>", "</think>a", "<tools>", "<|channel|>", "*", "[{", '{"')


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.parametrize("behind", ["", "Yes. "])
def test_work_is_linear(part, behind):
    """Counted, not timed: ten times the text takes about ten times the steps."""
    short, long = steps(behind + part * 200), steps(behind + part * 2_000)

    assert long <= 14 * short + 200


def steps(text):
    """Return how many marks were looked at for *text*, character by character."""
    reading, count = AnswerText(TOOLS), 0
    advance = reading._advance

    def counted(*, is_last):
        nonlocal count
        count += 1 + len(reading._rest)
        advance(is_last=is_last)

    reading._advance = counted
    for piece in text:
        reading.hear(piece)
    reading.end()
    return count
