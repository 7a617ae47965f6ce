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
from structlog.testing import capture_logs

from chatwoot_bot import library
from chatwoot_bot.core.ranking import Ranked
from chatwoot_bot.errors import EmbeddingsError, KnowledgeError
from chatwoot_bot.http import make_client
from chatwoot_bot.knowledge import embeddings, floor, meaning, search
from chatwoot_bot.knowledge.embeddings import (
    Embedder,
    from_bytes,
    signs_of,
    similarity,
    to_bytes,
)
from chatwoot_bot.knowledge.health import Health
from chatwoot_bot.knowledge.prefixes import (
    INSTRUCTION,
    RETRIEVAL,
    Prefixes,
    prefixes_of,
)
from chatwoot_bot.knowledge.search import Knowledge
from chatwoot_bot.settings import Settings
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


# Requests by which it is found what a model says of unrelated texts.
MEASURED = [1] * (len(floor.QUESTIONS) + len(floor.TEXTS))


class Vectors:
    """An embeddings server."""

    def __init__(self):
        self.asked = []
        self.status = 200
        self.body = None
        self.gate = None
        self.vector_of = vector
        # Texts in one request: more hang while the gate is shut, or are refused.
        self.most = 0
        self.refused_above = 1_000

    async def serve(self, request):
        asked = await request.json()
        self.asked.append(asked)
        if self.gate is not None and len(asked["input"]) > self.most:
            await self.gate.wait()
        if len(asked["input"]) > self.refused_above:
            return web.json_response({"error": "batch size"}, status=422)
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
    sizes = [len(asked["input"]) for asked in server.asked]
    assert sizes == [2, *MEASURED, 1], "the model's floor is measured once"
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
    shared = [draw.choice((-1, 1)) * draw.uniform(0.7, 1.5) for _ in range(DIMENSIONS)]

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


async def nearest(known, question):
    return await known.search(await known.vector(question))


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
    server.vector_of = lambda written: vectors.get(text_in(written)) or [1.0]
    parts = "\n\n".join(f"## n{n}\n\ntext {n}" for n in range(SHARING))
    await take_in(db, write(tmp_path / "docs", a=f"# Parts\n\n{parts}"))
    await embed(db, embedder)
    known = meaning.Meaning(db, ("",), embedder)
    found = wanted = 0
    for question, text in asked:
        near = [one.chunk_id for one in (await nearest(known, question))[:5]]
        pieces = await db.read(store.pieces, near)
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


# --- Prefixes, batches, health ---

E5 = Prefixes("query:", "passage:")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("intfloat/multilingual-e5-small", E5),
        ("e5-base-v2.Q8_0.gguf", E5),
        ("nomic-embed-text:v1.5", Prefixes("search_query:", "search_document:")),
        ("mxbai-embed-large", Prefixes(RETRIEVAL)),
        ("snowflake-arctic-embed:335m", Prefixes(RETRIEVAL)),
        ("snowflake-arctic-embed2", Prefixes("query:")),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", Prefixes("query:")),
        ("multilingual-e5-large-instruct", Prefixes(INSTRUCTION)),
        ("text-embedding-3-small", Prefixes()),
        ("all-minilm", Prefixes()),
        ("bge-m3", Prefixes()),
        ("some-e50-model", Prefixes()),
    ],
)
def test_known_models_get_their_prefixes(model, expected):
    assert prefixes_of(model) == expected


async def test_questions_and_documents_carry_their_prefix(db, docs, server):
    async with make_client() as http:
        prefixed = Embedder(
            http, base_url=server.url, api_key="k", model="m", prefixes=E5
        )
        await embed(db, prefixed)
        await titles(db, "voiture", prefixed)

    documents, *measured, question = [asked["input"] for asked in server.asked]
    assert all(text.startswith("passage: ") for text in documents)
    assert {text.split()[0] for [text] in measured} == {"passage:", "query:"}
    assert question == ["query: voiture"]


async def test_another_document_prefix_makes_all_vectors_new(db, docs, server):
    async with make_client() as http:
        made = [
            await embed(
                db,
                Embedder(
                    http, base_url=server.url, api_key="k", model="m", prefixes=prefixes
                ),
            )
            for prefixes in (Prefixes(), E5, E5, Prefixes("other:", "passage:"))
        ]

    assert made == [2, 2, 0, 0]


def test_settings_say_where_vectors_are_made_and_with_what():
    own = {
        "GROQ_API_KEY": "gsk-1",
        "EMBEDDING_MODEL": "e5-small",
        "EMBEDDING_BASE_URL": "http://127.0.0.1:8081/v1",
        "EMBEDDING_QUERY_PREFIX": "ask:",
        "EMBEDDING_DOCUMENT_PREFIX": "none",
    }
    embedder = library.embedder_of(Settings.load(own), None)

    assert embedder.key == "e5-small"
    assert embedder._url == "http://127.0.0.1:8081/v1/embeddings"
    assert embedder._prefixes == Prefixes("ask:", "")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, ("https://chat.example/v1", "sk-chat")),
        ({"EMBEDDING_BASE_URL": "https://e.example"}, ("https://e.example", "none")),
        ({"EMBEDDING_API_KEY": "sk-e"}, ("https://chat.example/v1", "sk-e")),
    ],
)
def test_key_goes_only_to_the_server_it_was_given_for(own, expected):
    chat = {
        "OPENAI_API_KEY": "sk-chat",
        "OPENAI_BASE_URL": "https://chat.example/v1",
        "EMBEDDING_MODEL": "m",
    }

    assert Settings.load(chat | own).embedding()[:2] == expected


async def test_batch_is_halved_until_the_server_manages_it(
    db, tmp_path, embedder, server, monkeypatch
):
    monkeypatch.setattr(embeddings, "TIMEOUT_S", 1.0)
    server.most, server.gate = 3, asyncio.Event()
    texts = {f"d{n}": f"# Title {n}\n\nText {n}." for n in range(16)}
    await take_in(db, write(tmp_path / "docs", **texts))

    assert await embed(db, embedder) == 16
    sizes = [len(asked["input"]) for asked in server.asked]
    assert sizes[:4] == [16, 8, 4, 2]
    assert sizes[3:] == [2] * 8 + MEASURED, "what was too much is not tried again"


async def test_batch_that_is_refused_is_halved_too(db, docs, embedder, server):
    """A server with a limit of its own answers 413 or 422."""
    server.refused_above = 1

    assert await embed(db, embedder) == 2


async def test_server_that_never_answers_in_time_ends_the_attempt(
    db, docs, embedder, server, monkeypatch
):
    monkeypatch.setattr(embeddings, "TIMEOUT_S", 0.1)
    server.gate = asyncio.Event()

    with pytest.raises(EmbeddingsError, match=r"more than 0\.1 s"):
        await embed(db, embedder)
    assert [len(asked["input"]) for asked in server.asked] == [2, 1]


async def test_failure_is_logged_once_and_shown(db, docs, server, monkeypatch):
    monkeypatch.setattr(embeddings, "PAUSE_S", 0.0)
    health = Health()
    health.model = "m"
    with capture_logs() as logs:
        async with make_client() as http:
            embedder = Embedder(
                http, base_url=server.url, api_key="k", model="m", health=health
            )
            server.status = 501
            for _ in range(3):
                await embedder.question("a")
            during = health.parts()["embeddings"]
            server.status = 200
            await embedder.question("a")

    assert [entry["event"] for entry in logs] == [
        "embeddings failed",
        "embeddings server answered again",
    ]
    assert (during["reachable"], during["last_error"]) == (
        False,
        "the embeddings server said 501",
    )
    assert health.parts()["embeddings"]["reachable"] is True
    assert Health().parts() == {}


async def test_service_embeds_what_comes_later_and_tells_how_many_lack_a_vector(
    db, docs, server, monkeypatch
):
    monkeypatch.setattr(library, "AGAIN_S", 0.01)
    settings = Settings.load(
        {
            "OPENAI_API_KEY": "sk-1",
            "OPENAI_BASE_URL": server.url,
            "EMBEDDING_MODEL": "m",
        }
    )
    health, shown = Health(), []
    server.status = 501
    async with make_client() as http:
        running = asyncio.create_task(library.keep_up(settings, db, http, health))
        for status, missing in ((501, 2), (200, 0)):
            server.status = status
            async with asyncio.timeout(20):
                while health.without_vector != missing:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.01)
            shown.append(health.parts()["embeddings"]["reachable"])
        write(docs, c="# Later\n\nA third.")
        await take_in(db, docs)
        async with asyncio.timeout(20):
            while await db.read(store.count_without_vector, "m"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()

    assert shown == [False, True]


# --- What is near enough ---


def test_near_is_measured_from_what_unrelated_texts_have():
    """0.3 means much to one model, and to another less than nothing."""
    minilm, e5 = floor.Floor(0.04, 0.075), floor.Floor(0.74, 0.033)

    assert 0.25 < minilm.near < 0.3 < 0.8 < e5.near < 0.85
    assert 0.15 < minilm.related < 0.2 < 0.78 < e5.related < 0.81


def ranked(chunk_id, coverage=1.0):
    return Ranked(chunk_id, 1.0, coverage)


@pytest.mark.parametrize(
    ("by_words", "near", "found"),
    [
        # The same words about something else.
        ([ranked(1)], [(1, 0.1)], []),
        ([ranked(1)], [(1, 0.21)], [1]),
        # It was added a moment ago and has no vector yet.
        ([ranked(1)], [], [1]),
        ([], [(1, 0.29)], []),
        ([], [(1, 0.4), (2, 0.2)], [1]),
        ([ranked(1, 0.1)], [(1, 0.21)], []),
        ([ranked(3), ranked(2)], [(1, 0.5), (2, 0.4), (3, 0.2)], [2, 1, 3]),
    ],
)
def test_words_and_meaning_together(by_words, near, found):
    level = floor.Floor(0.0, 0.1)
    chosen = search._by_both(by_words, [meaning.Near(*one) for one in near], level)

    assert [chunk for chunk, _ in chosen] == found


async def test_floor_of_a_model_is_kept(db, docs, embedder):
    before = await db.read(store_means.floor, "m")
    await embed(db, embedder)
    kept = await db.read(store_means.floor, "m")

    assert before is None
    assert floor.Floor(*kept) == await floor.measure(embedder)
