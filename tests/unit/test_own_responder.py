"""A responder of the operator's own: how it is found, and what may go wrong in it."""

import asyncio

import pytest
import structlog
from factories import assignment, message

from chatwoot_bot.core.outgoing import Option
from chatwoot_bot.errors import LeaseLostError, ResponderError, SettingsError
from chatwoot_bot.responders.base import Answer
from chatwoot_bot.responders.own import OwnResponder, load
from chatwoot_bot.settings import Settings

pytestmark = pytest.mark.anyio

SECRET = "my password is hunter2"
MODULE = """
from chatwoot_bot.responders.base import Answer

class Echo:
    async def respond(self, assignment, listener=None):
        return Answer(text=assignment.transcript[-1].content)

class Named:
    model = "mine"
    def __init__(self, settings):
        self.name = settings.bot_name
    async def respond(self, assignment, listener=None):
        return self.name

def make(*, loud=False):
    return Echo()

class Mute:
    pass

class Sync:
    def respond(self, assignment, listener=None):
        return "no"

class Sums(Echo):
    async def summarize(self, transcript, so_far=None):
        return "<think>Hm.</think>Wants a lamp."

class Broken:
    def __init__(self):
        raise KeyError("x")

number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """Write the module where the service is started; return its name."""
    monkeypatch.chdir(tmp_path)
    name = f"own_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}_broken.py").write_text("1 / 0")
    return name


@pytest.mark.parametrize(
    ("name", "said"), [("Echo", "Hi"), ("make", "Hi"), ("Named", "Ada")]
)
async def test_class_or_function_that_takes_nothing_or_the_settings(module, name, said):
    responder = load(f"{module}:{name}", Settings.load({"BOT_NAME": "Ada"}))
    answer = await responder.respond(assignment([message("Hi")]))

    assert answer == Answer(text=said)
    assert responder.name == f"{module}:{name}"
    assert await responder.summarize([message()]) is None


async def test_summary_is_without_what_the_model_thought(module):
    responder = load(f"{module}:Sums", None)
    summary = await responder.summarize([message()])

    assert summary == Answer(text="Wants a lamp.")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("{0}_none:Echo", "{0}_none cannot be imported"),
        ("{0}_broken:Echo", "failed while it was imported (ZeroDivisionError"),
        ("{0}:Nobody", "{0} has no Nobody"),
        ("{0}:number", "must be a class, or a function"),
        ("{0}:Mute", "needs async def respond(self, assignment, listener)"),
        ("{0}:Sync", "needs async def respond(self, assignment, listener)"),
        ("{0}:Broken", "failed when it was called (KeyError"),
    ],
)
def test_start_says_what_is_wrong(module, spec, problem):
    with pytest.raises(SettingsError) as caught:
        load(spec.format(module), Settings.load({}))

    assert problem.format(module) in caught.value.problems["RESPONDER"]


class Scripted:
    """Raises or returns what it is told."""

    def __init__(self, outcome):
        self.outcome = outcome

    async def respond(self, assignment, listener=None):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    "outcome",
    [
        ValueError(SECRET),
        KeyError(SECRET),
        TimeoutError(),
        None,
        3,
        "",
        Answer(text=""),
    ],
)
async def test_bug_is_the_models_failure_and_shows_no_word_of_the_contact(outcome):
    own = OwnResponder("shop:Own", Scripted(outcome))
    with (
        structlog.testing.capture_logs() as lines,
        pytest.raises(ResponderError) as caught,
    ):
        await own.respond(assignment([message(SECRET)]))

    assert str(caught.value).startswith("shop:Own ")
    assert not caught.value.retryable
    assert "hunter2" not in f"{caught.value} {lines}"
    if isinstance(outcome, Exception):
        [line] = lines
        assert (line["event"], line["error"]) == (
            "responder failed",
            type(outcome).__name__,
        )
        assert line["file"] == __file__


async def test_what_it_says_of_itself_is_left_alone():
    down = ResponderError("down", retryable=True)
    for outcome in (down, LeaseLostError("gone"), asyncio.CancelledError()):
        with pytest.raises(type(outcome)) as caught:
            await OwnResponder("x:Y", Scripted(outcome)).respond(assignment())
        assert caught.value is outcome


def test_answer_holds_what_every_database_takes():
    """Half a pair of surrogates comes from many a model, cut in two."""
    answer = Answer(
        text="Yes \ud83d", options=(Option("A\x00", ""),), handover="\udc00"
    )

    assert (answer.text, answer.handover) == ("Yes \ufffd", "\ufffd")
    assert answer.options == (Option("A\ufffd", ""),)


async def test_handover_needs_no_text():
    answer = Answer(text="", handover="too hard")

    assert await OwnResponder("x:Y", Scripted(answer)).respond(assignment()) is answer
