"""What is learnt of a model, for how long, and how it is asked then."""

import pytest

from chatwoot_bot.core.strict import in_turns
from chatwoot_bot.responders import without_tools
from chatwoot_bot.responders.refusals import Cause, Refusal
from chatwoot_bot.responders.terms import (
    AGAIN_S,
    CONTEXT_S,
    REFUSALS,
    Options,
    Terms,
    weight,
)

SYSTEM = {"role": "system", "content": "Be kind."}
ASKED = {"role": "user", "content": "Where is it?"}
QUESTION = [SYSTEM, ASKED]
TOOLS = {"tools": [{"type": "function", "function": {"name": "escalate_to_human"}}]}
OPTIONS = Options(temperature=0.2, max_tokens=100, extra={"top_k": 5})


class Model:
    """Refuses what it is told to refuse."""

    def __init__(self, **options):
        self.now = 0.0
        self.terms = Terms(lambda: self.now)
        self.options = Options(**options) if options else OPTIONS

    def ask(self, refuses, messages=QUESTION, status=400):
        """Return the bodies of one question, the last one not refused."""
        request = self.terms.begin(messages, TOOLS)
        bodies = []
        while request is not None:
            body = self.terms.body(request, self.options)
            bodies.append(body)
            refusal = refuses(body)
            if refusal is None:
                self.terms.took(request)
                break
            request = self.terms.remedy(
                request, refusal, status=status, sent=body, options=self.options
            )
        return bodies


def never(body):
    return None


def refuses(cause, when, **more):
    return lambda body: Refusal(cause=cause, **more) if when(body) else None


def field(name):
    return refuses(Cause.FIELD, lambda body: name in body, field=name)


def test_everything_is_asked_for_as_long_as_nothing_is_refused():
    [body] = Model().ask(never)

    assert body == {
        "messages": QUESTION,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.2,
        "max_tokens": 100,
        "top_k": 5,
        **TOOLS,
    }


@pytest.mark.parametrize("name", ["stream_options", "temperature", "top_k", "stream"])
def test_parameter_that_is_refused_once_is_never_sent_again(name):
    model = Model()
    refused, taken = model.ask(field(name))
    [again] = model.ask(never)

    assert name in refused
    assert name not in taken
    assert again == taken


def test_limit_of_tokens_is_tried_by_its_other_name_and_then_left_out():
    model = Model()
    both = refuses(Cause.FIELD, lambda b: "max_tokens" in b, field="max_tokens")
    assert model.ask(both)[-1]["max_completion_tokens"] == 100

    last = model.ask(field("max_completion_tokens"))[-1]
    assert not {"max_tokens", "max_completion_tokens"} & last.keys()


def test_questions_that_were_refused_at_once_learn_the_same():
    """The second refusal tells of a form that nobody sends any more."""
    model = Model()
    refusal = Refusal(cause=Cause.FIELD, field="max_tokens")
    request = model.terms.begin(QUESTION, TOOLS)
    sent = model.terms.body(request, OPTIONS)
    for _ in range(3):
        model.terms.remedy(request, refusal, status=400, sent=sent, options=OPTIONS)

    assert model.terms.body(request, OPTIONS)["max_completion_tokens"] == 100


def test_reasoning_is_switched_off_for_the_model_that_wants_it_so():
    model = Model(effort="high")
    demands = refuses(Cause.EFFORT, lambda b: b.get("reasoning_effort") != "none")
    first, second = model.ask(demands)
    [again] = model.ask(never)

    assert first["reasoning_effort"] == "high"
    assert second["reasoning_effort"] == again["reasoning_effort"] == "none"
    assert "tools" in again


def test_server_that_refuses_reasoning_in_each_form_is_not_asked_for_ever():
    bodies = Model().ask(refuses(Cause.EFFORT, lambda body: True))

    assert len(bodies) <= 6
    assert "tools" not in bodies[-1]


def test_tools_are_given_up_for_some_minutes():
    """A colleague can be called by a word meanwhile."""
    model = Model()
    no_tools = refuses(Cause.TOOLS, lambda body: "tools" in body)
    for _ in range(REFUSALS):
        assert model.terms.takes_tools
        model.ask(no_tools)

    assert not model.terms.takes_tools
    [body] = model.ask(never)
    assert "tools" not in body
    assert body["messages"][0]["content"].endswith(without_tools.TOLD)

    model.now += AGAIN_S
    assert "tools" in model.ask(no_tools)[0]
    assert not model.terms.takes_tools  # one trial was enough

    model.now += AGAIN_S
    model.ask(never)
    model.ask(no_tools)
    assert model.terms.takes_tools


def test_answer_forgets_refusals_of_tools():
    """Three of ten thousand take them from nobody."""
    model = Model()
    no_tools = refuses(Cause.TOOLS, lambda body: "tools" in body)
    for _ in range(3 * REFUSALS):
        model.ask(no_tools)
        model.ask(never)

    assert model.terms.takes_tools


@pytest.mark.parametrize("cause", [Cause.OVERFLOW, Cause.ROLES, Cause.FILTERED])
def test_other_refusals_are_not_the_tools_fault(cause):
    model = Model()
    for _ in range(3 * REFUSALS):
        model.ask(refuses(cause, lambda body: True))

    assert model.terms.takes_tools


def test_result_of_a_tool_is_not_sent_without_tools():
    """The server has taken them for the call before it."""
    call = {"role": "assistant", "content": None, "tool_calls": []}
    found = {"role": "tool", "tool_call_id": "1", "content": "Blue."}
    bodies = Model().ask(
        refuses(Cause.TOOLS, lambda body: True), [*QUESTION, call, found]
    )

    assert all("tools" in body for body in bodies)


def test_roles_take_turns_from_then_on():
    model = Model()
    twice = [SYSTEM, ASKED, ASKED]
    strict = refuses(Cause.ROLES, lambda b: in_turns(b["messages"]) != b["messages"])

    assert model.ask(strict, twice)[-1]["messages"] == in_turns(twice)
    assert model.ask(never, twice)[0]["messages"] == in_turns(twice)


def test_nothing_is_learnt_of_a_refusal_that_explains_nothing():
    model = Model()
    bodies = model.ask(refuses(Cause.OTHER, lambda body: True))

    assert [sorted(body) for body in bodies[1:]] == [
        ["messages", "stream", "tools"],
        ["messages", "stream"],
    ]
    assert "temperature" in model.ask(never)[0]


def test_unexplained_error_of_the_server_changes_nothing():
    assert len(Model().ask(refuses(Cause.OTHER, lambda body: True), status=500)) == 1


SAID = {"role": "user", "content": "x" * 2_000}
REPLY = {"role": "assistant", "content": "y" * 2_000}
STORY = [SYSTEM, *[SAID, REPLY] * 10, ASKED]


def overflow(limit, context=None):
    return refuses(
        Cause.OVERFLOW, lambda b: weight(b["messages"], TOOLS) > limit, context=context
    )


def test_long_history_is_halved_and_asked_again_with_tools():
    model = Model()
    bodies = model.ask(overflow(3_000, context=3_100), STORY)

    assert all("tools" in body for body in bodies)
    assert len(bodies) == 2
    assert bodies[-1]["messages"][-1] == ASKED
    assert model.terms.context == 3_100


@pytest.mark.parametrize("context", [None, 3_100, 100_000])
def test_limit_is_remembered(context):
    """Also of a server that does not tell it, or counts more tokens than we do."""
    model = Model()
    model.ask(overflow(3_000, context), STORY)
    model.ask(overflow(3_000, context), STORY)

    assert len(model.ask(overflow(3_000, context), STORY)) == 1
    model.now += CONTEXT_S
    assert model.ask(never, STORY)[0]["messages"] == STORY


def test_question_that_fits_in_no_form_comes_to_an_end():
    bodies = Model().ask(overflow(0), STORY)

    assert 1 < len(bodies) < 12


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("CALL_A_COLLEAGUE: The parcel is lost.", "The parcel is lost."),
        ("**CALL_A_COLLEAGUE:** It is lost", "It is lost"),
        ("CALL_A_COLLEAGUE", ""),
        ("Then I write CALL_A_COLLEAGUE: x", None),
        ("CALL", None),
        ("", None),
    ],
)
def test_word_that_calls_a_colleague(text, reason):
    call = without_tools.call_in(text)

    if reason is None:
        assert call is None
    else:
        assert call["function"] == {
            "name": "escalate_to_human",
            "arguments": f'{{"reason": "{reason}"}}',
        }


class Ear:
    def __init__(self):
        self.heard = []

    def hear(self, piece):
        self.heard.append(piece)

    def forget(self):
        self.heard = []


@pytest.mark.parametrize(
    ("pieces", "heard"),
    [
        (["CALL_A_", "COLLEAGUE", ": lost"], []),
        (["**CALL", "_A_COLLEAGUE"], []),
        (["CALL", " me", " Ann"], ["CALL me", " Ann"]),
        (["Hello", " you"], ["Hello", " you"]),
        ([" ", "\n", "Hi"], [" \nHi"]),
    ],
)
def test_visitor_does_not_hear_the_word(pieces, heard):
    ear = Ear()
    holding = without_tools.Holding(ear)
    for piece in pieces:
        holding.hear(piece)

    assert ear.heard == heard
    holding.forget()
    holding.hear("Again")
    assert ear.heard == ["Again"]
