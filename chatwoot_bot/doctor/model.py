"""The model: reachable, the key accepted, the name known."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from ..presets import OPENAI_MODEL, Preset
from ..settings import Llm, Settings
from .findings import Finding, fail, ok, warn
from .own import check_responder

OPENAI = "https://api.openai.com/v1"
CHECK = "model"
SECOND = "second model"
TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A model's server, and the settings that say which.

    Attributes:
        preset: that is in force, or None.
    """

    llm: Llm
    check: str = CHECK
    key: str = "OPENAI_API_KEY"
    url: str = "OPENAI_BASE_URL"
    model: str = "OPENAI_MODEL"
    preset: Preset | None = None

    @property
    def root(self) -> str:
        """Return its address."""
        return (self.llm.base_url or OPENAI).rstrip("/")

    @property
    def shown(self) -> str:
        """Return what is asked there, and why there."""
        why = ""
        if self.preset is not None:
            why = f" ({self.preset.name}, by {self.preset.setting.upper()})"
        return f"{self.llm.model} at {self.root}{why}"


async def check_model(settings: Settings, http: httpx.AsyncClient) -> Finding:
    """Ask which models there are; else let the model say one token."""
    match settings.responder_name:
        case "openai":
            return await _check(_first(settings), http)
        case "mock" if settings.chatwoot_configured:
            return warn(
                CHECK,
                "the built-in mock answers your contacts",
                setting="OPENAI_API_KEY",
                mend="set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own",
            )
        case "mock":
            return ok(CHECK, "mock answers; nothing to reach")
        case _:
            return check_responder(CHECK, settings, http)


async def check_second_model(
    settings: Settings, http: httpx.AsyncClient
) -> Finding | None:
    """Do the same with the second provider, if there is one."""
    llm = settings.second_llm()
    if llm is None:
        return None
    own = settings.openai_fallback_base_url or settings.openai_fallback_api_key
    server = Server(
        llm=llm,
        check=SECOND,
        key="OPENAI_FALLBACK_API_KEY" if own else _first(settings).key,
        url="OPENAI_FALLBACK_BASE_URL" if own else "OPENAI_BASE_URL",
        model="OPENAI_FALLBACK_MODEL",
    )
    return await _check(server, http)


def _first(settings: Settings) -> Server:
    preset = settings.preset
    if preset is None:
        return Server(llm=settings.llm())
    named = settings.openai_model != OPENAI_MODEL or preset.has_key
    return Server(
        llm=settings.llm(),
        key=preset.setting.upper() if preset.has_key else "OPENAI_API_KEY",
        model="OPENAI_MODEL" if named else preset.setting.upper(),
        preset=preset,
    )


async def _check(server: Server, http: httpx.AsyncClient) -> Finding:
    ask = _Ask(http, server.root, server.llm.api_key)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            refused = await _refusal(server, ask)
            listed = await ask.call("GET", "/models")
            if refused or listed.status_code in (401, 403):
                return _refused(server, refused or listed.status_code)
            if server.llm.model in _names(listed):
                return ok(server.check, server.shown)
            # Some servers list nothing, or list another spelling.
            body = {
                "model": server.llm.model,
                "messages": [{"role": "user", "content": "Say ok."}],
                "max_tokens": 1,
            }
            said = await ask.call("POST", "/chat/completions", body)
    except (httpx.HTTPError, TimeoutError) as error:
        return fail(
            server.check,
            f"nothing answers at {server.root} ({type(error).__name__})",
            setting=server.url if server.llm.base_url else server.key,
            mend=f"start the model's server, or let this machine reach {server.root}",
        )
    return _judge(server, said, _names(listed))


async def _refusal(server: Server, ask: "_Ask") -> int | None:
    """Return with which status the key is refused where the list is for anybody."""
    if server.preset is None or server.preset.key_path is None:
        return None
    status = (await ask.call("GET", server.preset.key_path)).status_code
    return status if status in (401, 403) else None


class _Ask:
    def __init__(self, http: httpx.AsyncClient, root: str, key: str) -> None:
        self._http = http
        self._root = root
        self._headers = {"authorization": f"Bearer {key}"}

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._http.request(
            method, self._root + path, json=body, headers=self._headers
        )


def _names(response: httpx.Response) -> list[str]:
    rows = _body(response).get("data")
    if not response.is_success or not isinstance(rows, list):
        return []
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _judge(server: Server, said: httpx.Response, names: list[str]) -> Finding:
    """Return what an answer to the one-token call means; never its words."""
    status, root, check = said.status_code, server.root, server.check
    words = said.text[:2_000]
    if said.is_success:
        if "choices" in _body(said):
            return ok(check, server.shown)
        return fail(
            check,
            f"what answers at {root} is not a Chat Completions server",
            setting=server.url,
            mend="give the URL that ends where /chat/completions begins, often /v1",
        )
    if status == 400 and "max_tokens" in words:
        return ok(check, server.shown)  # it knows the model, and wants another name
    if status in (401, 403):
        return _refused(server, status)
    if status == 404 or (status == 400 and "model" in words):
        some = f" (there are {', '.join(names[:5])}, …)" if names else ""
        mend = f"set {server.model} to a name that the server has"
        return fail(
            check,
            f"{root} does not know the model {server.llm.model}{some}",
            setting=server.model,
            mend=mend
            if names
            else f"{mend}, or mend {server.url}: it often ends in /v1",
        )
    if status == 429:
        return fail(
            check,
            f"{root} answered 429: the quota of the key is used up, or it is too busy",
            setting=server.key,
            mend="look at the plan and the billing of the key",
        )
    return fail(
        check,
        f"{root} answered {status} to one token",
        setting=server.url,
        mend="look into the log of the model's server",
    )


def _refused(server: Server, status: int) -> Finding:
    return fail(
        server.check,
        f"{server.root} refuses the key ({status})",
        setting=server.key,
        mend=f"set {server.key} to a key that is valid there",
    )
