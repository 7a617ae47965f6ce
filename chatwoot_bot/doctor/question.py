"""One real question to a model, asked as the bot asks: streamed, and with a tool."""

import time
from dataclasses import dataclass

import httpx
import pydantic

from ..answering import options
from ..core.conversation import Conversation, Message, Sender, State
from ..errors import DeclinedError
from ..responders.base import Assignment
from ..responders.openai import OpenAIResponder
from ..responders.terms import Terms
from ..settings import Llm, Settings
from ..store.effects import Entry
from ..tools.base import Call, Result, Tool
from ..tools.toolbox import Toolbox

PROMPT = "You are a support assistant. This is a test of the connection; be brief."
# Two in a row, because contacts write so and not each template takes it.
QUESTIONS = ("Hello.", "Please answer with the word ok.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How the model has answered.

    Attributes:
        first_word_s: seconds until it began.
        takes_tools: the request with a tool was not refused.
        counts: the server has told the tokens.
        learnt: what had to be changed before the request was taken.
    """

    first_word_s: float
    takes_tools: bool
    counts: bool
    learnt: tuple[str, ...]


async def ask(
    settings: Settings, llm: Llm, http: httpx.AsyncClient, *, is_first: bool
) -> Answered:
    """Ask the model.

    Raises:
        ResponderError: it does not answer, or refuses to.
    """
    terms = Terms()
    responder = OpenAIResponder(
        http,
        base_url=llm.base_url,
        api_key=llm.api_key,
        model=llm.model,
        prompt=PROMPT,
        timeout_s=settings.llm_timeout_seconds,
        first_token_s=settings.llm_first_token_seconds,
        options=options(settings, llm, is_first=is_first),
        terms=terms,
    )
    assignment, clock = _assignment(), _Clock()
    answer = await responder.respond(assignment, clock)
    if answer.declined:
        raise DeclinedError(answer.declined)
    return Answered(
        first_word_s=(clock.heard_at or time.monotonic()) - clock.began,
        takes_tools=not terms.refused_tools,
        counts=not any(used.estimated for _, used in assignment.meter.take()),
        learnt=terms.learnt,
    )


class _Clock:
    """Hears when an answer begins."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.heard_at: float | None = None

    def hear(self, piece: str) -> None:
        if piece and self.heard_at is None:
            self.heard_at = time.monotonic()

    def forget(self) -> None:
        self.heard_at = None


class _Nothing(pydantic.BaseModel):
    pass


async def _look(_given: _Nothing, _call: Call) -> Result:
    return Result(text="There is nothing new. Answer the contact now.")


class _NoRecord:
    """Nothing is put on record, because the tool has no effect."""

    async def read(self) -> list[Entry]:
        return []

    async def begin(self, name: str, arguments: str) -> Entry | None:
        return None

    async def done(self, entry: Entry, result: Result) -> Entry:
        return entry

    async def undone(self, entry: Entry) -> None:
        pass


def _assignment() -> Assignment:
    now = time.time()
    transcript = [
        Message(
            id=number,
            sender=Sender.CONTACT,
            content=content,
            created_at=now,
            owed=True,
        )
        for number, content in enumerate(QUESTIONS, 1)
    ]
    conversation = Conversation(id="doctor", channel="web", state=State.AI)
    tool = Tool(
        name="look_for_news",
        description="Look for news of the company, when the contact asks for them.",
        arguments=_Nothing,
        run=_look,
    )
    toolbox = Toolbox(
        [tool], _NoRecord(), conversation=conversation, transcript=transcript, now=now
    )
    return Assignment(transcript=transcript, conversation=conversation, toolbox=toolbox)
