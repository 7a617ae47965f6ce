"""Build the service: every object is made once, here, and closed in reverse order."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import structlog
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from . import library
from .answering import Answering
from .bots import WEB
from .breaker import CHATWOOT_PAUSE_S, Breaker
from .channels.base import Channel
from .channels.chatwoot import ChatwootChannel
from .channels.web import WebChannel
from .chatwoot.client import ChatwootClient
from .chores import Chores
from .core.conversation import Inbox
from .core.decision import Policy
from .core.guardrail import Guardrail
from .core.hours import Hours, parse_hours
from .core.prompt import BUILT_IN, mark_of
from .core.remote import Remote
from .core.routing import Routing
from .engine import Engine
from .errors import PartDiedError
from .handover import Handover
from .http import make_client
from .hub import Hub
from .intake import Intake
from .knowledge.health import Health
from .language import wishes
from .media.fetch import Fetcher
from .media.guard import Guard
from .media.guard import origin_of as host_of
from .media.reader import MediaReader
from .media.reading import FileReader
from .media.transcribe import Transcriber
from .metrics import Metrics
from .missed import Missed
from .prices import read_prices
from .recovery import Recovery
from .relay import Relay
from .responders.apology import ApologyResponder
from .responders.base import Responder
from .settings import BotSettings, Settings
from .store import human, signals
from .store.arrivals import Rules
from .store.engine import Database
from .sweep import Sweep
from .taking_back import TakingBack
from .toolkit import tools_of
from .web.auth import Gate, origin_of
from .web.context import Context
from .web.entrance import Entrance
from .web.errors import HANDLERS
from .web.ops import SecurityHeaders
from .web.pace import Strangers
from .web.presence import Presence
from .web.rooms import Rooms
from .web.routes import ROUTES
from .wording import wording
from .worker import Worker

log = structlog.get_logger(__name__)

GRACE_S = 20.0
# Makes the reader of a bot's attachments.
Media = Callable[[Settings], MediaReader | None]
# Chatwoot sends the echo of a reply at once.
ECHO_S = 1.0
# A worker that has not looked for work for this long is not well.
WORKER_SILENT_S = 15.0


@dataclass(frozen=True, slots=True)
class Clients:
    """Chatwoot with the bot's token, and with a user's if there is one."""

    bot: ChatwootClient
    reader: ChatwootClient | None


def build(settings: Settings, *, with_worker: bool = True) -> Starlette:
    """Return the ASGI application; nothing is opened before its lifespan begins."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with running(settings, with_worker=with_worker) as context:
            app.state.context = context
            yield

    return Starlette(
        routes=ROUTES,
        middleware=_middleware(settings),
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )


def _middleware(settings: Settings) -> list[Middleware]:
    friends = [origin_of(url) for url in settings.cors_origins]
    # Without credentials: a visitor's token travels in a header, and the console's
    # cookie is for the console's own site.
    cors = Middleware(
        CORSMiddleware,
        allow_origins=friends,
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=("Authorization", "Content-Type", "Prefer"),
    )
    chatwoot = settings.chatwoot_base_url
    headers = Middleware(
        SecurityHeaders,
        friends=friends,
        chatwoot=origin_of(chatwoot) if chatwoot else None,
    )
    entrance = Middleware(Entrance)
    return [headers, cors, entrance] if friends else [headers, entrance]


@contextlib.asynccontextmanager
async def running(settings: Settings, *, with_worker: bool) -> AsyncIterator[Context]:
    """Open the database, start the worker, and close everything at the end.

    Raises:
        StoreError: the database cannot be opened.
    """
    _warn(settings, with_worker=with_worker)
    _warn_of_what_lacks(settings)
    _warn_of_unknown_prices(settings)
    _warn_of_open_purse(settings)
    parts = Parts()
    async with contextlib.AsyncExitStack() as stack:
        db = Database(
            settings.database_url.get_secret_value(), listen_url=settings.listen_url
        )
        await db.open()
        stack.push_async_callback(db.close)
        http = await stack.enter_async_context(make_client())
        metrics = Metrics()
        chatwoot = Breaker(longest_pause_s=CHATWOOT_PAUSE_S)
        answering = Answering(settings, http, db, metrics.model_failures.inc)
        for name, breaker in (*answering.circuits.items(), ("chatwoot", chatwoot)):
            metrics.show_circuit(name, breaker)
        for name in answering.circuits:
            metrics.show_tools(name, partial(answering.takes_tools, name))
        clients = _sweepers(settings, http, chatwoot)
        shared = Shared(
            db=db,
            http=http,
            metrics=metrics,
            media=await stack.enter_async_context(_media(settings, http)),
            answering=answering,
            chatwoot=chatwoot,
        )
        engine = _engine(settings, shared)
        stack.push_async_callback(engine.chores.close)
        worker = None
        if with_worker:
            worker = Worker(engine, limit=settings.max_concurrent_turns)
            await stack.enter_async_context(parts.working(worker))
            recovery = Recovery(db, chatwoot, clock=engine.clock, wake=worker.wake)
            await stack.enter_async_context(parts.beside(recovery.run(), "recovery"))
        stack.callback(engine.hub.close)
        missed = _missed(db, engine.rules, clients) if clients else None
        intake = Intake(db, engine.hub, engine.rules, engine.metrics, worker, missed)
        rooms = Rooms(db, engine.hub)
        presence = Presence(db, engine.hub, engine.clock)
        await stack.enter_async_context(parts.beside(rooms.run(), "rooms"))
        await stack.enter_async_context(parts.beside(rooms.poll(), "rooms-poll"))
        await stack.enter_async_context(parts.beside(presence.run(), "presence"))
        if not db.is_sqlite:
            await _hear_others(stack, parts, db, engine.hub, intake, rooms)
        if missed is not None and with_worker:
            taking_back = TakingBack(db, intake, missed, engine.rules)
            await stack.enter_async_context(
                parts.beside(taking_back.run(), "taking-back")
            )
            if settings.sweep_interval_seconds:
                sweep = _sweep(settings, db, intake, missed, clients[0][1].reader)
                await stack.enter_async_context(parts.beside(sweep.run(), "sweep"))
        keeping_up = library.keep_up(settings, db, http, shared.embeddings)
        await stack.enter_async_context(parts.beside(keeping_up, "knowledge"))
        yield Context(
            settings=settings,
            db=db,
            hub=engine.hub,
            metrics=engine.metrics,
            rules=engine.rules,
            intake=intake,
            rooms=rooms,
            presence=presence,
            gate=Gate(settings, await _secret_keys(settings, db)),
            strangers=Strangers(public=settings.is_public),
            handover=engine.serving(WEB).handover,
            drain=partial(_drain, worker),
            readiness=_readiness(settings, worker, shared),
            currency=engine.prices.currency,
            clock=engine.clock,
        )


def _warn(settings: Settings, *, with_worker: bool) -> None:
    """Warn about valid but probably unintended settings."""
    for name in ("llm_timeout_seconds", "llm_first_token_seconds"):
        if getattr(settings, name) > settings.answer_deadline_seconds:
            log.warning(
                f"{name.upper()} is longer than ANSWER_DEADLINE_SECONDS: a slow model "
                "causes a handover before its timeout"
            )
    if settings.is_public and not settings.admin_token:
        log.warning(
            "ADMIN_TOKEN is not set: agents can sign in only with the one-time link "
            "printed at start-up"
        )
    if settings.chatwoot_webhook_secret and settings.chatwoot_allow_unsigned:
        log.warning(
            "CHATWOOT_ALLOW_UNSIGNED=true makes CHATWOOT_WEBHOOK_SECRET useless: "
            "unsigned deliveries are accepted. Remove one of the two"
        )
    is_sqlite = settings.database_url.get_secret_value().startswith("sqlite")
    if is_sqlite and not with_worker:
        log.warning(
            "no worker can answer: a SQLite file serves one process only. Use "
            "PostgreSQL to run workers in processes of their own"
        )


def _warn_of_what_lacks(settings: Settings) -> None:
    """Warn about settings that have no effect because another one is missing."""
    idle: dict[str, None] = {}
    for bot in settings.bots:
        own = bot.settings
        if own.responder_name == "mock":
            idle |= dict.fromkeys(_for_a_model(own))
        if own.booking == "own" and own.public_url is None:
            log.warning(
                "PUBLIC_URL is not set: contacts who book a call get no link to its "
                "calendar file",
                bot=own.bot_name,
            )
    if idle:
        log.warning(
            "these settings need a model; set OPENAI_API_KEY, or GROQ_API_KEY, "
            "OPENROUTER_API_KEY or OLLAMA_MODEL",
            settings=list(idle),
        )


def _for_a_model(settings: Settings) -> list[str]:
    """Return the names of the given settings that need a model."""
    given = {
        "KNOWLEDGE_DIR": settings.knowledge_dir,
        "TOOLS": settings.tools,
        "TOOL_LABELS": settings.tool_labels,
    }
    return [name for name, value in given.items() if value]


def _warn_of_unknown_prices(settings: Settings) -> None:
    """Warn about cost limits for a model whose price is unknown."""
    prices = read_prices(settings.prices_file)
    for bot in settings.bots:
        own, model = bot.settings, bot.settings.llm().model
        limited = own.max_cost_per_conversation or own.max_cost_per_day
        known = prices.cost(model, prompt=0, completion=0) is not None
        if limited and own.responder_name != "mock" and not known:
            log.warning(
                "MAX_COST_PER_CONVERSATION and MAX_COST_PER_DAY have no effect: the "
                "model's price is unknown; add it to PRICES_FILE",
                model=model,
            )


def _warn_of_open_purse(settings: Settings) -> None:
    """Warn when visitors can cause unlimited model costs."""
    public = settings.public_url or settings.cors_origins
    if not public and settings.host in ("127.0.0.1", "::1", "localhost"):
        return
    own = settings.bot_for(WEB).settings
    if own.responder_name != "mock" and not own.max_cost_per_day:
        log.warning(
            "MAX_COST_PER_DAY is not set: visitors of the web chat can cause "
            "unlimited model costs",
            bot=own.bot_name,
        )


async def _hear_others(
    stack: contextlib.AsyncExitStack,
    parts: "Parts",
    db: Database,
    hub: Hub,
    intake: Intake,
    rooms: Rooms,
) -> None:
    """Exchange signals with the other processes on the same database."""
    relay = Relay(db, hub)
    hub.attach(relay)

    def missed() -> None:
        intake.look()
        rooms.look_at_all()

    listening = signals.listen(db.listen_url, intake.heed, missed, relay.heard)
    await stack.enter_async_context(parts.beside(listening, "listen"))
    await stack.enter_async_context(parts.beside(relay.run(), "relay"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the engines of all bots have in common.

    Attributes:
        chatwoot: the circuit to it.
        embeddings: how their server answers.
    """

    db: Database
    http: httpx.AsyncClient
    metrics: Metrics
    media: Media
    answering: Answering
    chatwoot: Breaker
    hub: Hub = field(default_factory=Hub)
    embeddings: Health = field(default_factory=Health)


def _engine(settings: Settings, shared: Shared) -> Engine:
    """Return the engine of the bot for all inboxes without another, with the others."""
    others, *own = settings.bots
    engine = Engine(
        db=shared.db,
        hub=shared.hub,
        metrics=shared.metrics,
        prices=read_prices(settings.prices_file),
        chores=Chores(),
        history=settings.history_messages,
        history_tokens=settings.history_tokens,
        deliver_for_s=settings.delivery_deadline_hours * 3_600,
        **_parts(settings, others, shared),
    )
    bots: dict[Inbox, Engine] = {}
    for bot in own:
        parts = _parts(settings, bot, shared)
        bots |= dict.fromkeys(bot.inboxes, replace(engine, **parts))
    return replace(engine, rules=rules(settings), bots=bots)


def _parts(settings: Settings, bot: BotSettings, shared: Shared) -> dict[str, Any]:
    """Return the parts of an `Engine` that each bot has for itself."""
    own = bot.settings
    clients = _clients(own, shared.http, shared.chatwoot)

    return {
        "rules": _rules(settings, bot),
        "channels": _channels(own, clients, shared.hub),
        "responder": shared.answering.responder(bot),
        "fallback": _fallback(bot),
        "media": shared.media(own),
        "handover": _handover(bot),
        "guardrail": _guardrail(bot),
        "zone": ZoneInfo(own.timezone),
        "tools": tools_of(bot, shared.db, shared.http, shared.embeddings),
    }


def _fallback(bot: BotSettings) -> Responder | None:
    """Return who answers when the model does not; None when a human does."""
    if bot.settings.fallback == "handoff":
        return None
    return ApologyResponder(bot.languages)


def _guardrail(bot: BotSettings) -> Guardrail:
    """Return what the bot must not say: its instructions, in their three parts."""
    own = bot.settings
    prompt = bot.prompt()
    urls = own.public_url, own.chatwoot_base_url, own.booking_url
    return Guardrail(
        [prompt, "\n".join(own.bot_rules), "\n".join(BUILT_IN)],
        mark=mark_of(prompt, own.bot_rules),
        addresses=filter(None, urls),
    )


def _handover(bot: BotSettings) -> Handover:
    settings = bot.settings
    return Handover(
        message=settings.handoff_message,
        hours=_hours(settings),
        languages=bot.languages,
        routing=_routing(settings),
        command=f"{settings.bot_command} on" if settings.bot_command else "",
        say=wording(settings.agents_language),
    )


def _routing(settings: Settings) -> Routing:
    return Routing(
        team_id=settings.handoff_team_id,
        assignee_id=settings.handoff_assignee_id,
        priority=settings.handoff_priority,
        labels=settings.handoff_labels,
        attributes=dict(settings.handoff_attributes),
    )


def rules(settings: Settings) -> Rules:
    """Return the operator's choices that the engine applies."""
    others, *own = settings.bots
    bots = {inbox: _rules(settings, bot) for bot in own for inbox in bot.inboxes}
    return replace(_rules(settings, others), bots=bots)


def _rules(settings: Settings, bot: BotSettings) -> Rules:
    """Return those of one bot."""
    return Rules(
        policy=_policy(bot),
        quiet_s=settings.quiet_seconds,
        max_wait_s=settings.max_wait_seconds,
        account_id=settings.chatwoot_account_id,
        remote=Remote(
            prefix=settings.bot_command,
            label=settings.bot_off_label,
            attribute=settings.bot_switch_attribute,
        ),
        routing=_routing(bot.settings),
        attributes=bot.settings.contact_attributes,
        remembers=bot.settings.remember_contacts,
        recovers=bot.settings.recover == "answer",
        say=wording(bot.settings.agents_language),
    )


def _policy(bot: BotSettings) -> Policy:
    return Policy(
        handover_keywords=bot.settings.handoff_keywords,
        wishes=None if _has_keywords(bot) else wishes(),
        rules=bot.rules,
        hours=_hours(bot.settings),
        max_bot_turns=bot.settings.max_bot_turns,
        answer_deadline_s=bot.settings.answer_deadline_seconds,
        contact_messages_per_hour=bot.settings.contact_messages_per_hour,
        max_cost_per_conversation=bot.settings.max_cost_per_conversation,
        max_cost_per_day=bot.settings.max_cost_per_day,
    )


def _has_keywords(bot: BotSettings) -> bool:
    """Return whether they are the bot's own; no keyword at all is a choice too."""
    return bool(bot.settings.handoff_keywords) or "handoff_keywords" in bot.own


def _hours(settings: Settings) -> Hours | None:
    hours = settings.business_hours
    return parse_hours(hours, settings.timezone) if hours else None


def _channels(
    settings: Settings, clients: Clients | None, hub: Hub
) -> dict[str, Channel]:
    web = WebChannel(hub.typing)
    if clients is None:
        # Conversations of an earlier, configured run can be read but not answered.
        return {"web": web, "chatwoot": web}
    chatwoot = ChatwootChannel(
        clients.bot, clients.reader, verify=settings.verify_before_reply
    )
    return {"web": web, "chatwoot": chatwoot}


def _clients(
    settings: Settings, http: httpx.AsyncClient, breaker: Breaker
) -> Clients | None:
    """Return None in the demo."""
    base_url = settings.chatwoot_base_url
    if base_url is None or settings.chatwoot_api_token is None:
        return None

    def client(token: SecretStr) -> ChatwootClient:
        return ChatwootClient(
            http,
            base_url=base_url,
            token=token.get_secret_value(),
            breaker=breaker,
        )

    user_token = settings.chatwoot_user_token
    reader = client(user_token) if user_token else None
    return Clients(client(settings.chatwoot_api_token), reader)


@contextlib.asynccontextmanager
async def _media(settings: Settings, http: httpx.AsyncClient) -> AsyncIterator[Media]:
    """Yield what makes a bot's reader; None where no model would be told."""
    if all(bot.settings.responder_name == "mock" for bot in settings.bots):
        yield lambda _: None
        return
    own = [settings.chatwoot_base_url] if settings.chatwoot_base_url else []
    guard = Guard([host_of(url) for url in (*own, *settings.media_hosts)])
    async with guard.transport() as transport:
        fetcher = Fetcher(transport, max_bytes=settings.media_max_bytes)
        files = FileReader()

        def reader(one: Settings) -> MediaReader | None:
            if one.responder_name == "mock":
                return None
            return MediaReader(fetcher, files, _transcriber(one, http))

        yield reader


def _transcriber(settings: Settings, http: httpx.AsyncClient) -> Transcriber | None:
    server = settings.transcription()
    if server is None:
        return None
    base_url, api_key, model = server
    return Transcriber(http, base_url=base_url, api_key=api_key, model=model)


async def _secret_keys(settings: Settings, db: Database) -> list[str]:
    if settings.secret_key:
        return [key.get_secret_value() for key in settings.secret_key]
    return [await db.write(human.secret_key)]


async def _drain(worker: Worker | None) -> None:
    if worker is not None and await worker.stop(grace_s=GRACE_S):
        await asyncio.sleep(ECHO_S)


class Parts:
    """What runs beside the web; if a part dies, the process stops."""

    def __init__(self) -> None:
        self._stopping = False

    @contextlib.asynccontextmanager
    async def working(self, worker: Worker) -> AsyncIterator[None]:
        """Run the worker until the block ends; see `beside`."""
        task = self._begin(worker.run(), "worker")
        try:
            yield
        finally:
            await worker.stop(grace_s=GRACE_S)
            await asyncio.wait([task])
            _must_not_have_died(task)

    @contextlib.asynccontextmanager
    async def beside(
        self, work: Coroutine[Any, Any, None], name: str
    ) -> AsyncIterator[None]:
        """Run *work* until the block ends.

        Raises:
            PartDiedError: it died; raised at the end, when all has been stopped in
                order. It stands above the interrupt that a death during the start is.
        """
        task = self._begin(work, name)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            _must_not_have_died(task)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._stop_when_dead)
        return task

    def _stop_when_dead(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.critical(
            "a part of the service died, stopping", part=task.get_name(), exc_info=error
        )
        if not self._stopping:  # a second interrupt would break off the end in order
            self._stopping = True
            # Heard at any time; SIGTERM would kill a process that is still starting.
            os.kill(os.getpid(), signal.SIGINT)


def _sweepers(
    settings: Settings, http: httpx.AsyncClient, breaker: Breaker
) -> list[tuple[BotSettings, Clients]]:
    """Return each bot with its clients; first that for all others, none in the demo."""
    pairs = [(bot, _clients(bot.settings, http, breaker)) for bot in settings.bots]
    return [(bot, clients) for bot, clients in pairs if clients is not None]


def _client_of(
    bots: Sequence[tuple[BotSettings, Clients]],
) -> Callable[[int | None], ChatwootClient]:
    """Return what returns a client with the token of an inbox's bot."""
    clients = {inbox: each.bot for bot, each in bots for inbox in bot.inboxes}
    others = bots[0][1].bot
    return lambda inbox_id: clients.get(inbox_id or 0, others)


def _missed(
    db: Database, rules: Rules, bots: Sequence[tuple[BotSettings, Clients]]
) -> Missed:
    return Missed(db, _client_of(bots), bots[0][1].reader, rules)


def _sweep(
    settings: Settings,
    db: Database,
    intake: Intake,
    missed: Missed,
    reader: ChatwootClient | None,
) -> Sweep:
    return Sweep(
        db,
        intake,
        missed,
        reader,
        account_id=settings.chatwoot_account_id,
        serves=settings.serves,
        names=settings.names,
        ignores=settings.ignores,
        every_s=settings.sweep_interval_seconds,
        not_older_than_s=settings.delivery_deadline_hours * 3_600,
    )


def _must_not_have_died(task: asyncio.Task[None]) -> None:
    """Have the process end with an error, so that a supervisor restarts it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        raise PartDiedError(f"the {task.get_name()} died") from error


def _readiness(
    settings: Settings, worker: Worker | None, shared: Shared
) -> Callable[[], dict[str, Any]]:
    """Return what `/health/ready` shows.

    An open circuit does not make the service unready: it takes events and keeps
    replies all the same, and a probe that stopped it would lose webhooks.
    """

    def parts() -> dict[str, Any]:
        looked = worker is None or time.time() - worker.looked_at < WORKER_SILENT_S
        return {
            "worker": {"ok": looked, "here": worker is not None},
            **shared.answering.parts(),
            **shared.embeddings.parts(),
            "chatwoot": {
                "configured": settings.chatwoot_configured,
                "circuit": shared.chatwoot.state,
            },
        }

    return parts
