"""What the tests of the core talk about: valid by default, changed by keyword."""

import copy
import json
from pathlib import Path

from chatwoot_bot.core import signature
from chatwoot_bot.core.conversation import Conversation, Message, Sender, State
from chatwoot_bot.responders.base import Assignment
from chatwoot_bot.tools.conversation import ESCALATE
from chatwoot_bot.tools.toolbox import Toolbox

DELIVERIES = Path(__file__).parent / "deliveries"
SECRET = "exampleBotSecret00000000"
NOW = 1_784_538_914.0


def message(content="Where is my order?", **changes):
    """A contact's message that waits for its answer."""
    defaults = {
        "id": 1,
        "sender": Sender.CONTACT,
        "content": content,
        "created_at": NOW,
        "owed": True,
    }
    return Message(**defaults | changes)


def conversation(**changes):
    """A conversation in Chatwoot that the bot holds."""
    defaults = {
        "id": "c_1",
        "channel": "chatwoot",
        "state": State.AI,
        "account_id": 1,
        "display_id": 150,
    }
    return Conversation(**defaults | changes)


class NoRecorder:
    """Stands for the record of effects where no tool has any."""

    async def read(self):
        return []


def assignment(transcript=None, *, tools=(ESCALATE,), recorder=None, **changes):
    """What a responder is asked, with the tools that every bot has."""
    transcript = [message()] if transcript is None else transcript
    toolbox = Toolbox(
        tools,
        recorder or NoRecorder(),
        conversation=conversation(),
        transcript=transcript,
        now=NOW,
    )
    return Assignment(
        transcript=transcript, conversation=conversation(), toolbox=toolbox, **changes
    )


def example(name):
    """The parsed body `tests/deliveries/<name>.json`, free to be changed."""
    return json.loads((DELIVERIES / f"{name}.json").read_text())


EXAMPLE = example("message_created__incoming_text_webwidget")


def delivery(conversation=None, **changes):
    """A visitor's message as Chatwoot sends it.

    Keywords replace top-level fields; those in *conversation* replace its fields.
    """
    payload = copy.deepcopy(EXAMPLE) | changes
    payload["conversation"] |= conversation or {}
    return payload


def compact(payload):
    """*payload* as Rails writes it: no spaces, and HTML characters escaped."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    for character in "&<>\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def signed(body, *, secret=SECRET, timestamp=int(NOW)):
    """The headers that Chatwoot sends with *body*."""
    digest = signature.sign(f"{timestamp}.".encode() + body, secret)
    return {
        "X-Chatwoot-Timestamp": str(timestamp),
        "X-Chatwoot-Signature": digest.decode(),
    }
