"""A Chatwoot that answers an administrator's calls with recorded bodies.

The bodies of `chatwoot/real` were captured from running servers; what was not captured
(the profile, the dashboard apps, the refusals) is answered after `docs/chatwoot`.
"""

import json
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

REAL = Path(__file__).parent / "chatwoot" / "real"
RELEASES = {"4.16.2": "4.16.2", "2026-08-develop": "4.17.0"}
ADMINISTRATOR = "exampleAdministrator0000"
AGENT = "exampleAgent000000000000"
BOT = "exampleToken000000000000"
SECRET = BOT  # the recording has one example for all
ACCOUNT_ID = 2
WEB_INBOX = 1


def recorded(release: str, name: str) -> Any:
    """Return one captured body."""
    return json.loads((REAL / release / f"{name}.json").read_text(encoding="utf-8"))


@dataclass
class RecordedChatwoot:
    """One release.

    Attributes:
        url: where it is reached; its FRONTEND_URL too.
        service_url: where the recorded bots and webhooks deliver to.
        opened: its open conversations.
        writes: the calls that changed something, as (method, path).
    """

    release: str
    url: str = "https://chat.example.com"
    service_url: str = "https://bot.example.com"
    dashboard_apps: list[dict[str, Any]] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    opened: list[dict[str, Any]] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bots = self._body("rest_agent_bots__response_admin")
        self.inboxes = self._body("rest_inboxes__response")["payload"]
        self.webhooks = self._body("rest_webhooks__response")["payload"]
        self.labels = self._body("rest_labels__response")["payload"]
        shown = {
            role: self._body(f"rest_inbox_agent_bot__response_{role}")
            for role in ("admin", "agent")
        }
        unconnected: dict[str, Any] = {"admin": {}, "agent": {}}
        self.connected = {inbox["id"]: unconnected for inbox in self.inboxes}
        self.connected[WEB_INBOX] = shown

    def move(self, *, url: str, service_url: str) -> None:
        """Answer with these addresses in the place of the examples."""
        self.url, self.service_url = url, service_url
        self.__post_init__()

    def move_frontend(self, url: str) -> None:
        """Show another FRONTEND_URL in the script of each widget."""
        for inbox in self.inboxes:
            if script := inbox["web_widget_script"]:
                inbox["web_widget_script"] = script.replace(self.url, url)

    def _body(self, name: str) -> Any:
        text = json.dumps(recorded(self.release, name))
        text = text.replace("https://chat.example.com", self.url)
        return json.loads(text.replace("https://bot.example.com", self.service_url))

    async def take(self, request: Request) -> Response:
        """Answer one call."""
        path, method = request.url.path, request.method
        if path == "/api":
            return JSONResponse({"version": RELEASES[self.release]})
        token = request.headers.get("api-access-token", "")
        if token not in (ADMINISTRATOR, AGENT, BOT):
            return JSONResponse({"error": "Invalid Access Token"}, 401)
        prefix = f"/api/v1/accounts/{ACCOUNT_ID}/"
        if path.startswith(f"{prefix}conversations/0"):
            return JSONResponse({"error": "Resource could not be found"}, 404)
        if token == BOT:
            said = "Access to this endpoint is not authorized for bots"
            return JSONResponse({"error": said}, 401)
        role = "administrator" if token == ADMINISTRATOR else "agent"
        if path == "/api/v1/profile":
            account = {"id": ACCOUNT_ID, "name": "Example", "role": role}
            return JSONResponse({"id": 1, "name": "Ada", "accounts": [account]})
        name = path.removeprefix(prefix)
        if method != "GET":
            self.writes.append((method, name))
            if name.startswith("agent_bots/"):
                return JSONResponse(await self._change_bot(name, request))
            return JSONResponse(self._write(name, await request.json()))
        return self._read(name, role)

    async def _change_bot(self, name: str, request: Request) -> dict[str, Any]:
        bot = next(b for b in self.bots if name == f"agent_bots/{b['id']}")
        if b'name="avatar"' in await request.body():
            bot["thumbnail"] = f"{self.url}/bot.png"
        else:
            bot.update(await request.json())
        return bot

    def _write(self, name: str, body: dict[str, Any]) -> Any:
        if name == "dashboard_apps":
            app = {"id": len(self.dashboard_apps) + 1, **body["dashboard_app"]}
            self.dashboard_apps.append(app)
            return app
        if name == "labels":
            self.labels.append(body["label"])
        if name == "custom_attribute_definitions":
            self.attributes.append(
                body["custom_attribute_definition"]
                | {"attribute_model": "conversation_attribute"}
            )
        return {}

    def _read(self, name: str, role: str) -> Response:
        kind = "admin" if role == "administrator" else "agent"
        answers: dict[str, Any] = {
            "agent_bots": self._bots(kind),
            "inboxes": {"payload": self.inboxes},
            "webhooks": {"payload": self.webhooks},
            "dashboard_apps": self.dashboard_apps,
            "labels": {"payload": self.labels},
            "custom_attribute_definitions": self.attributes,
            "teams": [{"id": 5, "name": "support"}],
            "agents": [{"id": 1, "name": "Ada"}],
            "conversations": {"data": {"meta": {}, "payload": self.opened}},
            **{
                f"inboxes/{inbox_id}/agent_bot": shown[kind]
                for inbox_id, shown in self.connected.items()
            },
        }
        if name not in answers:
            return JSONResponse({"error": "Resource could not be found"}, 404)
        return JSONResponse(answers[name])

    def _bots(self, kind: str) -> list[dict[str, Any]]:
        bots = deepcopy(self.bots)
        if kind == "agent":
            for bot in bots:
                del bot["access_token"], bot["secret"]
        return bots
