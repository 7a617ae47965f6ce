"""Drive a service through a chaos story, and judge what the contacts got.

The service runs in processes of its own, killed with SIGKILL at the story's moments;
Chatwoot and the model are stand-ins, reached over real HTTP. Nothing here reads the
service's database but to know when it has nothing left to do.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa
from balancer import BalancedChatwoot, Balancer
from checks import (
    AGENT,
    Story,
    Turn,
    after_human_s,
    answer,
    check,
    overtaken,
    question,
)
from service import Service
from story import Step, write

from chatwoot_bot.simulator.llm import ModelStandIn
from chatwoot_bot.simulator.records import Message
from chatwoot_bot.simulator.server import Simulator
from chatwoot_bot.simulator.world import BOT_FAILURE

SECRET = "a-secret-of-24-characters"
TOKEN = "bot-token"
QUIET_S = 0.3
MAX_WAIT_S = 2.0
REORDER_S = 0.2  # shorter than the quiet time, or nobody could restore the order
REFUSE_S = 0.8
BREAK_SHARE = 0.3
LOSE_SHARE = 0.2
AIM_S = 3.0  # a kill whose moment does not come waits no longer
DRAIN_S = 90.0
LINES = 60  # of a conversation's log in a report


def simulated(**options: object) -> Simulator:
    """Return a simulated Chatwoot without a balancer; give it a webhook_url."""
    return Simulator(
        webhook_url="http://127.0.0.1:9/", secret=SECRET, bot_token=TOKEN, **options
    )


def connected(
    folder: Path,
    chatwoot: Simulator,
    model: ModelStandIn | None = None,
    *arguments: str,
    **settings: object,
) -> Service:
    """Return the service, not yet started, connected to the stand-ins."""
    if model is not None:
        settings |= {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "k"}
    else:
        settings = {"RESPONDER": "mock"} | settings
    stand_in = {
        "CHATWOOT_BASE_URL": chatwoot.base_url,
        "CHATWOOT_API_TOKEN": TOKEN,
        # It may list messages; a bot's alone cannot always tell whether one is there.
        "CHATWOOT_USER_TOKEN": "user-token",
        "CHATWOOT_WEBHOOK_SECRET": SECRET,
        "CHATWOOT_ACCOUNT_ID": 1,
    }
    # Not forked: how long a start takes is part of the story.
    return Service(folder, *arguments, python=sys.executable, **(stand_in | settings))


# Longer than the three attempts of one turn.
MODEL_REST_S = 5.0


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run was, and what is wrong with it.

    Attributes:
        problems: (kind, the story's conversation, what it is about).
        details: for each conversation with a problem all that is known of it.
    """

    seed: int
    figures: dict[str, object] = field(default_factory=dict)
    problems: list[tuple[str, int, str]] = field(default_factory=list)
    details: dict[int, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        kinds = (
            "lost",
            "said twice",
            "out of order",
            "after a human",
            "without looking",
            "given up",
            "not finished",
        )
        found = Counter(kind for kind, _, _ in self.problems)
        return {kind: found[kind] for kind in kinds}

    def summary(self) -> str:
        return f"chaos seed={self.seed} {self.counts()} {self.figures}"

    def describe(self) -> str:
        """Return the summary, and enough of the first problems to replay them."""
        lines = [self.summary()]
        lines += [f"  {kind}: {what}  (c{c})" for kind, c, what in self.problems]
        lines += list(self.details.values())[:5]
        return "\n".join(lines)


async def run_chaos(
    folder: Path,
    *,
    seed: int,
    messages: int,
    conversations: int,
    seconds: float,
    kills: int,
    postgres_url: str | None = None,
    **settings: object,
) -> Report:
    """Play the story of *seed* and return what came of it; print the seed first.

    Args:
        postgres_url: run two web and two worker processes on it; None runs one
            process on SQLite.
        settings: further ones of the service.
    """
    print(f"\nchaos seed={seed}")
    steps = write(
        seed,
        messages=messages,
        conversations=conversations,
        seconds=seconds,
        kills=kills,
    )
    balancer = Balancer(seed, break_share=BREAK_SHARE, lose_share=LOSE_SHARE)
    model = ModelStandIn(reply=answer)
    chatwoot = BalancedChatwoot(
        balancer, secret=SECRET, bot_token=TOKEN, seed=seed, port=_lasting_port()
    )
    async with model, chatwoot:
        fleet = Fleet(folder, chatwoot, model, balancer, postgres_url, settings)
        run = Run(seed, steps, chatwoot, model, balancer, fleet)
        try:
            await fleet.start()
            began = time.monotonic()
            await run.play()
            run.report.figures["drained_s"] = await run.drain()
            run.report.figures["took_s"] = round(time.monotonic() - began, 1)
        finally:
            await fleet.kill()
        run.judge()
    print(run.report.summary())
    return run.report


class Fleet:
    """The processes of the service."""

    def __init__(
        self,
        folder: Path,
        chatwoot: BalancedChatwoot,
        model: ModelStandIn,
        balancer: Balancer,
        postgres_url: str | None,
        settings: dict[str, object],
    ) -> None:
        self._balancer = balancer
        self._url = postgres_url or f"sqlite:///{folder / 'bot.db'}"
        roles = [("serve", "--no-worker")] * 2 + [("worker",)] * 2
        self.services = [
            connected(
                folder,
                chatwoot,
                model,
                *role,
                **(
                    {
                        "DATABASE_URL": self._url,
                        "QUIET_SECONDS": QUIET_S,
                        "MAX_WAIT_SECONDS": MAX_WAIT_S,
                    }
                    | settings
                ),
            )
            for role in (roles if postgres_url else [("serve",)])
        ]

    async def start(self) -> None:
        for service in self.services:
            await self._start(service)

    async def _start(self, service: Service) -> None:
        await asyncio.to_thread(service.start)
        if service.arguments[0] == "serve":
            self._balancer.add(service.url)

    async def restart(self, service: Service) -> None:
        """Replace a process that has just been killed."""
        self._balancer.remove(service.url)
        await asyncio.to_thread(service.kill)
        await self._start(service)

    async def kill(self) -> None:
        for service in self.services:
            await asyncio.to_thread(service.kill)

    def unfinished(self) -> list[str]:
        """Return what the service still wants to do, by its own books."""
        return unfinished(self._url)

    def names(self) -> dict[int, str]:
        """Return our id of each Chatwoot conversation."""
        return {row[0]: row[1] for row in _read(self._url, NAMES)}

    def lines_about(self, conversation: str) -> list[str]:
        return [
            f"{service.arguments[0]}: {line.rstrip()}"
            for service in self.services
            for line in service.lines
            if conversation in line
        ]


async def finished(
    chatwoot: Simulator, look: Callable[[], list[str]], within_s: float
) -> list[str]:
    """Wait until the service has nothing left to do; return what it has all the same.

    Args:
        look: reads the service's books.
    """
    deadline = time.monotonic() + within_s
    while True:
        await chatwoot.settled(timeout=within_s)
        left = await asyncio.to_thread(look)
        if time.monotonic() > deadline:
            return left
        if not left and chatwoot._deliveries.under_way == 0:
            return []
        await asyncio.sleep(0.1)  # another process's books: nobody tells us


def unfinished(database_url: str) -> list[str]:
    """Return what a service still wants to do, by its own books."""
    return [row[0] for row in _read(database_url, UNFINISHED)]


NAMES = "SELECT display_id, id FROM conversations"
UNFINISHED = (
    "SELECT 'conversation ' || display_id FROM conversations WHERE due_at IS NOT NULL"
    " UNION ALL SELECT 'reply ' || key FROM replies WHERE state = 'open'"
)


def _read(database_url: str, query: str) -> Sequence[sa.Row]:
    url = sa.make_url(database_url)
    if url.drivername.startswith("postgres"):
        url = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.execute(sa.text(query)).all()


class Run:
    """One story while it is played, and its judgement."""

    def __init__(
        self,
        seed: int,
        steps: list[Step],
        chatwoot: BalancedChatwoot,
        model: ModelStandIn,
        balancer: Balancer,
        fleet: Fleet,
    ) -> None:
        self.report = Report(seed=seed)
        self._rng = random.Random(seed + 1)
        self._steps = steps
        self._chatwoot = chatwoot
        self._model = model
        self._balancer = balancer
        self._fleet = fleet
        self._began = time.time()
        self._ids: dict[int, int] = {}  # the story's number → Chatwoot's
        self._said: dict[int, Message] = {}  # the story's number → Chatwoot's
        self._turns: dict[int, list[Turn]] = {}  # by Chatwoot's conversation
        self._agent_said: dict[int, Message] = {}
        self._failures = 0
        self._failed_at = 0.0
        self._kills: list[str] = []
        self._late_s: list[float] = []
        self._target: tuple[Service, str] | None = None
        self._struck = asyncio.Event()
        chatwoot.on_message = self._stored
        balancer.on_request = lambda: self._aimed("accepting")

    # The story.

    async def play(self) -> None:
        """Do the steps at their times, then let everything behave again."""
        self._began = time.time()
        self._misbehave()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reap())
            for step in self._steps:
                if step.kind == "kill":
                    continue
                await asyncio.sleep(self._began + step.at - time.time())
                if step.kind == "refuse":
                    group.create_task(self._refuse())
                else:
                    await self._act(step)
        self._chatwoot.faults.clear()

    def _misbehave(self) -> None:
        faults = self._chatwoot.faults
        for kind, status, share in (
            ("status", 500, 0.03),
            ("status", 503, 0.03),
            ("status", 429, 0.03),
            ("drop", 0, 0.02),
            ("store_then_500", 500, 0.04),
            ("store_then_drop", 0, 0.02),
        ):
            faults.api(kind, status=status, probability=share, times=None)
        hangs = max(len(self._steps) // 100, 2)
        faults.api("store_then_hang", probability=0.02, times=hangs)
        for call in ("toggle_typing_status", "toggle_status"):
            faults.api("status", status=500, probability=0.1, times=None, call=call)
        faults.deliveries.duplicate = 0.1
        faults.deliveries.reorder_s = REORDER_S

    async def _act(self, step: Step) -> None:
        conversation = self._ids.get(step.conversation)
        match step.kind:
            case "say":
                message = await self._chatwoot.contact_says(
                    question(step.message), conversation=conversation
                )
                self._ids[step.conversation] = message.conversation_id
                self._said[step.message] = message
            case "take_over" if conversation is not None:
                message = await self._chatwoot.agent_says(
                    conversation, f"{AGENT} I take this one."
                )
                self._agent_said[message.id] = message
                self._turn(message, to_human=True, why=f"agent said #{message.id}")
            case "give_back" if conversation is not None:
                # While it is still pending, a change to pending says nothing.
                if self._chatwoot.status(conversation) == "open":
                    await self._chatwoot.set_status(conversation, "pending")
                    message = self._chatwoot.messages(conversation)[-1]
                    self._turn(message, to_human=False, why="agent gave it back")
            case "model_fails" if self._model.failed == self._failures:
                # One at a time: three in a row rightly call a human.
                if time.monotonic() - self._failed_at < MODEL_REST_S:
                    return
                self._failed_at = time.monotonic()
                self._failures += 1
                self._model.fail(500)
            case "model_takes":
                self._model.delay_s = step.model_s

    def _turn(self, message: Message, *, to_human: bool, why: str) -> None:
        shown = to_human and message.message_type == "activity"
        turn = Turn(at=message.created_at, to_human=to_human, why=why, shown=shown)
        self._turns.setdefault(message.conversation_id, []).append(turn)

    async def _refuse(self) -> None:
        async with self._chatwoot.outage():
            await asyncio.sleep(REFUSE_S)

    # Kills.

    async def _reap(self) -> None:
        """Kill at the story's moments, and start again at once."""
        for step in self._steps:
            if step.kind != "kill":
                continue
            await asyncio.sleep(max(self._began + step.at - time.time(), 0))
            service = self._rng.choice(self._fleet.services)
            self._struck.clear()
            self._target = (service, step.aim)
            if step.aim != "now":
                await self._take_aim(step.aim)
            if not self._struck.is_set():
                self._strike("now")
            await self._fleet.restart(service)

    async def _take_aim(self, aim: str) -> None:
        try:
            async with asyncio.timeout(AIM_S):
                if aim == "thinking":
                    started = self._model.started
                    await self._model.until(lambda: self._model.started > started)
                    await asyncio.sleep(self._rng.uniform(0, self._model.delay_s))
                    self._aimed("thinking")
                await self._struck.wait()
        except TimeoutError:
            pass

    def _aimed(self, moment: str) -> None:
        if self._target is not None and self._target[1] == moment:
            if moment == "thinking":
                self._strike(moment)
            else:
                # A little later, so that the process is in the middle of it.
                delay_s = self._rng.uniform(0, 0.006)
                self._target = (self._target[0], "soon")
                loop = asyncio.get_running_loop()
                loop.call_later(delay_s, self._strike, moment)

    def _strike(self, moment: str) -> None:
        if self._target is None:
            return
        service, _ = self._target
        self._target = None
        os.kill(service.pid, signal.SIGKILL)
        thinking = self._model.started - (
            self._model.finished + self._model.failed + self._model.aborted
        )
        self._kills.append(
            f"{time.time() - self._began:.1f}s {service.arguments[0]} {moment} "
            f"({self._balancer.in_flight} accepting, {thinking} thinking)"
        )
        self._struck.set()

    def _stored(self, message: Message) -> None:
        """Look at each message as Chatwoot stores it."""
        if message.message_type == "activity" and message.content == BOT_FAILURE:
            self._turn(message, to_human=True, why="Chatwoot gave up on the bot")
        if message.sender_type == "agent_bot" and not message.private:
            self._aimed("posting")

    # The end.

    async def drain(self) -> float:
        """Wait until the service has nothing left to do; return how long, seconds."""
        began = time.monotonic()
        left = await finished(self._chatwoot, self._fleet.unfinished, DRAIN_S)
        self.report.problems += [("not finished", -1, what) for what in left]
        return round(time.monotonic() - began, 1)

    def judge(self) -> None:
        """Check each conversation, and count."""
        told = self._told()
        for number, conversation in sorted(self._ids.items()):
            story = self._story(conversation, told)
            wrong = check(story)
            self._late_s += [each for each in after_human_s(story) if each > 0]
            for kind, found in wrong.items():
                self.report.problems += [(kind, number, what) for what in found]
            if wrong:
                self.report.details[number] = self._details(number, conversation, wrong)
        self._count()

    def _told(self) -> dict[int, float]:
        """Return when the service first answered 200 to each message's creation."""
        ended: dict[str, float] = {}
        for passage in self._balancer.log:
            if passage.is_success:
                ended.setdefault(passage.delivery_id, passage.ended)
        told: dict[int, float] = {}
        for attempt in self._chatwoot.delivery_log:
            at = ended.get(attempt.delivery_id)
            if attempt.event == "message_created" and attempt.message_id and at:
                told[attempt.message_id] = min(at, told.get(attempt.message_id, at))
        return told

    def _story(self, conversation: int, told: dict[int, float]) -> Story:
        messages = self._chatwoot.messages(conversation)
        said = {
            number: message
            for number, message in self._said.items()
            if message.conversation_id == conversation
        }
        tried = [
            attempt
            for attempt in self._chatwoot.delivery_log
            if attempt.conversation_id == conversation
            and attempt.event == "message_created"
        ]
        late = {attempt.message_id for attempt in tried if not attempt.is_success}
        late |= overtaken([attempt.message_id for attempt in tried])
        keys = [
            message.content_attributes["chatwoot_bot"]["reply_key"]
            for message in messages
            if message.sender_type == "agent_bot"
        ]
        agents = {m.created_at: m.id for m in self._agent_said.values()}
        turns = [
            Turn(
                at=turn.at,
                to_human=turn.to_human,
                why=turn.why,
                shown=turn.shown,
                told_at=told.get(agents.get(turn.at, -1)),
            )
            for turn in self._turns.get(conversation, [])
        ]
        return Story(
            said=said,
            late=frozenset(n for n, m in said.items() if m.id in late),
            replies=self._chatwoot.replies(conversation),
            keys=keys,
            turns=turns,
        )

    def _count(self) -> None:
        statuses = Counter(str(call.status) for call in self._posts())
        fates = Counter(passage.fate for passage in self._balancer.log)
        replies = sum(len(self._chatwoot.replies(c)) for c in self._ids.values())
        turns = [turn for turns in self._turns.values() for turn in turns]
        self.report.figures |= {
            "messages": len(self._said),
            "conversations": len(self._ids),
            "replies": replies,
            "takeovers": len(self._agent_said),
            "given_back": sum(not turn.to_human for turn in turns),
            "opened_by_chatwoot": sum(turn.shown for turn in turns),
            "ms_after_human": sorted(round(each * 1000) for each in self._late_s),
            "posts": dict(statuses),
            "deliveries": dict(fates),
            "model": {
                "started": self._model.started,
                "failed": self._model.failed,
                "aborted": self._model.aborted,
            },
            "kills": self._kills,
        }

    def _posts(self) -> list:
        return [
            call
            for call in self._chatwoot.calls
            if call.method == "POST" and call.path.endswith("/messages")
        ]

    def _details(self, number: int, conversation: int, wrong: object) -> str:
        name = self._fleet.names().get(conversation, "unknown to the service")
        path = f"/conversations/{conversation}/"
        parts = [
            f"--- seed {self.report.seed}, conversation c{number} = Chatwoot "
            f"{conversation} = {name}: {dict(wrong)}",
            "messages:",
            *(self._line(message) for message in self._chatwoot.messages(conversation)),
            "deliveries:",
            *self._delivery_lines(conversation),
            "posts (time unknown, in order):",
            *(
                f"  {call.status} {json.dumps(call.body)[:160]}"
                for call in self._posts()
                if path in f"{urlsplit(call.path).path}/"
            ),
            "log:",
            *(f"  {line}" for line in self._fleet.lines_about(name)[-LINES:]),
        ]
        return "\n".join(parts)

    def _line(self, message: Message) -> str:
        key = message.content_attributes.get("chatwoot_bot", {}).get("reply_key", "")
        return (
            f"  {message.created_at - self._began:7.3f} #{message.id} "
            f"{message.sender_type or message.message_type}"
            f"{' note' if message.private else ''}: {message.content} {key}"
        )

    def _delivery_lines(self, conversation: int) -> list[str]:
        about = {
            attempt.delivery_id: f"{attempt.event} #{attempt.message_id or ''}"
            for attempt in self._chatwoot.delivery_log
            if attempt.conversation_id == conversation
        }
        return [
            f"  {passage.began - self._began:7.3f} {about[passage.delivery_id]} "
            f"{passage.fate} {passage.delivery_id[:8]}"
            for passage in self._balancer.log
            if passage.delivery_id in about
        ]


def _lasting_port() -> int:
    """Return a free port that no client's connection takes during an outage."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 20):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


def new_seed() -> int:
    """Return the seed of this run: `CHAOS_SEED` to replay one, or a random one."""
    given = os.environ.get("CHAOS_SEED")
    return int(given) if given else random.SystemRandom().randrange(1_000_000)
