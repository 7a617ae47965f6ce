"""How the demo books a call: times, a name, where to reach the contact, done.

It keeps nothing between turns. What was offered and chosen is read from the
transcript, as a model would.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..core.conversation import Message, Sender
from ..core.slots import MONTHS, WEEKDAYS
from ..tools.booking_forms import EMAIL
from ..tools.toolbox import Toolbox
from .talk import LOOKED_AT, name_told
from .using import Said, Told, offers, use

WANTED = re.compile(
    r"\b(?:book|appointment|schedule|call me|call back|callback|meeting|"
    r"arrange a call|phone call)\b",
    re.IGNORECASE,
)
CANCEL = re.compile(r"\b(?:cancel|call off)\b", re.IGNORECASE)
CALL = re.compile(r"\b(?:call|appointment|meeting|booking)\b", re.IGNORECASE)
# A line of `find_free_times`, and what the contact reads of it.
FREE = re.compile(
    rf"^\S+: ((?:{'|'.join(WEEKDAYS)}) \d{{1,2}} (?:{'|'.join(MONTHS)})) \d{{4}}, "
    r"(\d\d:\d\d)-",
    re.MULTILINE,
)
LABEL = re.compile(
    rf"\b(?:{'|'.join(WEEKDAYS)}) (\d{{1,2}}) ({'|'.join(MONTHS)}), (\d\d:\d\d)\b",
    re.IGNORECASE,
)
CLOCK = re.compile(r"(?<!\d)(\d{1,2})[:.](\d\d)(?!\d)")
PHONE = re.compile(r"\+?\d(?:[ ()/.-]?\d){6,14}")
WORD = re.compile(r"[^\W\d_][\w'-]*")
# What stands beside a name, or instead of one.
_BESIDE = (
    "a address and at best call can don't email fine for forget great hello hi i i'm "
    "is it it's mail me mind my name never no not nothing number ok on one or phone "
    "please reach stop sure take thank thanks that the this to under will yes you"
)
FILLERS = frozenset(_BESIDE.split())
ORDINALS = ("first", "second", "third")
MOST_NAMES, MOST_WORDS = 3, 8
OFFERED = 3
STEP = 3  # `find_free_times` gives two of each day: this shows mornings and afternoons
ASK_TIME = "Which one suits you?"
ASK_BOTH = "What is your name, and where do we reach you: by email or by phone?"
ASK_REACH = "Where do we reach you: at which email address or phone number?"
ASK_NAME = "What is your name?"
DONE = "Your call is"
NO_CALLS = "Calls cannot be booked here, but a person can arrange one."
NOT_BOOKED = "I could not book the call, but a person can arrange it."
NOT_CANCELLED = "I could not cancel the call, but a person can do it."
NO_TIME = "No time is free at the moment, but a person can arrange a call."
LINK = "Choose a time for your call here:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """What has been settled of a call that the contact wants.

    Attributes:
        begins: the contact asks for it now.
        answered: the messages to answer say something about it.
        chosen: one of the times that were offered, and its beginning.
        name: whom the call is for; `reach`: their email address or number.
    """

    begins: bool
    answered: bool
    chosen: tuple[str, str] | None
    name: str | None
    reach: str | None


async def call_talk(
    transcript: Sequence[Message], toolbox: Toolbox | None, known_name: str | None
) -> Said | None:
    """Return what to say about a call; None when the contact says nothing of one."""
    owed = [_text(message) for message in transcript if _counts(message)]
    if any(CANCEL.search(text) and CALL.search(text) for text in owed):
        return await _cancel(toolbox)
    dialogue = dialogue_of(transcript, known_name)
    if dialogue is None or not (dialogue.begins or dialogue.answered):
        return None
    if toolbox is None or not offers(toolbox, "book_a_call"):
        return Said(NO_CALLS, ())
    if not offers(toolbox, "find_free_times"):
        told = await use(toolbox, "book_a_call")
        return Said(f"{LINK} {told.text.rpartition(' ')[2]}")
    if dialogue.chosen is None:
        return _times(
            await use(toolbox, "find_free_times"),
            "A colleague can call you at one of these times:",
        )
    return await _settle(dialogue, dialogue.chosen, toolbox)


async def _settle(
    dialogue: Dialogue, chosen: tuple[str, str], toolbox: Toolbox
) -> Said:
    """Ask for what is missing, or book."""
    label, start = chosen
    name, reach = dialogue.name, dialogue.reach
    if not name or not reach:
        ask = (ASK_REACH if name else ASK_NAME) if name or reach else ASK_BOTH
        return Said(f"{label} it is. {ask}")
    told = await use(
        toolbox,
        "book_a_call",
        name=name,
        email_or_phone=reach,
        preferred_time=start,
    )
    if told.ok:
        return Said(_booked(told.text, name, reach))
    return _times(
        told, f"{label} is not free any more. These times are still free:", NOT_BOOKED
    )


def _booked(told: str, name: str, reach: str) -> str:
    """Return for the contact what `book_a_call` tells a model."""
    what, _, rest = told.partition(": ")
    when, _, file = rest.partition(". Calendar file for the contact: ")
    when = when.partition(", ")[2].rstrip(".")
    lines = [
        f"{DONE} {what[:1].lower()}{what[1:]}, {name}: {when}.",
        f"A colleague will reach you at {reach}.",
        f"For your calendar: {file}" if file else "",
    ]
    return " ".join(filter(None, lines))


async def _cancel(toolbox: Toolbox | None) -> Said | None:
    if toolbox is None or not offers(toolbox, "cancel_call"):
        return None
    told = await use(toolbox, "cancel_call")
    return Said(f"{DONE} cancelled.") if told.ok else Said(NOT_CANCELLED, ())


def _times(told: Told, begin: str, otherwise: str = NO_TIME) -> Said:
    """Return a few of the times in *told*, or *otherwise* if there are none."""
    found = [f"{day}, {clock}" for day, clock in FREE.findall(told.text)]
    shown = tuple(found[::STEP][:OFFERED])
    if not shown:
        return Said(otherwise, ())
    lines = "\n".join([begin, *(f"- {label}" for label in shown)])
    return Said(f"{lines}\n\n{ASK_TIME}", shown)


def dialogue_of(
    transcript: Sequence[Message], known_name: str | None
) -> Dialogue | None:
    """Return where the talk about a call stands; None when there is none."""
    since = _since_wanted(transcript)
    if since is None:
        return None
    offered = dict(_offered(since))
    said = [m for m in since if m.sender is Sender.CONTACT]
    picks = [(at, found) for at, m in enumerate(said) if (found := _pick(m, offered))]
    chosen_at, chosen = picks[-1] if picks else (len(said), None)
    reaches = [found for m in said if (found := _reach(_text(m)))]
    loose = [m for at, m in enumerate(said) if at > chosen_at or _reach(_text(m))]
    names = [*filter(None, map(_name, loose)), *filter(None, [name_told(said)])]
    return Dialogue(
        begins=_counts(said[0]),
        answered=any(
            _counts(m) and (_pick(m, offered) or _reach(_text(m)) or at > chosen_at)
            for at, m in enumerate(said)
            if _is_short(_text(m))
        ),
        chosen=(chosen, offered[chosen]) if chosen else None,
        name=names[-1] if names else known_name,
        reach=reaches[-1] if reaches else None,
    )


def _since_wanted(transcript: Sequence[Message]) -> Sequence[Message] | None:
    """Return the messages from the last wish for a call on, unless it is fulfilled."""
    for at in range(len(transcript) - 1, -1, -1):
        message = transcript[at]
        text = _text(message)
        if message.sender is Sender.BOT and (DONE in text or LINK in text):
            return None
        if message.sender is Sender.CONTACT and WANTED.search(text):
            return transcript[at:]
    return None


def _offered(since: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Yield the times in the bot's messages, each with its beginning (ISO 8601)."""
    for message in since:
        if message.sender is not Sender.BOT:
            continue
        shown = datetime.fromtimestamp(message.created_at, UTC)
        for found in LABEL.finditer(_text(message)):
            month = MONTHS.index(found[2].capitalize()) + 1
            year = shown.year + (month < shown.month)
            yield found[0], f"{year}-{month:02}-{int(found[1]):02}T{found[3]}"


def _pick(message: Message, offered: dict[str, str]) -> str | None:
    """Return the one of the times *offered* that a message names."""
    text = _text(message).casefold()
    if exact := [label for label in offered if label.casefold() in text]:
        return exact[-1]
    clocks = {f"{int(hour):02}:{minute}" for hour, minute in CLOCK.findall(text)}
    fitting = [label for label in offered if label[-5:] in clocks]
    if len(fitting) == 1:
        return fitting[0]
    newest = list(offered)[-OFFERED:]
    numbers = [n for n, word in enumerate(ORDINALS) if word in text.split()]
    return newest[numbers[0]] if numbers and numbers[0] < len(newest) else None


def _reach(text: str) -> str | None:
    """Return the email address or the phone number in *text*."""
    for word in LABEL.sub(" ", text).split():
        if EMAIL.fullmatch(address := word.strip(",;:<>().!?")):
            return address
    found = PHONE.search(LABEL.sub(" ", text))
    return found[0] if found else None


def _name(message: Message) -> str | None:
    """Return the name in a message that may hold little else."""
    text = LABEL.sub(" ", _text(message))
    if not _is_short(text):
        return None
    rest = " ".join(word for word in text.split() if "@" not in word)
    words = [w for w in WORD.findall(rest) if w.casefold() not in FILLERS | {*ORDINALS}]
    return " ".join(words) if 0 < len(words) <= MOST_NAMES else None


def _is_short(text: str) -> bool:
    """Return whether *text* may be nothing but what was asked for."""
    return "?" not in text and len(LABEL.sub(" ", text).split()) <= MOST_WORDS


def _counts(message: Message) -> bool:
    return message.sender is Sender.CONTACT and message.owed


def _text(message: Message) -> str:
    return (message.content or "")[:LOOKED_AT]
