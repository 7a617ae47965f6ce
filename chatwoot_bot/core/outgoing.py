"""What a channel can carry: how long a message may be, and options to choose from.

Chatwoot's API takes more than its channels do; the channel then rejects what has been
"sent". So a reply is made to fit before it is kept. Channels are Chatwoot's classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from .notes import Say
from .splitting import size, split

# One class, two channels; told apart by the contact's address (`core.events`).
TWILIO_WHATSAPP = "Channel::TwilioSms whatsapp"

# Characters. Chatwoot's dashboard keeps agents to these
# (docs/chatwoot/api.md#create-message).
LIMITS = {
    "Channel::Whatsapp": 4_096,
    "Channel::Telegram": 4_096,
    "Channel::FacebookPage": 2_000,
    "Channel::Instagram": 1_000,
    "Channel::Line": 2_000,
    "Channel::Tiktok": 6_000,
    "Channel::TwilioSms": 320,
    TWILIO_WHATSAPP: 1_600,
    "Channel::Sms": 160,
    "Channel::Email": 25_000,
}
GENERAL_LIMIT = 10_000


class Option(NamedTuple):
    """One of the answers that a contact may choose.

    Attributes:
        title: what the contact sees and, in our transcript, says; not blank.
        value: Chatwoot's own field; the title when empty.
    """

    title: str
    value: str = ""


class Part(NamedTuple):
    """One message of a reply; options go with the last one."""

    text: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """How many options a channel shows, and how long they may be.

    Chatwoot passes them on as they are, so one too long loses the whole message.

    Attributes:
        titles: characters of a title, `values`: bytes of a value.
        text: characters of the text above them; the channel's limit when None.
        says_value: the answer comes as the value, so that is the title there.
    """

    count: float = inf
    titles: float = inf
    values: float = inf
    text: int | None = None
    says_value: bool = False


# Other channels show only the text
# (docs/chatwoot/api.md#create-message). The numbers are the vendors':
# WhatsApp's interactive messages (three buttons, else a list, of which buttons have
# the shorter titles), Messenger's quick replies, Telegram's callback_data, and LINE's
# message action and altText.
MENUS = {
    "web": Menu(),
    "Channel::WebWidget": Menu(),
    "Channel::Whatsapp": Menu(count=10, titles=20, values=200, text=1_024),
    "Channel::FacebookPage": Menu(count=13, titles=20, values=1_000),
    "Channel::Telegram": Menu(count=100, values=64, says_value=True),
    "Channel::Line": Menu(count=10, titles=20, values=300, text=400, says_value=True),
}


def compose(text: str, options: Sequence[Option], channel: str | None) -> list[Part]:
    """Return the messages that say *text* on a channel, in order.

    Where the channel has no such thing, or not for these, options are lines of text.

    Args:
        channel: Chatwoot's class, or ``web`` for our own page; None when unknown.
    """
    menu = MENUS.get(channel or "")
    shown = _shown(options, menu) if menu is not None else ()
    if not shown:
        text = with_lines(text, options)
    parts = split(text, LIMITS.get(channel or "", GENERAL_LIMIT))
    if shown and menu is not None and menu.text is not None:
        parts[-1:] = split(parts[-1], menu.text)
    return [*map(Part, parts[:-1]), Part(parts[-1], shown)]


def _shown(options: Sequence[Option], menu: Menu) -> tuple[Option, ...]:
    """Return *options* as the menu takes them; none when it does not take them all."""
    titles = [option.title for option in options]
    shown = tuple(
        Option(title, title if menu.says_value else value or title)
        for title, value in options
    )
    fits = (
        len(shown) <= menu.count
        and len(set(titles)) == len(titles)
        and all(size(title) <= menu.titles for title in titles)
        and all(len(option.value.encode()) <= menu.values for option in shown)
    )
    return shown if fits else ()


def with_lines(text: str, options: Sequence[Option]) -> str:
    """Return *text* with a numbered line for each option, unless it names them all."""
    if all(_names(text, option.title) for option in options):
        return text
    lines = [f"{number}. {title}" for number, (title, _) in enumerate(options, 1)]
    return "\n".join((f"{text.rstrip()}\n", *lines))


def _names(text: str, title: str) -> bool:
    """Return whether *title* stands in *text* as whole words, in any case."""
    wanted, there = title.casefold(), text.casefold()
    at = there.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        around = there[max(at - 1, 0) : at] + there[end : end + 1]
        if not any(each.isalnum() or each == "_" for each in around):
            return True
        at = there.find(wanted, at + 1)
    return False


# Chatwoot's class -> the name that agents know.
NAMES = {
    "Channel::Whatsapp": "WhatsApp",
    "Channel::FacebookPage": "Facebook",
    "Channel::Instagram": "Instagram",
    "Channel::Telegram": "Telegram",
    "Channel::Line": "LINE",
    "Channel::Tiktok": "TikTok",
    "Channel::TwilioSms": "SMS",
    TWILIO_WHATSAPP: "WhatsApp",
    "Channel::Sms": "SMS",
}
CLOSED = "{channel} accepts no reply to this contact now. The bot's reply was:"
CLOSED_CHANNEL = (
    "The channel accepts no reply to this contact now. The bot's reply was:"
)
LATE = "WhatsApp takes replies only within 24 hours of the contact's last message."


def note_instead(text: str, channel: str | None = None, say: Say = str) -> str:
    """Return the private note that agents get when *text* cannot be said.

    Args:
        channel: Chatwoot's class; None when unknown.
    """
    name = NAMES.get(channel or "")
    closed = say(CLOSED).format(channel=name) if name else say(CLOSED_CHANNEL)
    hint = f"\n\n{say(LATE)}" if name == "WhatsApp" else ""
    return f"{closed}\n\n{text}{hint}"
