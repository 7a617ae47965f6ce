"""`search_knowledge`: the model looks up what the company has written down."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

import pydantic
from pydantic import Field

from ..core.context import quoted
from ..core.conversation import Sender
from ..knowledge.search import Knowledge, Passage
from ..store import knowledge as store
from ..store.engine import Database
from ..texts import text
from .base import Call, Result, Source, Tool

MAX_QUESTION = 500


class Arguments(pydantic.BaseModel):
    """What the model says."""

    query: str = Field(
        min_length=2,
        max_length=500,
        description=text("search_knowledge_query"),
    )


PASSAGE = "<passage number={number}>\n{head}\n\n{text}\n</passage>"
TAG = re.compile(r"<\s*+(/?+)\s*+passage\b", re.IGNORECASE)
WORD = re.compile(r"\w+")


def search_knowledge(knowledge: Knowledge, db: Database) -> Tool:
    """Return the tool that searches what one bot knows.

    A question that finds nothing is kept for the operator, until one does.
    """

    async def run(arguments: Arguments, call: Call) -> Result:
        passages = await knowledge.search(arguments.query)
        question = _question(arguments, call, knowledge)
        if not passages:
            await db.write(store.collect_question, question)
            size = await db.read(store.size, knowledge.collections)
            return Result(text=_nothing(size.languages))
        if await db.read(store.is_open, question):
            await db.write(store.forget_question, question)
        return found(arguments.query, passages)

    return Tool(
        name="search_knowledge",
        description=text("search_knowledge"),
        arguments=Arguments,
        run=run,
        offered=knowledge.holds_anything,
        rule=text("search_first"),
    )


def found(query: str, passages: Sequence[Passage]) -> Result:
    """Return what the model is told of *passages*, and the sources they are."""
    return Result(text=_shown(query, passages), sources=_sources(passages))


def _shown(query: str, passages: Sequence[Passage]) -> str:
    """Return *passages*, and below them what to do: the last words count most."""
    shown = [
        PASSAGE.format(number=number, head=_head(passage), text=_data(passage.text))
        for number, passage in enumerate(passages, 1)
    ]
    number = "1 passage" if len(passages) == 1 else f"{len(passages)} passages"
    heading = text("found").format(number=number, query=_data(quoted(query)))
    return "\n\n".join([heading, *shown, text("answer_now")])


def _nothing(languages: Sequence[str]) -> str:
    named = ", ".join(filter(None, languages))
    if not named:
        return text("found_nothing")
    written = text("found_nothing_languages").format(languages=named)
    return f"{text('found_nothing')}\n{written}"


def _head(passage: Passage) -> str:
    lines = [f"Title: {passage.title}"]
    if passage.heading:
        lines.append(f"Section: {passage.heading}")
    if passage.url:
        lines.append(f"Link: {passage.url}")
    return "\n".join(_data(" ".join(line.split())) for line in lines)


def _data(written: str) -> str:
    """Return what was *written* without a tag that would begin or end a passage."""
    return TAG.sub(r"[\1passage", written)


def _sources(passages: Sequence[Passage]) -> tuple[Source, ...]:
    """Return the documents once each."""
    by_id = {
        passage.document_id: Source(title=_source_title(passage), url=passage.url)
        for passage in passages
    }
    return tuple(by_id.values())


def _source_title(passage: Passage) -> str:
    """Return the title, with the name of the file where there is no address."""
    if passage.url:
        return passage.title
    return f"{passage.title} ({PurePath(passage.uri).name})"


def _question(arguments: Arguments, call: Call, knowledge: Knowledge) -> store.Question:
    said = [
        message.content
        for message in call.transcript
        if message.sender is Sender.CONTACT and message.content
    ]
    question = " ".join((said[-1] if said else arguments.query).split())[:MAX_QUESTION]
    return store.Question(
        collection=knowledge.collections[-1],
        folded=folded(question),
        question=question,
        conversation_id=call.conversation.id,
        asked_at=call.now,
        count=1,
    )


def folded(question: str) -> str:
    """Return *question* without case and punctuation, to know it again."""
    plain = unicodedata.normalize("NFKC", question).casefold()
    return " ".join(WORD.findall(plain)) or plain
