"""The articles of a Chatwoot help centre.

Published ones are open to everybody at ``/hc/<portal>/<locale>/articles.json``; the
account's API, for a user's token, knows which portals and languages there are. What is
in an answer has changed between releases, so only what is needed is read.
"""

import asyncio
import html
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from ..core.text import storable
from ..errors import KnowledgeError
from ..http import MAX_BODY_OF_CALL
from .documents import MAX_CHARS, MAX_HEADING, MAX_URL, Kind, Raw

# Hyphens, because proxies drop headers with underscores.
HEADER = "api-access-token"
# Of 25 articles at most.
MAX_PAGES = 400
TIMEOUT_S = 20.0
# Of an article's number and of its language.
MAX_WORD = 100
# Of one answer, from its first byte to the last.
WHOLE_S = 60.0
# Some releases send all articles at once.
MAX_BYTES = 32 * 1_048_576
PUBLISHED = ("published", 1, None)


@dataclass(frozen=True, slots=True)
class Portal:
    """One help centre: where it is, and its languages."""

    address: str
    locales: tuple[str, ...]


def is_address(place: str) -> bool:
    """Return whether *place* is the address of a help centre."""
    return place.startswith(("https://", "http://")) and "/hc/" in place


async def portals_of(
    http: httpx.AsyncClient, base_url: str, account_id: int, token: str
) -> list[Portal]:
    """Return the help centres of an account.

    Args:
        token: a user's, who may see them.

    Raises:
        KnowledgeError: Chatwoot does not tell.
    """
    url = f"{base_url}/api/v1/accounts/{account_id}/portals"
    # A redirect could carry the token away.
    answer = await _get(http, url, redirects=False, headers={HEADER: token})
    if answer.is_redirect:
        raise KnowledgeError(
            f"{url} redirects ({answer.status_code}), which could carry the token "
            "away: set CHATWOOT_BASE_URL to the address that it leads to"
        )
    portals = _payload(answer)
    return [
        Portal(_address(base_url, portal), locales)
        for portal in portals
        if portal.get("slug")
        and not portal.get("archived")
        and (locales := tuple(_locales(portal)))
    ]


def _address(base_url: str, portal: Mapping[str, Any]) -> str:
    # Articles of a portal with a domain of its own are shown there only.
    domain = portal.get("custom_domain")
    base = f"https://{str(domain).removeprefix('https://')}" if domain else base_url
    return storable(f"{base.rstrip('/')}/hc/{_quoted(portal['slug'])}")


def _quoted(value: Any) -> str:
    """Return *value* for a path; JSON may hold half a letter."""
    return quote(storable(str(value)))


def _locales(portal: Mapping[str, Any]) -> Iterator[str]:
    config = portal.get("config")
    allowed = config.get("allowed_locales") if isinstance(config, dict) else None
    for each in allowed if isinstance(allowed, list) else []:
        code = each.get("code") if isinstance(each, dict) else each
        if isinstance(code, str) and code:
            yield code


async def portal_at(http: httpx.AsyncClient, address: str) -> Portal:
    """Return the help centre at ``https://…/hc/<portal>[/<locale>]``.

    Raises:
        KnowledgeError: there is none.
    """
    base, _, path = address.rstrip("/").partition("/hc/")
    slug, *rest = path.split("/")
    portal = f"{base}/hc/{slug}"
    if rest:
        return Portal(portal, (rest[0],))
    # Without a language it sends one to that of the portal.
    answer = await _get(http, portal, redirects=False)
    _, _, locale = str(answer.headers.get("location", "")).partition(f"/hc/{slug}/")
    return Portal(portal, (locale.split("/")[0].split("?")[0] or "en",))


async def articles_of(http: httpx.AsyncClient, portal: Portal) -> list[Raw]:
    """Return the published articles, in the order of the help centre.

    Raises:
        KnowledgeError: one of its pages was not to be had; no part is returned, or
            what is missing would be taken for deleted.
    """
    found: dict[str, Raw] = {}
    for locale in portal.locales:
        async for article in _articles(http, portal.address, locale):
            if raw := _raw(portal.address, locale, article):
                found.setdefault(raw.uri, raw)
    return list(found.values())


async def _articles(
    http: httpx.AsyncClient, address: str, locale: str
) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the articles of all pages; some releases send all in each."""
    seen: set[str] = set()
    for page in range(1, MAX_PAGES + 1):
        url = f"{address}/{_quoted(locale)}/articles.json"
        answer = await _get(http, url, params={"page": page})
        new = [each for each in _payload(answer) if str(each.get("id")) not in seen]
        if not new:
            return
        for article in new:
            seen.add(str(article.get("id")))
            yield article


def _raw(address: str, locale: str, article: Mapping[str, Any]) -> Raw | None:
    """Return an article as a document; None for one that nobody may read, or empty."""
    content, title = article.get("content"), article.get("title")
    if article.get("status") not in PUBLISHED or not content or not title:
        return None
    category = article.get("category")
    said = category.get("locale") if isinstance(category, dict) else None
    slug = str(article.get("slug") or "")[:MAX_URL]
    url = f"{address}/articles/{_quoted(slug)}" if slug else None
    # One character more than may be read shows that there is more.
    text = str(content)[: MAX_CHARS + 1]
    return Raw(
        uri=storable(f"{address}/{str(article.get('id'))[:MAX_WORD]}"),
        # The editor writes Markdown, older articles are HTML.
        kind=Kind.HTML if text.lstrip().startswith("<") else Kind.MARKDOWN,
        text=text,
        title=html.unescape(str(title)[:MAX_HEADING]),
        url=url,
        language=storable(str(article.get("locale") or said or locale)[:MAX_WORD]),
    )


async def _get(
    http: httpx.AsyncClient, url: str, *, redirects: bool = True, **options: Any
) -> httpx.Response:
    try:
        # httpx bounds each step; a server that trickles bytes would hold us.
        async with asyncio.timeout(WHOLE_S):
            answer = await http.get(
                url,
                follow_redirects=redirects,
                timeout=TIMEOUT_S,
                extensions={MAX_BODY_OF_CALL: MAX_BYTES},
                **options,
            )
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise KnowledgeError(f"{url} does not answer") from error
    if answer.status_code >= 400:
        raise KnowledgeError(f"{url} said {answer.status_code}")
    return answer


def _payload(answer: httpx.Response) -> list[dict[str, Any]]:
    try:
        said = answer.json()
    except (ValueError, RecursionError) as error:
        raise KnowledgeError(f"{answer.url} is not what a help centre says") from error
    payload = said.get("payload") if isinstance(said, dict) else said
    if not isinstance(payload, list):
        raise KnowledgeError(f"{answer.url} is not what a help centre says")
    return [each for each in payload if isinstance(each, dict)]
