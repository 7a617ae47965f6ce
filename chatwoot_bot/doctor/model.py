"""The model: reachable, the key accepted, the name known, and what it can do."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx

from ..errors import ResponderError
from ..presets import OPENAI_MODELS, Preset
from ..responders.facts import Facts, facts_of
from ..settings import Llm, Settings
from .findings import Finding, fail, ok, warn
from .own import check_responder
from .question import Answered, ask

OPENAI = "https://api.openai.com/v1"
CHECK = "model"
SECOND = "second model"
TIMEOUT_S = 15.0
# Of those that exist, in a message.
MODELS = 5
# Tokens of a prompt with tools, and of the passages of one search.
ROUND = 2_500


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
    def is_own(self) -> bool:
        """Whether it may be a server of the operator's own, such as llama.cpp."""
        return self.llm.base_url is not None and (
            self.preset is None or not self.preset.has_key
        )

    @property
    def shown(self) -> str:
        """Return what is asked there, and why there."""
        why = ""
        if self.preset is not None:
            why = f" ({self.preset.name}, by {self.preset.setting.upper()})"
        return f"{self.llm.model} at {self.root}{why}"


async def check_model(settings: Settings, http: httpx.AsyncClient) -> Finding:
    """Ask which models there are, and the model one question."""
    match settings.responder_name:
        case "openai":
            return await _check(_first(settings), settings, http)
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
    return await _check(server, settings, http)


def _first(settings: Settings) -> Server:
    preset = settings.preset
    if preset is None:
        return Server(llm=settings.llm())
    named = settings.openai_model not in OPENAI_MODELS or preset.has_key
    return Server(
        llm=settings.llm(),
        key=preset.setting.upper() if preset.has_key else "OPENAI_API_KEY",
        model="OPENAI_MODEL" if named else preset.setting.upper(),
        preset=preset,
    )


async def _check(
    server: Server, settings: Settings, http: httpx.AsyncClient
) -> Finding:
    llm = server.llm
    try:
        async with asyncio.timeout(TIMEOUT_S):
            refused = await _refusal(server, http)
            facts = await facts_of(
                http, server.root, llm.api_key, llm.model, is_own=server.is_own
            )
    except (httpx.HTTPError, TimeoutError) as error:
        return _unreachable(server, type(error).__name__)
    if refused or facts.status in (401, 403):
        return _refused(server, refused or facts.status)
    try:
        answered = await ask(settings, llm, http, is_first=server.check == CHECK)
    except ResponderError as error:
        return _judge(server, settings, error, facts)
    return _found(server, settings, answered, facts)


async def _refusal(server: Server, http: httpx.AsyncClient) -> int | None:
    """Return with which status the key is refused where the list is for anybody."""
    if server.preset is None or server.preset.key_path is None:
        return None
    headers = {"authorization": f"Bearer {server.llm.api_key}"}
    url = server.root + server.preset.key_path
    status = (await http.get(url, headers=headers)).status_code
    return status if status in (401, 403) else None


def _found(
    server: Server, settings: Settings, answered: Answered, facts: Facts
) -> Finding:
    """Return what the answer to the question has shown."""
    told = [
        f"tools {'yes' if answered.takes_tools else 'no'}",
        f"usage {'yes' if answered.counts else 'no, so costs are estimated'}",
        f"context {facts.context} tokens" if facts.context else "context not told",
        f"first word after {answered.first_word_s:.1f} s",
        *answered.learnt,
    ]
    message = f"{server.shown}: {', '.join(told)}"
    mends = list(_mends(server, settings, answered, facts))
    if not mends:
        return ok(server.check, message)
    mend = "; ".join(mend for _, mend in mends)
    return warn(server.check, message, setting=mends[0][0], mend=mend)


def _mends(
    server: Server, settings: Settings, answered: Answered, facts: Facts
) -> Iterator[tuple[str, str]]:
    """Yield what could be better: a setting, and what to do."""
    if not answered.takes_tools:
        yield (
            server.model,
            "choose a model that takes tools (docs/connect/models.md), or start its "
            "server with them: llama.cpp with --jinja, vLLM with "
            "--enable-auto-tool-choice and --tool-call-parser. Without tools it "
            "looks nothing up, nor books",
        )
    needed = settings.history_tokens + settings.llm_max_tokens + ROUND
    if facts.context and facts.context < needed:
        room = max(facts.context - settings.llm_max_tokens - ROUND, facts.context // 4)
        yield (
            "HISTORY_TOKENS",
            f"set HISTORY_TOKENS to {max(room, 100)}, or give the server a context of "
            f"{needed} tokens",
        )
    limit = settings.llm_concurrent_requests
    if facts.slots and not 0 < limit <= facts.slots:
        yield (
            "LLM_CONCURRENT_REQUESTS",
            f"set LLM_CONCURRENT_REQUESTS to {facts.slots}, the slots of the server",
        )


def _judge(
    server: Server, settings: Settings, error: ResponderError, facts: Facts
) -> Finding:
    """Return what keeps the model from answering; never the server's words."""
    root, check, kind = server.root, server.check, error.kind
    if kind in ("401", "403"):
        return _refused(server, int(kind))
    is_unknown = facts.models and server.llm.model not in facts.models
    if (
        kind == "404"
        or "model_not_found" in str(error)
        or (kind == "400" and is_unknown)
    ):
        return _unknown(server, facts.models)
    if kind == "429":
        return fail(
            check,
            f"{root} answered 429: the quota of the key is used up, or it is too busy",
            setting=server.key,
            mend="look at the plan and the billing of the key",
        )
    if kind in ("timeout", "stalled"):
        first = kind == "timeout"
        setting = "LLM_FIRST_TOKEN_SECONDS" if first else "LLM_TIMEOUT_SECONDS"
        value = (
            settings.llm_first_token_seconds
            if first
            else (settings.llm_timeout_seconds)
        )
        return fail(
            check,
            f"{server.shown} was silent for {value:g} s",
            setting=setting,
            mend=f"make the model's server faster, or {setting} longer",
        )
    if kind == "unreachable":
        return _unreachable(server, "connection lost")
    if kind in ("empty", "not_understood", "not_a_model_server"):
        return fail(
            check,
            f"what answers at {root} is not a Chat Completions server, or it said "
            "nothing",
            setting=server.url,
            mend="give the URL that ends where /chat/completions begins, often /v1",
        )
    return fail(
        check,
        f"asked one question, {error}",
        setting=server.url,
        mend="look into the log of the model's server",
    )


def _unknown(server: Server, models: Sequence[str]) -> Finding:
    some = f" (there are {', '.join(models[:MODELS])}" if models else ""
    if models:
        some += ", …)" if len(models) > MODELS else ")"
    mend = f"set {server.model} to a name that the server has"
    if not models:
        mend += f", or mend {server.url}: it often ends in /v1"
    return fail(
        server.check,
        f"{server.root} does not know the model {server.llm.model}{some}",
        setting=server.model,
        mend=mend,
    )


def _unreachable(server: Server, why: str) -> Finding:
    return fail(
        server.check,
        f"nothing answers at {server.root} ({why})",
        setting=server.url if server.llm.base_url else server.key,
        mend=f"start the model's server, or let this machine reach {server.root}",
    )


def _refused(server: Server, status: int) -> Finding:
    return fail(
        server.check,
        f"{server.root} refuses the key ({status})",
        setting=server.key,
        mend=f"set {server.key} to a key that is valid there",
    )
