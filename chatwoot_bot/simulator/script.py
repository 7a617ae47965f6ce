"""Play many conversations at once and count what came of them.

Each conversation has a code word of its own in its questions. A reply that names
the code word of another conversation went to the wrong person, and that is the
worst thing an adapter can do.
"""

import asyncio
import random
import re
import time
from dataclasses import dataclass

from .records import Message
from .server import Simulator

CODE = re.compile(r"\bORD-\d{6}\b")
LINGER_S = 1.0  # how long a second answer to one question may come late
QUESTIONS = (
    "Do you ship to Norway?",
    "Where is my parcel?",
    "Can I change the address?",
    "How do I return an item?",
    "Is the blue one in stock?",
    "Which payment methods do you take?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to play.

    Attributes:
        conversations: How many conversations.
        messages: Questions in each; the next is asked after the answer.
        concurrency: Conversations at a time.
        timeout_s: How long to wait for each answer.
    """

    conversations: int = 5
    messages: int = 1
    concurrency: int = 50
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a script.

    Attributes:
        asked: Questions of contacts.
        answered: Questions with an answer.
        lost: Questions without one.
        doubled: Answers beyond one for each question.
        misdirected: Answers that name another conversation's code word.
        handed_over: Conversations that are open for humans at the end.
        latencies_s: From each question to its answer, ascending.
        elapsed_s: The whole script.
    """

    asked: int
    answered: int
    lost: int
    doubled: int
    misdirected: int
    handed_over: int
    latencies_s: tuple[float, ...]
    elapsed_s: float

    @property
    def is_clean(self) -> bool:
        """Whether every question got one answer, in the right conversation."""
        return not (self.lost or self.doubled or self.misdirected)

    def percentile(self, share: float) -> float | None:
        """Return the latency in seconds that *share* of the answers kept to."""
        if not self.latencies_s:
            return None
        index = min(int(share * len(self.latencies_s)), len(self.latencies_s) - 1)
        return self.latencies_s[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """One played conversation; `pairs` holds each answered question."""

    conversation: int
    code: str
    asked: int
    pairs: tuple[tuple[Message, Message], ...]


async def run_script(sim: Simulator, plan: Plan) -> Report:
    """Play *plan* and count.

    The words are drawn from the simulator's seed; the timing is that of the day.
    """
    rng = random.Random(sim.seed)  # noqa: S311 - repeatable is the point
    numbers = rng.sample(range(1_000_000), plan.conversations)
    slots = asyncio.Semaphore(plan.concurrency)
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_play(sim, plan, f"ORD-{number:06d}", slots))
            for number in numbers
        ]
    outcomes = [task.result() for task in tasks]
    await _linger(sim, outcomes)
    return _report(sim, outcomes, time.monotonic() - began)


async def _play(
    sim: Simulator, plan: Plan, code: str, slots: asyncio.Semaphore
) -> _Outcome:
    """Ask and wait in one conversation, until an answer fails to come."""
    rng = random.Random(code)  # noqa: S311
    pairs: list[tuple[Message, Message]] = []
    conversation: int | None = None
    async with slots:
        for number in range(1, plan.messages + 1):
            text = f"{rng.choice(QUESTIONS)} My order is {code}."
            question = await sim.contact_says(text, conversation=conversation)
            conversation = question.conversation_id
            try:
                replies = await sim.wait_for_replies(
                    conversation, number, timeout=plan.timeout_s
                )
            except TimeoutError:
                break
            pairs.append((question, replies[number - 1]))
    return _Outcome(
        conversation=conversation or 0, code=code, asked=number, pairs=tuple(pairs)
    )


async def _linger(sim: Simulator, outcomes: list[_Outcome]) -> None:
    """Give second answers a moment to show up."""
    try:
        await sim.until(lambda: _doubled(sim, outcomes), timeout=LINGER_S)
    except TimeoutError:
        return


def _report(sim: Simulator, outcomes: list[_Outcome], elapsed_s: float) -> Report:
    answered = sum(len(outcome.pairs) for outcome in outcomes)
    asked = sum(outcome.asked for outcome in outcomes)
    latencies = sorted(
        reply.created_at - question.created_at
        for outcome in outcomes
        for question, reply in outcome.pairs
    )
    return Report(
        asked=asked,
        answered=answered,
        lost=asked - answered,
        doubled=_doubled(sim, outcomes),
        misdirected=sum(_misdirected(sim, outcome) for outcome in outcomes),
        handed_over=sum(sim.status(each.conversation) == "open" for each in outcomes),
        latencies_s=tuple(latencies),
        elapsed_s=elapsed_s,
    )


def _doubled(sim: Simulator, outcomes: list[_Outcome]) -> int:
    return sum(
        max(len(sim.replies(outcome.conversation)) - outcome.asked, 0)
        for outcome in outcomes
    )


def _misdirected(sim: Simulator, outcome: _Outcome) -> int:
    return sum(
        bool(set(CODE.findall(reply.content or "")) - {outcome.code})
        for reply in sim.replies(outcome.conversation)
    )
