"""Found by what it means, with a server that makes vectors; without, all the same."""

import asyncio
import hashlib
import heapq
import math
import random
from operator import mul

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from knowing import ingesting, take_in, write

from chatwoot_bot.errors import KnowledgeError
from chatwoot_bot.http import make_client
from chatwoot_bot.knowledge import embeddings, meaning
from chatwoot_bot.knowledge.embeddings import (
    Embedder,
    from_bytes,
    signs_of,
    similarity,
    to_bytes,
)
from chatwoot_bot.knowledge.search import Knowledge
from chatwoot_bot.store import knowledge as store
from chatwoot_bot.store import knowledge_means as store_means

pytestmark = pytest.mark.anyio

# Words that mean the same have the same direction.
MEANINGS = {"car": 1, "automobile": 1, "voiture": 1, "bread": 2, "loaf": 2}


def vector(text):
    numbers = [
        0.01 * (byte - 128) / 128 for byte in hashlib.sha256(text.encode()).digest()
    ]
    for word in text.lower().replace(".", " ").split():
        if word in MEANINGS:
            numbers[MEANINGS[word]] += 5.0
    return numbers


class Vectors:
    """An embeddings server."""

    def __init__(self):
        self.asked = []
        self.status = 200
        self.body = None
        self.gate = None
        self.vector_of = vector

    async def serve(self, request):
        asked = await request.json()
        self.asked.append(asked)
        if self.gate is not None:
            await self.gate.wait()
        if self.body is not None:
            return web.Response(body=self.body, content_type="application/json")
        data = [
            {"index": number, "embedding": self.vector_of(text)}
            for number, text in enumerate(asked["input"])
        ]
        return web.json_response({"data": data[::-1]}, status=self.status)


@pytest.fixture
async def server():
    vectors = Vectors()
    app = web.Application()
    app.router.add_post("/v1/embeddings", vectors.serve)
    async with TestServer(app) as running:
        vectors.url = str(running.make_url("/v1"))
        yield vectors
        if vectors.gate is not None:
            vectors.gate.set()


@pytest.fixture
async def embedder(server):
    async with make_client() as http:
        yield Embedder(http, base_url=server.url, api_key="k", model="m")


@pytest.fixture
async def docs(db, tmp_path):
    folder = write(
        tmp_path / "docs",
        a="# Vehicles\n\nThe automobile is in the garage.",
        b="# Food\n\nA loaf is on the table.",
    )
    await take_in(db, folder)
    return folder


async def embed(db, embedder):
    async with ingesting(db) as ingest:
        return await ingest.embed(embedder)


async def titles(db, query, embedder):
    found = await Knowledge(db, ("",), embedder).search(query)
    return [passage.title for passage in found]


async def test_another_word_for_the_same_is_found(db, docs, embedder):
    assert await embed(db, embedder) == 2

    assert await titles(db, "voiture", None) == []
    assert (await titles(db, "voiture", embedder))[0] == "Vehicles"
    assert (await titles(db, "bread", embedder))[0] == "Food"


async def test_only_what_has_no_vector_is_asked_for(db, docs, embedder, server):
    await embed(db, embedder)
    write(docs, b="# Food\n\nTwo loaves.")
    await take_in(db, docs)

    assert await embed(db, embedder) == 1
    assert [len(asked["input"]) for asked in server.asked] == [2, 1]
    assert server.asked[0]["model"] == "m"


async def test_changed_document_is_found_by_its_new_meaning(
    db, docs, embedder, monkeypatch
):
    """Also by who has searched before, and remembers where everything was."""
    monkeypatch.setattr(meaning, "FRESH_S", 0.0)
    knowledge = Knowledge(db, ("",), embedder)
    await embed(db, embedder)
    before = [passage.title for passage in await knowledge.search("voiture")]
    write(docs, a="# Vehicles\n\nNothing.", b="# Food\n\nBy automobile.")
    await take_in(db, docs)
    await embed(db, embedder)
    after = [passage.title for passage in await knowledge.search("voiture")]

    assert (before[0], after[0]) == ("Vehicles", "Food")


async def test_another_model_makes_all_vectors_new(db, docs, embedder, server):
    await embed(db, embedder)
    embedder.model = "other"

    assert await embed(db, embedder) == 2


async def test_server_that_is_down_leaves_the_full_text(db, docs, embedder, server):
    await embed(db, embedder)
    server.status = 500
    found = await titles(db, "automobile in the garage", embedder)
    asked = len(server.asked)
    again = await titles(db, "automobile in the garage", embedder)

    assert found == again == ["Vehicles"]
    assert len(server.asked) == asked, "a server that is down is left alone for a while"


async def test_server_that_hangs_is_not_waited_for(
    db, docs, embedder, server, monkeypatch
):
    monkeypatch.setattr(embeddings, "QUESTION_S", 0.05)
    server.gate = asyncio.Event()

    assert await titles(db, "automobile", embedder) == ["Vehicles"]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'{"data": [{"embedding": [0, 0]}, {"embedding": [1, 0]}]}',
        b'{"data": [{"embedding": ["x"]}]}',
        b'{"data": [{"embedding": [1.0, 0.5]}]}',
        b"<html>",
    ],
)
async def test_answer_that_is_none_is_refused(db, docs, embedder, server, body):
    server.body = body

    with pytest.raises(KnowledgeError):
        await embed(db, embedder)


def test_vectors_survive_being_stored():
    stored = from_bytes(to_bytes([0.6, -0.8]))

    assert similarity(stored, [0.6, -0.8]) == pytest.approx(1.0)
    assert similarity(stored, [1.0]) == 0.0
    assert signs_of([0.6, -0.8, 0.1]) == bytes([0b101])


# --- Signs about the mean ---

SHARING, DIMENSIONS = 900, 128


def sharing_a_direction(seed=7):
    """Vectors as E5's are: most of each number is the same in all of them.

    Returns:
        texts → vectors, and (question, text that it asks for).
    """
    draw = random.Random(seed)
    shared = [draw.gauss(0, 1) for _ in range(DIMENSIONS)]

    def near(middle, spread):
        return [number + draw.gauss(0, spread) for number in middle]

    topics = [near(shared, 0.25) for _ in range(60)]
    vectors = {f"text {n}": near(topics[n % 60], 0.12) for n in range(SHARING)}
    asked = [(f"question {n}", f"text {n * 7}") for n in range(100)]
    for question, text in asked:
        vectors[question] = near(vectors[text], 0.17)
    return vectors, asked


def text_in(written):
    """What a test has said, in the form in which the model is given it."""
    return written.splitlines()[-1]


def exact(vectors, question, limit):
    """The nearest texts, of all of them."""

    def nearness(text):
        one, other = vectors[question], vectors[text]
        length = math.sqrt(sum(map(mul, other, other)))
        return sum(map(mul, one, other)) / length

    texts = [text for text in vectors if text.startswith("text")]
    return heapq.nlargest(limit, texts, key=nearness)


async def test_prefilter_finds_what_an_exact_search_finds(
    db, tmp_path, embedder, server
):
    """Where all vectors share a direction, signs about 0 tell nothing apart."""
    vectors, asked = sharing_a_direction()
    server.vector_of = lambda written: vectors[text_in(written)]
    parts = "\n\n".join(f"## n{n}\n\ntext {n}" for n in range(SHARING))
    await take_in(db, write(tmp_path / "docs", a=f"# Parts\n\n{parts}"))
    await embed(db, embedder)
    known = meaning.Meaning(db, ("",), embedder)
    found = wanted = 0
    for question, text in asked:
        nearest = [near.chunk_id for near in (await known.search(question))[:5]]
        pieces = await db.read(store.pieces, nearest)
        found += text in {piece.text for piece in pieces.values()}
        wanted += text in exact(vectors, question, 5)

    assert wanted >= 80, "a set that an exact search cannot answer shows nothing"
    assert (wanted - found) / len(asked) <= 0.03


async def test_mean_is_taken_again_when_a_collection_has_grown(
    db, docs, embedder, server
):
    await embed(db, embedder)
    [before] = await db.read(store_means.means, "m")
    write(docs, c="# More\n\nA third.", d="# Still more\n\nA fourth.")
    await take_in(db, docs)
    await embed(db, embedder)
    [after] = await db.read(store_means.means, "m")
    signs = await db.read(store_means.signs, [""], "m")

    assert (before.vectors, after.vectors) == (2, 4)
    assert {one.mean_id for one in signs} == {after.id}


async def test_each_collection_has_its_own_mean(db, docs, tmp_path, embedder):
    other = write(tmp_path / "three", x="# Bread\n\nA loaf.")
    await take_in(db, other, collection="3")
    await embed(db, embedder)
    means = await db.read(store_means.means, "m")
    found = await Knowledge(db, ("", "3"), embedder).search("bread")

    assert {mean.collection for mean in means} == {"", "3"}
    assert {passage.title for passage in found[:2]} == {"Food", "Bread"}


async def test_signs_of_an_older_release_are_still_compared(db, docs, embedder):
    """They are about 0, and stay so until the next start has taken them again."""
    await embed(db, embedder)
    rows = await db.read(store_means.signs, [""], "m")
    numbers = dict(await db.read(store.numbers, [row.chunk_id for row in rows], "m"))
    old = [
        store_means.Signs(
            row.chunk_id, signs_of(from_bytes(numbers[row.chunk_id])), None
        )
        for row in rows
    ]
    await db.write(store_means.keep_signs, "m", old)
    await db.write(store_means.drop_unused_means)
    found = await titles(db, "voiture", embedder)
    await embed(db, embedder)
    again = await db.read(store_means.signs, [""], "m")

    assert found[0] == "Vehicles"
    assert None not in {row.mean_id for row in again}
