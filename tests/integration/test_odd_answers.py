"""Whatever JSON another server answers, the loops that ask it go on."""

import asyncio
import json

import httpx
import pytest
import structlog
from factories import example
from hypothesis import example as also
from hypothesis import given, settings
from hypothesis import strategies as st
from knowing import write

from chatwoot_bot import library
from chatwoot_bot.chatwoot.client import ChatwootClient
from chatwoot_bot.core.conversation import Sender, Status
from chatwoot_bot.core.events import Event, Kind, Said, Sighting
from chatwoot_bot.errors import ChatwootError, KnowledgeError
from chatwoot_bot.knowledge.embeddings import Embedder
from chatwoot_bot.knowledge.help_center import (
    Portal,
    articles_of,
    portal_at,
    portals_of,
)
from chatwoot_bot.settings import Settings
from chatwoot_bot.sweep import Sweep

URL = "https://chat.example.com"
often = settings(max_examples=100, deadline=None, derandomize=True, database=None)

text = st.text("aé/<\x00\x1b\ud83d\udfff", max_size=4)
leaf = text | st.sampled_from(
    [
        *(None, True, 0, 1, -1, 0.5, 2**63, 10**400, -(10**400)),
        *(1e300, float("nan"), float("inf"), -float("inf")),
        *("published", "0001-01-01T00:00:00", "9999-12-31T23:59:59-23:59"),
    ]
)
anything = st.recursive(
    leaf,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
    ),
    max_leaves=8,
)
DEEP = "@deep@"


def paths(value, path=()):
    """Yield the place of everything inside *value*."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for name, inner in items:
        yield from paths(inner, (*path, name))


def bent(real):
    """Return *real* answers in which up to four things are something else."""

    @st.composite
    def draw_one(draw):
        payload = json.loads(json.dumps(real))
        for _ in range(draw(st.integers(1, 4))):
            found = sorted(paths(payload), key=str)
            if not found:
                break
            *parents, name = draw(st.sampled_from(found))
            place = payload
            for parent in parents:
                place = place[parent]
            place[name] = draw(anything | st.just(DEEP))
        return payload

    return draw_one() | anything | st.just({"payload": DEEP}) | st.just({"data": DEEP})


def as_json(value):
    """Return *value* as a server may write it, also what Python would not."""
    body = json.dumps(value).replace("-Infinity", "-1e999")
    body = body.replace("Infinity", "1e999")
    return body.replace(f'"{DEEP}"', "[" * 990 + "]" * 990).encode()


def answering(body, call, *errors):
    """Run *call* against a server that always answers *body*."""

    async def run():
        respond = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
        async with httpx.AsyncClient(transport=respond) as http:
            try:
                return await call(http)
            except errors:
                return None

    return asyncio.run(run())


def chatwoot(http):
    return ChatwootClient(http, base_url=URL, token="t")


SEEN = Event(
    name="message_created",
    kind=Kind.CONTACT_MESSAGE,
    account_id=1,
    inbox_id=3,
    conversation=Sighting(display_id=150),
    message=Said(external_id=7, sender=Sender.CONTACT, content="Hi"),
)
ROWS = example("rest_list_conversations__response")
MESSAGES = example("rest_list_messages__with_activity")
SHOWN = example("rest_conversation_show__response")
ARTICLES = {
    "payload": [
        {
            "id": 1,
            "title": "T",
            "content": "C",
            "status": "published",
            "slug": "s",
            "locale": "en",
            "category": {"locale": "en"},
        }
    ],
    "meta": {},
}
PORTALS = {
    "payload": [
        {
            "slug": "help",
            "custom_domain": "help.example.com",
            "config": {"allowed_locales": [{"code": "en"}, "de"]},
        }
    ]
}
VECTORS = {"data": [{"index": n, "embedding": [0.5, 0.25]} for n in range(2)]}


def may_be_refused(payload, *names):
    """Return whether no list is at the end of *names*, or one nested too deeply."""
    place = payload
    for name in names:
        place = place.get(name) if isinstance(place, dict) else None
    return not isinstance(place, list) or DEEP in json.dumps(payload)


@often
@given(bent(ROWS))
def test_any_list_of_conversations_is_read(payload):
    """Whatever is in it; what is no list is refused."""
    found = answering(
        as_json(payload),
        lambda http: chatwoot(http).list_last_messages(
            1, status=Status.PENDING, page=1
        ),
        ChatwootError,
    )

    assert found is not None or may_be_refused(payload, "data", "payload")
    assert all(0 <= each.written_at <= 1e11 for each in found or ())


@often
@given(bent(MESSAGES))
def test_any_list_of_messages_is_read(payload):
    """Whatever is in it; what is no list is refused."""
    found = answering(
        as_json(payload),
        lambda http: chatwoot(http).list_messages(SEEN, after=0),
        ChatwootError,
    )

    assert found is not None or may_be_refused(payload, "payload")
    assert all(each.event.message for each in found or ())


@often
@given(bent(SHOWN))
def test_any_conversation_is_read_or_refused(payload):
    body = as_json(payload)
    found = answering(
        body, lambda http: chatwoot(http).get_conversation(1, 150), ChatwootError
    )
    answering(body, lambda http: chatwoot(http).show(1, 150), ChatwootError)

    assert found is None or 0 <= found.updated_at <= 1e11


@often
@given(bent(VECTORS))
def test_any_embeddings_are_read_or_refused(payload):
    def ask(http):
        return Embedder(http, base_url=URL, api_key="k", model="m").texts(["a", "b"])

    found = answering(as_json(payload), ask, KnowledgeError)

    assert found is None or len(found) == 2


@often
@given(bent(ARTICLES))
def test_any_articles_are_read_or_refused(payload):
    portal = Portal(f"{URL}/hc/help", ("en",))
    found = answering(
        as_json(payload), lambda http: articles_of(http, portal), KnowledgeError
    )

    for raw in found or ():
        # Text and title are cleaned where every document is.
        "".join([raw.uri, raw.url or "", raw.language]).encode()


@often
@given(bent(PORTALS))
@also({"payload": [{"slug": "\ud83d", "config": {"allowed_locales": ["\ud83d"]}}]})
def test_any_help_centres_are_read_or_refused(payload):
    body = as_json(payload)
    answering(body, lambda http: portals_of(http, URL, 1, "t"), KnowledgeError)
    answering(body, lambda http: portal_at(http, f"{URL}/hc/x"), KnowledgeError)


# The loops themselves.


class Odd(Exception):
    """An error that nobody has thought of."""


@pytest.mark.anyio
async def test_sweep_survives_what_nobody_has_thought_of(db):
    """A service that fetches nothing is better than none."""
    asked, often_asked = [], asyncio.Event()

    class Reader:
        async def list_last_messages(self, *_args, **_options):
            asked.append(1)
            if len(asked) == 3:
                often_asked.set()
            raise Odd("a contact's text")

    sweeping = Sweep(
        db,
        None,
        None,
        Reader(),
        account_id=1,
        serves=lambda _: True,
        names=lambda _: True,
        every_s=0.01,
        not_older_than_s=60.0,
    )
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(sweeping.run())
        async with asyncio.timeout(10):
            await often_asked.wait()
        task.cancel()

    assert {each["event"] for each in logs} == {"sweep failed"}
    assert logs[0]["error"] == "Odd"
    assert "a contact's text" not in str(logs)


EMBEDDED = "knowledge embedded"


@pytest.mark.anyio
async def test_knowledge_survives_what_nobody_has_thought_of(db, tmp_path, monkeypatch):
    """Its service would end at every start, because of one server's answer."""
    tries = []

    class Broken:
        model = key = "m"

        async def texts(self, texts):
            tries.append(1)
            if len(tries) < 3:
                raise Odd("a contact's text")
            return [[1.0]] * len(texts)

        questions = texts

    folder = write(tmp_path / "docs", hours="# Hours\n\nWe open at nine.")
    monkeypatch.setattr(library, "embedder_of", lambda *_: Broken())
    monkeypatch.setattr(library, "AGAIN_S", 0.01)
    settings = Settings.load({"KNOWLEDGE_DIR": str(folder), "OLLAMA_MODEL": "m"})
    with structlog.testing.capture_logs() as logs:
        keeping_up = asyncio.create_task(library.keep_up(settings, db, None))
        async with asyncio.timeout(30):
            while not logs or logs[-1]["event"] != EMBEDDED:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        keeping_up.cancel()
    failed = [each for each in logs if each["event"] == "knowledge update failed"]

    assert [each["error"] for each in failed] == ["Odd", "Odd"]
    assert logs[-1]["event"] == EMBEDDED
