"""Search by meaning with real embedding models, and by words beside plain BM25.

The figures of each run are printed; `-s` shows them. The thresholds leave room for
another processor's arithmetic and another Python's texts.
"""

import asyncio
import heapq
from collections import Counter
from operator import mul
from pathlib import Path

import pytest
import real_models
import sqlalchemy as sa
from knowing import ingesting, take_in
from real_corpus import ASKED, NOTHING, write_corpus
from real_models import E5, MiniLM, PlainBM25, serving

from chatwoot_bot.http import make_client
from chatwoot_bot.knowledge import embeddings
from chatwoot_bot.knowledge.embeddings import Embedder, from_bytes
from chatwoot_bot.knowledge.meaning import Meaning
from chatwoot_bot.knowledge.prefixes import prefixes_of
from chatwoot_bot.knowledge.search import OF_ONE, Knowledge
from chatwoot_bot.store.engine import Database
from chatwoot_bot.store.schema import (
    knowledge_chunks,
    knowledge_documents,
    knowledge_vectors,
)

if real_models.MISSING:
    pytest.skip(real_models.REASON, allow_module_level=True)

pytestmark = pytest.mark.anyio

# Lower than measured, by what a few questions more or less make.
SLACK = 0.04


class Corpus:
    """Documents in a database, and a model that has seen them."""

    def __init__(self, url, model):
        self.url, self.model = url, model


def build(folder, model, modules):
    """Take the corpus in, and embed it."""

    async def go():
        db = Database(f"sqlite:///{folder / 'store.db'}")
        await db.open()
        await take_in(db, write_corpus(folder / "docs", modules))
        async with (
            serving(model) as url,
            make_client() as http,
            ingesting(db) as ingest,
        ):
            await ingest.embed(embedder(model, url, http))
        await db.close()

    asyncio.run(go())
    return Corpus(f"sqlite:///{folder / 'store.db'}", model)


def embedder(model, url, http):
    return Embedder(
        http,
        base_url=url,
        api_key="k",
        model=model.name,
        prefixes=prefixes_of(model.name),
    )


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    return build(tmp_path_factory.mktemp("minilm"), MiniLM(), modules=150)


@pytest.fixture(scope="module")
def e5(tmp_path_factory):
    """With a smaller crowd, because the package's model takes its time."""
    return build(tmp_path_factory.mktemp("e5"), E5(), modules=25)


class Searching:
    """A corpus that is searched in every way."""

    def __init__(self, db, embedder):
        self.db = db
        self.both = Knowledge(db, ("",), embedder)
        self.words = Knowledge(db, ("",))
        self.meaning = Meaning(db, ("",), embedder)
        self.document_of, self.vectors, self.texts = {}, {}, {}

    async def read(self):
        rows = await self.db.read(
            lambda tx: tx.execute(
                sa.select(
                    knowledge_chunks.c.id,
                    knowledge_documents.c.uri,
                    knowledge_documents.c.title,
                    knowledge_chunks.c.heading,
                    knowledge_chunks.c.text,
                    knowledge_vectors.c.numbers,
                )
                .join(
                    knowledge_documents,
                    knowledge_documents.c.id == knowledge_chunks.c.document_id,
                )
                .join(
                    knowledge_vectors,
                    knowledge_vectors.c.chunk_id == knowledge_chunks.c.id,
                )
            ).all()
        )
        for chunk, uri, title, heading, text, numbers in rows:
            self.document_of[chunk] = Path(uri).stem
            self.vectors[chunk] = from_bytes(numbers)
            self.texts[chunk] = f"{title}\n{heading}\n{text}"
        return self

    def exact(self, vector):
        """Every chunk's document, of the nearest ones, without any pre-filter."""

        def nearness(chunk):
            return sum(map(mul, self.vectors[chunk], vector))

        return heapq.nlargest(64, self.vectors, key=nearness)

    def documents(self, chunks, limit=5):
        """The first documents, as passages are chosen: of one at most `OF_ONE`."""
        taken, found = Counter(), []
        for document in (self.document_of[chunk] for chunk in chunks):
            taken[document] += 1
            if taken[document] <= OF_ONE:
                found.append(document)
        return found[:limit]


@pytest.fixture
def corpus(request):
    """The one that a test names; made here, because it runs a loop of its own."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def searching(corpus, monkeypatch):
    # A loaded machine may need longer than a contact would wait.
    monkeypatch.setattr(embeddings, "QUESTION_S", 60.0)
    db = Database(corpus.url)
    await db.open()
    async with serving(corpus.model) as url, make_client() as http:
        yield await Searching(db, embedder(corpus.model, url, http)).read()
    await db.close()


def rates(found):
    """(r@1, r@3, r@5) of what was found for each question."""
    return tuple(
        sum(answer in found[question][:first] for question, answer in ASKED)
        / len(ASKED)
        for first in (1, 3, 5)
    )


def shown(name, *figures):
    print(f"\n{name}: " + ", ".join(f"{one:.2f}" for one in figures))


async def by(knowledge, questions):
    """Question → the files of the passages."""
    return {
        question: [Path(one.uri).stem for one in await knowledge.search(question)]
        for question in questions
    }


QUESTIONS = [question for question, _ in ASKED]


@pytest.mark.parametrize("corpus", ["minilm", "e5"], indirect=True)
async def test_prefilter_finds_what_an_exact_search_finds(searching):
    quick, exact = {}, {}
    for question in QUESTIONS:
        vector = await searching.meaning.vector(question)
        near = [one.chunk_id for one in await searching.meaning.search(vector)]
        quick[question] = searching.documents(near)
        exact[question] = searching.documents(searching.exact(vector))
    shown("pre-filtered r@1 3 5", *rates(quick))
    shown("exact r@1 3 5", *rates(exact))

    assert rates(exact)[2] - rates(quick)[2] <= 0.03


@pytest.mark.parametrize("corpus", ["minilm"], indirect=True)
async def test_full_text_is_not_below_bm25(searching):
    plain = PlainBM25(searching.texts)
    theirs = {q: searching.documents(plain.search(q, 40)) for q in QUESTIONS}
    ours = await by(searching.words, QUESTIONS)
    shown("BM25 r@1 3 5", *rates(theirs))
    shown("full text r@1 3 5", *rates(ours))

    assert all(a >= b - 0.01 for a, b in zip(rates(ours), rates(theirs), strict=True))


@pytest.mark.parametrize(
    ("corpus", "expected"),
    [("minilm", (0.43, 0.65, 0.73)), ("e5", (0.30, 0.42, 0.50))],
    indirect=["corpus"],
)
async def test_words_and_meaning_find_the_article(searching, expected):
    found = rates(await by(searching.both, QUESTIONS))
    shown("both r@1 3 5", *found)

    assert all(a >= b - SLACK for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("corpus", ["minilm", "e5"], indirect=True)
async def test_most_questions_about_something_else_find_nothing(searching):
    found = await by(searching.both, NOTHING)
    lost = [
        q
        for q, passages in (await by(searching.both, QUESTIONS)).items()
        if not passages
    ]
    silent = sum(not passages for passages in found.values())
    shown("off-topic silent, on-topic silent", silent, len(lost))

    assert len(NOTHING) == 20
    assert silent >= 14
    assert len(lost) <= 0.08 * len(QUESTIONS), lost
