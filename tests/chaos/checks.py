"""What a chaos run must show, judged by what the simulated Chatwoot has stored.

The model's answers name the messages that they answer (`answer`), so that each
reply says what it covers.
"""

import collections
import re
from dataclasses import dataclass

from chatwoot_bot.simulator.records import Message

ANSWERS = "Answers:"
AGENT = "Agent here:"
# From the 200 for what an agent did until the bot must be silent.
GRACE_S = 0.5


def question(number: int) -> str:
    """Return the text of a contact's message."""
    return f"m{number}: where is my order?"


def answer(messages: list[dict]) -> str:
    """Answer, as a model, all that the transcript shows to be unanswered."""
    said: list[int] = []
    answered: set[int] = set()
    for message in messages:
        text = message["content"]
        if message["role"] == "user":
            said += numbers(text)
        elif text.startswith(ANSWERS):
            answered |= set(numbers(text))
        elif text.startswith(AGENT):
            said.clear()  # whatever it was, the agent has seen it
    fresh = [f"m{number}" for number in said if number not in answered]
    return f"{ANSWERS} {' '.join(fresh) or 'nothing'}"


def numbers(text: str | None) -> list[int]:
    """Return the messages that a text names."""
    return [int(number) for number in re.findall(r"\bm(\d+)\b", text or "")]


def overtaken(arrived: list[int | None]) -> set[int]:
    """Return the ids that came after a higher one, which was written later."""
    newest, late = 0, set()
    for message_id in arrived:
        if message_id is not None and message_id < newest:
            late.add(message_id)
        newest = max(newest, message_id or 0)
    return late


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """When a conversation went to humans, or back to the bot.

    Attributes:
        at: Unix seconds, in Chatwoot.
        shown: Chatwoot's status says so to everybody who looks.
        told_at: when the service had answered 200 to it; None when it never did.
    """

    at: float
    to_human: bool
    why: str
    shown: bool = False
    told_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One conversation as Chatwoot has it.

    Attributes:
        said: the contact's messages, by their numbers.
        late: the numbers that Chatwoot delivered after a later message of the same
            conversation, or only at a second attempt: the bot may have answered
            the later one before it could know of them.
        replies: the bot's public messages, oldest first.
        keys: the reply keys of all that the bot has posted.
        turns: who held it, oldest first; the bot at first.
    """

    said: dict[int, Message]
    late: frozenset[int]
    replies: list[Message]
    keys: list[str]
    turns: list[Turn]


def check(story: Story) -> dict[str, list[str]]:
    """Return what is wrong with a conversation; empty when nothing is."""
    wrong: dict[str, list[str]] = collections.defaultdict(list)
    _check_lost(story, wrong)
    _check_repeated(story, wrong)
    _check_order(story, wrong)
    _check_silence(story, wrong)
    return dict(wrong)


def _check_lost(story: Story, wrong: dict[str, list[str]]) -> None:
    covered = _covered(story)
    for number, message in story.said.items():
        if not covered[number] and _is_required(message, story.turns):
            wrong["lost"].append(f"m{number} has no answer")
    for reply in story.replies:
        if not numbers(reply.content) and reply.content != answer([]):
            wrong["given up"].append(f"#{reply.id}: {reply.content}")


def _check_repeated(story: Story, wrong: dict[str, list[str]]) -> None:
    for number, count in _covered(story).items():
        if count > 1:
            wrong["said twice"].append(f"m{number} is answered {count} times")
    for key, count in collections.Counter(story.keys).items():
        if count > 1:
            wrong["said twice"].append(f"reply {key} was stored {count} times")
    for reply in story.replies:
        if reply.content == answer([]):
            wrong["said twice"].append(f"#{reply.id} answers nothing new")


def _covered(story: Story) -> collections.Counter[int]:
    """Return how many replies answer each message."""
    return collections.Counter(
        number for reply in story.replies for number in set(numbers(reply.content))
    )


def _is_required(message: Message, turns: list[Turn]) -> bool:
    """Return whether the bot has to answer: it holds it, and nobody stepped in."""
    held_by_human = False
    for turn in turns:
        if turn.at <= message.created_at:
            held_by_human = turn.to_human
        elif turn.to_human:
            return False
    return not held_by_human


def _check_order(story: Story, wrong: dict[str, list[str]]) -> None:
    newest = 0
    for reply in story.replies:
        for number in numbers(reply.content):
            if number < newest and number not in story.late:
                wrong["out of order"].append(f"m{number} after m{newest}")
            newest = max(newest, number)


def after_human_s(story: Story) -> list[float]:
    """Return how long after the service was told of a human its replies came."""
    waited = []
    for reply in story.replies:
        since = _human_since(story.turns, reply.created_at)
        if since is not None and since.told_at is not None:
            waited.append(reply.created_at - max(since.told_at, since.at))
    return waited


def _check_silence(story: Story, wrong: dict[str, list[str]]) -> None:
    for reply in story.replies:
        since = _human_since(story.turns, reply.created_at)
        if since is None:
            continue
        told_at = since.told_at
        if told_at is not None and reply.created_at > max(told_at, since.at) + GRACE_S:
            kind, late_s = "after a human", reply.created_at - max(told_at, since.at)
        elif since.shown and reply.created_at > since.at + GRACE_S:
            kind, late_s = "without looking", reply.created_at - since.at
        else:
            continue
        wrong[kind].append(f"#{reply.id} came {late_s:.1f} s after: {since.why}")


def _human_since(turns: list[Turn], at: float) -> Turn | None:
    """Return what first gave the conversation to the humans who hold it at *at*."""
    since = None
    for turn in turns:
        if turn.at > at:
            break
        if not turn.to_human:
            since = None
        elif since is None:
            since = turn
    return since
