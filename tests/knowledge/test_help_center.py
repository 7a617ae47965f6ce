"""The articles of a help centre, from a server that answers as Chatwoot does."""

import json

import pytest
from files import answer, moved, serving
from knowing import ingesting

from chatwoot_bot.errors import KnowledgeError
from chatwoot_bot.http import make_client
from chatwoot_bot.knowledge.documents import Kind
from chatwoot_bot.knowledge.help_center import (
    Portal,
    articles_of,
    portal_at,
    portals_of,
)
from chatwoot_bot.knowledge.ingest import Given
from chatwoot_bot.knowledge.search import Knowledge

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server():
    async with serving() as running:
        yield running


@pytest.fixture
async def http():
    async with make_client() as client:
        yield client


def article(number, **said):
    return {
        "id": number,
        "title": f"Article {number}",
        "content": f"## Part\n\nAbout topic{number}.",
        "status": "published",
        "slug": f"1700-article-{number}",
        "category": {"id": 1, "locale": "en"},
        **said,
    }


def page(*articles):
    return answer(body=json.dumps({"payload": list(articles), "meta": {}}).encode())


def serve(server, *pages, locale="en"):
    for number, each in enumerate((*pages, page()), 1):
        server.put(f"/hc/help/{locale}/articles.json?page={number}", each)
    return Portal(f"{server.url}/hc/help", (locale,))


async def test_articles_of_all_pages(server, http):
    portal = serve(server, page(article(1), article(2)), page(article(3)))
    first, *others = await articles_of(http, portal)

    assert first.title == "Article 1"
    assert first.url == f"{server.url}/hc/help/articles/1700-article-1"
    assert (first.kind, first.language) == (Kind.MARKDOWN, "en")
    assert [raw.title for raw in others] == ["Article 2", "Article 3"]


async def test_release_that_sends_all_articles_in_every_page(server, http):
    every = page(article(1), article(2))
    portal = serve(server, every, every, every)

    assert len(await articles_of(http, portal)) == 2
    assert len(server.requests) == 2


async def test_drafts_and_empty_articles_are_nobody_s_business(server, http):
    drafts = [article(1, status="draft"), article(2, status=0), article(3, content="")]
    portal = serve(server, page(*drafts, article(4, content="<p>Hi</p>")))

    [only] = await articles_of(http, portal)
    assert (only.title, only.kind) == ("Article 4", Kind.HTML)


async def test_help_centre_by_its_address(server, http):
    server.put("/hc/help", moved(f"{server.url}/hc/help/pt_BR"))

    assert await portal_at(http, f"{server.url}/hc/help/de") == Portal(
        f"{server.url}/hc/help", ("de",)
    )
    assert (await portal_at(http, f"{server.url}/hc/help/")).locales == ("pt_BR",)


async def test_help_centres_of_an_account(server, http):
    config = {"allowed_locales": [{"code": "en"}, {"code": "de"}]}
    portals = [
        {"slug": "help", "config": config, "custom_domain": None},
        {"slug": "old", "config": config, "archived": True},
        {"slug": "own", "config": {"allowed_locales": ["fr"]}, "custom_domain": "h.ex"},
    ]
    body = json.dumps({"payload": portals}).encode()
    server.put("/api/v1/accounts/1/portals", answer(body=body))
    found = await portals_of(http, server.url, 1, "user-token")

    assert found == [
        Portal(f"{server.url}/hc/help", ("en", "de")),
        Portal("https://h.ex/hc/own", ("fr",)),
    ]
    assert "api-access-token: user-token" in server.requests[0]


@pytest.mark.parametrize("broken", [answer(500), answer(body=b"<html>"), answer(404)])
async def test_help_centre_that_breaks_in_the_middle_gives_nothing(
    server, http, broken
):
    """A part would look as if the rest had been deleted."""
    portal = serve(server, page(article(1)), broken)

    with pytest.raises(KnowledgeError):
        await articles_of(http, portal)


async def test_article_with_characters_that_no_database_takes(server, http, db):
    strange = article(
        1, title="A\x00B", content="About topic1\x00 \ud800.", slug="\ud800"
    )
    portal = serve(server, page(strange))
    async with ingesting(db) as ingest:
        articles = [Given(raw) for raw in await articles_of(http, portal)]
        report = await ingest.add("", portal.address, articles)
    [passage] = await Knowledge(db, ("",)).search("topic1")

    assert report.failed == {}
    assert (passage.title, passage.text) == ("AB", "About topic1 .")


async def test_article_is_found_with_its_link(server, http, db):
    portal = serve(server, page(article(1), article(2)))
    articles = [Given(raw) for raw in await articles_of(http, portal)]
    async with ingesting(db) as ingest:
        await ingest.add("", portal.address, articles)
        again = await ingest.add("", portal.address, articles[:1])
    [passage] = await Knowledge(db, ("",)).search("topic1")

    assert passage.url == f"{server.url}/hc/help/articles/1700-article-1"
    assert passage.heading == "Part"
    assert (again.unchanged, again.removed) == (1, 1)
