"""Found by what it means, with a server that makes vectors; without, all the same."""

import asyncio
import hashlib

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

    async def serve(self, request):
        asked = await request.json()
        self.asked.append(asked)
        if self.gate is not None:
            await self.gate.wait()
        if self.body is not None:
            return web.Response(body=self.body, content_type="application/json")
        data = [
            {"index": number, "embedding": vector(text)}
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
