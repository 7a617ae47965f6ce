"""The model: reachable, the key accepted, the name known."""

import asyncio
from typing import Any

import httpx

from ..settings import Settings
from .findings import Finding, fail, ok, warn

OPENAI = "https://api.openai.com/v1"
CHECK = "model"
TIMEOUT_S = 15.0


async def check_model(settings: Settings, http: httpx.AsyncClient) -> Finding:
    """Ask which models there are; else let the model say one token."""
    if settings.responder_name != "openai":
        if settings.responder_name == "mock" and settings.chatwoot_configured:
            return warn(
                CHECK,
                "the built-in mock answers your contacts",
                setting="OPENAI_API_KEY",
                mend="set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own",
            )
        return ok(CHECK, f"{settings.responder_name} answers; nothing to reach")
    base_url, key, model = settings.llm()
    root = (base_url or OPENAI).rstrip("/")
    ask = _Ask(http, root, key)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            listed = await ask.call("GET", "/models")
            if listed.status_code in (401, 403):
                return _refused(settings, root, listed.status_code)
            if model in _names(listed):
                return ok(CHECK, f"{model} at {root}")
            # Some servers list nothing, or list another spelling.
            body = {
                "model": model,
                "messages": [{"role": "user", "content": "Say ok."}],
                "max_tokens": 1,
            }
            said = await ask.call("POST", "/chat/completions", body)
    except (httpx.HTTPError, TimeoutError) as error:
        return fail(
            CHECK,
            f"nothing answers at {root} ({type(error).__name__})",
            setting="OPENAI_BASE_URL" if base_url else "OPENAI_API_KEY",
            mend=f"start the model's server, or let this machine reach {root}",
        )
    return _judge(settings, root, model, said, _names(listed))


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


def _judge(
    settings: Settings, root: str, model: str, said: httpx.Response, names: list[str]
) -> Finding:
    """Return what an answer to the one-token call means; never its words."""
    status = said.status_code
    words = said.text[:2_000]
    if said.is_success:
        if "choices" in _body(said):
            return ok(CHECK, f"{model} at {root}")
        return fail(
            CHECK,
            f"what answers at {root} is not a Chat Completions server",
            setting="OPENAI_BASE_URL",
            mend="give the URL that ends where /chat/completions begins, often /v1",
        )
    if status == 400 and "max_tokens" in words:
        return ok(
            CHECK, f"{model} at {root}"
        )  # it knows the model, and wants another name
    if status in (401, 403):
        return _refused(settings, root, status)
    if status == 404 or (status == 400 and "model" in words):
        some = f" (there are {', '.join(names[:5])}, …)" if names else ""
        return fail(
            CHECK,
            f"{root} does not know the model {model}{some}",
            setting="OPENAI_MODEL",
            mend="set OPENAI_MODEL to a name that the server has"
            if names
            else "set OPENAI_MODEL to a name that the server has, or mend "
            "OPENAI_BASE_URL: it often ends in /v1",
        )
    if status == 429:
        return fail(
            CHECK,
            f"{root} answered 429: the quota of the key is used up, or it is too busy",
            setting=_key_setting(settings),
            mend="look at the plan and the billing of the key",
        )
    return fail(
        CHECK,
        f"{root} answered {status} to one token",
        setting="OPENAI_BASE_URL",
        mend="look into the log of the model's server",
    )


def _refused(settings: Settings, root: str, status: int) -> Finding:
    return fail(
        CHECK,
        f"{root} refuses the key ({status})",
        setting=_key_setting(settings),
        mend=f"set {_key_setting(settings)} to a key that is valid there",
    )


def _key_setting(settings: Settings) -> str:
    groq = settings.groq_api_key and not settings.openai_api_key
    return "GROQ_API_KEY" if groq and not settings.openai_base_url else "OPENAI_API_KEY"
