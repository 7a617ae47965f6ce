"""What happens in a chaos run, decided beforehand by a seed.

A story is a list of steps in time. The same seed and size give the same story; only
the timing of several processes differs from run to run.
"""

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "say", "take_over", "give_back", "kill", "model_fails", "model_takes", "refuse"
]
# The moment a kill waits for; "now" waits for none.
AIMS = ("now", "accepting", "thinking", "posting")
TAKEN_OVER = 0.3  # share of the conversations in which an agent steps in
GIVEN_BACK = 0.5  # share of those that the bot gets back
SOON_S = (0.03, 0.4)  # a hurried second message
LATER_S = (0.6, 5.0)
STEPS_IN_S = (0.1, 1.2)  # an agent, after something the contact wrote
MODEL_FAILS = 0.04  # failed calls per message
MODEL_S = (0.1, 0.4, 2.5)
MODEL_CHANGES_S = 4.0
REFUSED_EVERY_S = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens.

    Attributes:
        at: seconds since the beginning.
        conversation: the story's own number, from 0.
        message: a contact's message, numbered from 1 in the order of writing.
        aim: what a kill waits for.
        model_s: how long the model takes from now on.
    """

    at: float
    kind: Kind
    conversation: int = -1
    message: int = 0
    aim: str = ""
    model_s: float = 0.0


def write(
    seed: int, *, messages: int, conversations: int, seconds: float, kills: int
) -> list[Step]:
    """Return the steps of a story in the order of their times."""
    rng = random.Random(seed)
    said = _conversations(rng, messages, conversations, seconds)
    steps = [
        Step(at=at, kind="say", conversation=conversation, message=number)
        for number, (at, conversation) in enumerate(sorted(said), start=1)
    ]
    steps += _agents(rng, said)
    for number in range(kills):
        at = (number + rng.uniform(0.2, 0.9)) * seconds / kills
        steps.append(Step(at=at, kind="kill", aim=AIMS[number % len(AIMS)]))
    for _ in range(round(messages * MODEL_FAILS)):
        steps.append(Step(at=rng.uniform(0, seconds), kind="model_fails"))
    for number in range(int(seconds / MODEL_CHANGES_S)):
        model_s = MODEL_S[number % len(MODEL_S)]
        at = number * MODEL_CHANGES_S
        steps.append(Step(at=at, kind="model_takes", model_s=model_s))
    for number in range(int(seconds / REFUSED_EVERY_S)):
        # Apart, because one outage ends before the next begins.
        at = (number + rng.uniform(0, 0.8)) * REFUSED_EVERY_S
        steps.append(Step(at=at, kind="refuse"))
    return sorted(steps, key=lambda step: step.at)


def _conversations(
    rng: random.Random, messages: int, conversations: int, seconds: float
) -> list[tuple[float, int]]:
    """Return (time, conversation) of each message; each conversation has one."""
    share = [1] * conversations
    for _ in range(messages - conversations):
        share[rng.randrange(conversations)] += 1
    said = []
    for conversation, count in enumerate(share):
        pauses = [0.0]
        for _ in range(count - 1):
            pauses.append(rng.uniform(*rng.choice((SOON_S, LATER_S, LATER_S))))
        at = rng.uniform(0, max(seconds - sum(pauses), seconds / 4))
        for pause in pauses:
            at += pause
            said.append((at, conversation))
    return said


def _agents(rng: random.Random, said: list[tuple[float, int]]) -> list[Step]:
    steps = []
    times: dict[int, list[float]] = {}
    for at, conversation in said:
        times.setdefault(conversation, []).append(at)
    for conversation in times:
        if rng.random() >= TAKEN_OVER:
            continue
        at = rng.choice(times[conversation]) + rng.uniform(*STEPS_IN_S)
        steps.append(Step(at=at, kind="take_over", conversation=conversation))
        if rng.random() < GIVEN_BACK:
            at += rng.uniform(1.5, 3.0)
            steps.append(Step(at=at, kind="give_back", conversation=conversation))
    return steps
