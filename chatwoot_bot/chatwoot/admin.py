"""Chatwoot's REST API for an administrator: bots, inboxes, webhooks, dashboard apps.

`setup` writes with it and `doctor` reads with it. Nothing is repeated here: both
commands can simply be run again. Source: docs/chatwoot/api.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import httpx
import pydantic

from ..errors import ChatwootError
from .answers import Answer, rails_time, read
from .calls import HEADER
from .shown import (
    Agent,
    AgentBot,
    Attribute,
    DashboardApp,
    Inbox,
    Installation,
    Label,
    Owned,
    Profile,
    Shown,
    Team,
    Webhook,
)

TOTAL_S = 10.0
TIMEOUT = httpx.Timeout(8.0, connect=5.0)

# As Chatwoot's dashboard sends them (enums of `CustomAttributeDefinition`).
LIST_TYPE = 6
CONVERSATION_MODEL = 0

T = TypeVar("T", bound=Shown)
Files = Mapping[str, tuple[str, bytes, str]]


class AdminClient:
    """Talk to one Chatwoot installation with one token.

    Args:
        http: the shared client.
        base_url: as in the browser, without a trailing slash.
        token: any kind of token; never logged.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str,
        token: str,
    ) -> None:
        self._http = http
        self._base_url = base_url
        self._headers = {HEADER: token, "accept-encoding": "identity"}

    async def installation(self) -> Installation:
        """Return what Chatwoot says of itself; it needs no token.

        Raises:
            ChatwootError: nobody answers there, or not Chatwoot.
        """
        answer = await self.ask("GET", "/api")
        body = answer.body
        if 300 <= answer.status < 400:
            raise ChatwootError(
                f"{self._base_url} redirects ({answer.status}), which could carry a "
                "token away: give the address that it leads to, often with https",
                status_code=answer.status,
            )
        if not answer.is_success or not isinstance(body, dict) or "version" not in body:
            raise ChatwootError(
                f"what answers at {self._base_url} is not Chatwoot (GET /api: "
                f"{answer.status}): give its address as in the browser, without a path",
                status_code=answer.status,
            )
        shown = rails_time(body.get("timestamp"))
        return Installation(
            version=str(body["version"]), at=shown if answer.at is None else answer.at
        )

    async def profile(self) -> Profile:
        """Return whose token it is; a bot has no profile.

        Raises:
            ChatwootError: it is no user's token, or no answer; so for every call.
        """
        return _one(Profile, await self._call("GET", "/api/v1/profile"))

    async def list_bots(self, account_id: int) -> list[AgentBot]:
        """Return the account's bots and those of the installation."""
        return _list(AgentBot, await self._account("GET", account_id, "agent_bots"))

    async def create_bot(
        self, account_id: int, *, name: str, url: str, description: str
    ) -> AgentBot:
        """Create a bot; Chatwoot makes its token and its secret."""
        body = {
            "name": name,
            "description": description,
            "outgoing_url": url,
            "bot_type": "webhook",
        }
        answer = await self._account("POST", account_id, "agent_bots", body)
        return _one(AgentBot, answer)

    async def update_bot(
        self, account_id: int, bot_id: int, *, name: str, url: str
    ) -> AgentBot:
        """Change a bot's name and webhook URL."""
        body = {"name": name, "outgoing_url": url}
        path = f"agent_bots/{bot_id}"
        return _one(AgentBot, await self._account("PATCH", account_id, path, body))

    async def describe_bot(
        self, account_id: int, bot_id: int, description: str
    ) -> None:
        """Give a bot the text that administrators read below its name."""
        body = {"description": description}
        await self._account("PATCH", account_id, f"agent_bots/{bot_id}", body)

    async def picture_bot(self, account_id: int, bot_id: int, png: bytes) -> None:
        """Give a bot the picture that agents and visitors see beside its messages."""
        path = f"/api/v1/accounts/{account_id}/agent_bots/{bot_id}"
        files = {"avatar": ("bot.png", png, "image/png")}
        _required(await self.ask("PATCH", path, files=files), "PATCH", path)

    async def list_inboxes(self, account_id: int) -> list[Inbox]:
        """Return the inboxes that the user sees; an administrator sees all."""
        body = await self._account("GET", account_id, "inboxes")
        return _list(Inbox, _inside(body, "payload"))

    async def inbox_bot(self, account_id: int, inbox_id: int) -> AgentBot | None:
        """Return the bot that an inbox is connected to, or None."""
        body = await self._account("GET", account_id, f"inboxes/{inbox_id}/agent_bot")
        shown = body.get("agent_bot") if isinstance(body, dict) else None
        return _one(AgentBot, shown) if shown else None

    async def connect_bot(self, account_id: int, inbox_id: int, bot_id: int) -> None:
        """Connect an inbox to a bot, in place of any other."""
        path = f"inboxes/{inbox_id}/set_agent_bot"
        await self._account("POST", account_id, path, {"agent_bot": bot_id})

    async def list_webhooks(self, account_id: int) -> list[Webhook]:
        """Return the account's webhooks."""
        body = await self._account("GET", account_id, "webhooks")
        return _list(Webhook, _inside(body, "payload", "webhooks"))

    async def save_webhook(
        self,
        account_id: int,
        *,
        url: str,
        subscriptions: Sequence[str],
        webhook_id: int | None = None,
    ) -> Webhook:
        """Create an account webhook, or change the one with *webhook_id*."""
        body = {"webhook": {"url": url, "subscriptions": list(subscriptions)}}
        method, path = _target("webhooks", webhook_id)
        answer = await self._account(method, account_id, path, body)
        return _one(Webhook, _inside(answer, "payload", "webhook"))

    async def list_dashboard_apps(self, account_id: int) -> list[DashboardApp]:
        """Return the account's dashboard apps."""
        body = await self._account("GET", account_id, "dashboard_apps")
        return _list(DashboardApp, body)

    async def save_dashboard_app(
        self, account_id: int, *, title: str, url: str, app_id: int | None = None
    ) -> None:
        """Create a dashboard app, or change the one with *app_id*."""
        content = [{"type": "frame", "url": url}]
        body = {"dashboard_app": {"title": title, "content": content}}
        method, path = _target("dashboard_apps", app_id)
        await self._account(method, account_id, path, body)

    async def list_teams(self, account_id: int) -> list[Team]:
        """Return the account's teams."""
        return _list(Team, await self._account("GET", account_id, "teams"))

    async def list_agents(self, account_id: int) -> list[Agent]:
        """Return the account's agents, administrators too."""
        return _list(Agent, await self._account("GET", account_id, "agents"))

    async def list_labels(self, account_id: int) -> list[Label]:
        """Return the account's labels."""
        body = await self._account("GET", account_id, "labels")
        return _list(Label, _inside(body, "payload"))

    async def create_label(self, account_id: int, title: str) -> None:
        """Create a label that the sidebar shows."""
        body = {"label": {"title": title, "show_on_sidebar": True}}
        await self._account("POST", account_id, "labels", body)

    async def list_attributes(self, account_id: int) -> list[Attribute]:
        """Return the definitions of custom attributes, those of contacts too."""
        path = "custom_attribute_definitions"
        return _list(Attribute, await self._account("GET", account_id, path))

    async def create_list_attribute(
        self, account_id: int, key: str, *, name: str, values: Sequence[str]
    ) -> None:
        """Define an attribute of conversations whose values agents choose in a list."""
        fields = {
            "attribute_display_name": name,
            "attribute_display_type": LIST_TYPE,
            "attribute_key": key,
            "attribute_model": CONVERSATION_MODEL,
            "attribute_values": list(values),
        }
        body = {"custom_attribute_definition": fields}
        path = "custom_attribute_definitions"
        await self._account("POST", account_id, path, body)

    async def list_open(self, account_id: int, *, page: int) -> list[Owned]:
        """Return open conversations, 25 to a page."""
        path = f"conversations?status=open&assignee_type=all&page={page}"
        body = await self._account("GET", account_id, path)
        return _list(Owned, _inside(body, "data", "payload"))

    async def ask(
        self, method: str, path: str, body: Any = None, *, files: Files | None = None
    ) -> Answer:
        """Make any call and return what came of it, a refusal too.

        Args:
            files: field → name, content and type, in the place of *body*.

        Raises:
            ChatwootError: there was no answer.
        """
        try:
            # httpx bounds each step; somebody who trickles bytes would hold us.
            async with asyncio.timeout(TOTAL_S):
                response = await self._http.request(
                    method,
                    self._base_url + path,
                    json=body,
                    files=files,
                    headers=self._headers,
                    timeout=TIMEOUT,
                )
        except (httpx.RequestError, TimeoutError) as error:
            raise ChatwootError(
                f"Chatwoot does not answer at {self._base_url} "
                f"({type(error).__name__}): check the address, and that this machine "
                "reaches it",
                status_code=None,
                in_doubt=True,
            ) from error
        return read(response)

    async def _account(
        self, method: str, account_id: int, path: str, body: Any = None
    ) -> Any:
        return await self._call(method, f"/api/v1/accounts/{account_id}/{path}", body)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        return _required(await self.ask(method, path, body), method, path)


def _required(answer: Answer, method: str, path: str) -> Any:
    """Return the body of a success.

    Raises:
        ChatwootError: it was none.
    """
    if answer.is_success:
        return answer.body
    said = f": {answer.words}" if answer.words else ""
    raise ChatwootError(
        answer.refusal or f"{method} {path} answered {answer.status}{said}",
        status_code=answer.status,
    )


def _target(collection: str, row_id: int | None) -> tuple[str, str]:
    return (
        ("POST", collection) if row_id is None else ("PATCH", f"{collection}/{row_id}")
    )


def _inside(body: Any, *names: str) -> Any:
    for name in names:
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def _one(kind: type[T], body: Any) -> T:
    try:
        return kind.model_validate(body)
    except pydantic.ValidationError as error:
        raise ChatwootError(
            f"the answer is not Chatwoot's ({kind.__name__} expected): check that the "
            "address is that of Chatwoot itself",
            status_code=None,
        ) from error


def _list(kind: type[T], body: Any) -> list[T]:
    return [_one(kind, row) for row in (body if isinstance(body, list) else [body])]
