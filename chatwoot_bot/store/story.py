"""One conversation while arrivals change it: the rules, in memory.

Control events take effect at once; a contact's message only makes the conversation
due. Nothing is written here but what silences the bot; `accept` writes the rest.
"""

from dataclasses import replace
from operator import itemgetter
from typing import Any, Protocol

import sqlalchemy as sa

from ..core.attachments import dump
from ..core.context import loaded, named_attributes
from ..core.conversation import (
    Conversation,
    Message,
    Sender,
    State,
    Status,
    Trigger,
    looks_pending,
    next_state,
    status_to_tell,
    status_trigger,
)
from ..core.decision import MAIL_CHANNEL, Decision, Route, decide
from ..core.events import UPDATES, Event, Kind, Said, Sighting
from ..core.mail import fingerprint
from ..core.rules import marks
from ..core.updates import reaction
from . import memory, ownership, remote, stranded, unanswered, unheard
from .arrivals import MAX_RESTARTS, Accepted, Arrival, Rules
from .conversations import drop_unsent, forget_owed, has_unsaid
from .deliveries import Outcome
from .effects import settle
from .schema import messages, replies
from .states import note_change

Key = tuple[Any, ...]
# The same mail again is a machine's, if it is longer than this.
LOOP_CHARACTERS = 20
LOOP_MAILS = 10
NO_QUESTIONS = frozenset(
    (Kind.UNSUPPORTED, Kind.REACTION, Kind.EMPTY, Kind.MACHINE_MESSAGE)
)


class Recorder(Protocol):
    """What stores a contact's message: as a new one, or in the place of another."""

    def __call__(
        self, arrival: Arrival, said: Said, result: Accepted, *, owed: bool = False
    ) -> None:
        """Store it."""


def key_of(conversation: Conversation, said: Said) -> Key | None:
    """Return what a message is known by: Chatwoot's id, or its sender's own.

    Without a conversation in the body (the demo's curl) an id says nothing.
    """
    if said.external_id is not None and conversation.account_id is not None:
        return conversation.account_id, said.external_id
    return (conversation.id, said.client_id) if said.client_id else None


def at_first_sight(seen: Sighting) -> dict[str, Any]:
    """Return what is noted when Chatwoot shows a conversation for the first time."""
    return {
        # One that a bot owns has been opened since.
        "began_pending": seen.status is Status.PENDING or bool(seen.bot_owner),
        "agent_replied": seen.agent_replied,
    }


class Story:
    """One conversation while arrivals change it; written once, by `close_stories`."""

    def __init__(
        self,
        tx: sa.Connection,
        rules: Rules,
        conversation: Conversation,
        *,
        human_mode: bool,
    ) -> None:
        self.tx = tx
        self.rules = rules
        self.now = conversation
        self.human_mode = human_mode
        self.new_messages: list[tuple[dict[str, Any], Accepted]] = []
        self.changed = False
        self.active_at: float | None = None
        self.at = 0.0  # of the arrival that is taking effect, Unix seconds

    def take(self, arrival: Arrival, result: Accepted, known: set[Key]) -> None:
        """Let one arrival take effect, and say in *result* what follows."""
        event = arrival.event
        self.at = arrival.received_at
        before = self.now.state, self.now.due_at
        if event.conversation is not None:
            # The first conversations may date from before Chatwoot was configured.
            self.now.channel = arrival.channel
            self._take_inbox(event)
            self._take_channel(event.conversation)
            self.take_status(event.conversation, arrival.received_at, result)
            self._take_marks(event.conversation)
            unheard.heed_first_reply(self, event.conversation, arrival, result)
            self._take_contact(event.conversation)
            remote.heed_assignment(self, event.conversation, arrival, result)
            remote.heed_switch(self, event.conversation, arrival, result)
            stranded.heed_owner(self, event.conversation)
        new = event.kind is not Kind.OTHER and event.kind not in UPDATES
        if event.message is not None and new:
            key = key_of(self.now, event.message)
            if key is None or key not in known:
                self._take_message(arrival, event.message, result)
            elif event.kind is not Kind.BOT_MESSAGE:
                result.outcome = Outcome.DUPLICATE
            elif event.message.reply_key is not None:
                # The answer to our request was faster than its echo.
                remote.note_own_bot(self, event.message)
            if key is not None:
                known.add(key)
        ownership.heed_owner(self, event, arrival.received_at)
        self.finish(before, arrival, result)

    def finish(
        self,
        before: tuple[State, float | None],
        arrival: Arrival,
        result: Accepted,
    ) -> None:
        """Number the change, and pass on what the worker must know.

        Args:
            before: the state and `due_at` that the arrival has met.
        """
        state, due_at = before
        if result.changed:
            self.active_at = arrival.received_at
        if result.decision is not None or result.interrupts is not None:
            # A turn need not know of its own echo, or of a template.
            self.change(version=self.now.version + 1)
        if self.now.leased:
            # Then due_at is the end of the lease; its holder sets the next.
            self.now.due_at = due_at
        else:
            result.due_at = self.now.due_at
        result.conversation_id = self.now.id
        result.version = self.now.version
        result.changed = result.changed or self.now.state != state

    def change(self, **values: Any) -> None:
        """Change the conversation; `close_stories` writes it."""
        for name, value in values.items():
            setattr(self.now, name, value)
        self.changed = True

    def trigger(
        self,
        trigger: Trigger,
        result: Accepted,
        *,
        reason: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Move the state; when the bot may no longer speak, forget what it owed.

        Args:
            reason: see `states.note_change`; the trigger itself when it says enough.
        """
        state = next_state(self.now.state, trigger)
        why = reason or str(trigger)
        if state is not self.now.state:
            result.moved = state, why
        if state is not self.now.state or trigger is Trigger.RESOLVED:
            note_change(
                self.tx, self.now.id, state, reason=why, now=self.at, detail=detail
            )
        if self.now.state is State.HANDOVER_PENDING:
            self.change(touched=True)  # the bot has promised a human
        self.change(state=state, hushed=False)
        if state is not State.AI or trigger is Trigger.RESOLVED:
            self._fall_silent()
            result.interrupts = str(trigger)
        if trigger is Trigger.RESOLVED:
            self._close()
            self.change(closed_at=self.now.status_at)
            # What silenced the bot is asked again when the contact comes back.
            self.change(switch=None)
        if trigger in (Trigger.RELEASED, Trigger.REOPENED, Trigger.RESOLVED):
            given = trigger is Trigger.RELEASED and reason != stranded.TAKEN_BACK
            self.change(held_at=self.now.status_at, released=given, bot_turns=0)
            self.change(touched=False, stranded_at=None)
            ownership.drop_release(self)
        if trigger is Trigger.RELEASED:
            unanswered.owe(self, result, handed_back=reason != stranded.TAKEN_BACK)

    def _fall_silent(self) -> None:
        for row, _ in self.new_messages:
            row["owed"] = False
        forget_owed(self.tx, self.now.id)
        drop_unsent(self.tx, self.now.id)
        settle(self.tx, self.now.id)
        # Notes are said all the same, and a status may have to be told.
        left = has_unsaid(self.tx, self.now.id) or self.now.wanted_status is not None
        self.change(
            owed_since=None,
            due_at=self.now.due_at if left else None,
            bot_turns=0,
            spent=0.0,
        )

    def _close(self) -> None:
        """Draw a line under what has been said: what comes next is a new request."""
        if self.rules.serving(self.now.inbox).remembers:
            self.change(due_at=self.at)  # a turn sums it up
        elif self.now.summary is not None:
            memory.forget(self.tx, self.now.id)
        if self.new_messages:
            self.new_messages[-1][0]["closes"] = True
        else:
            self.tx.execute(_CLOSE, {"conversation": self.now.id})

    def _take_channel(self, seen: Sighting) -> None:
        """Note what carries a reply, and whether it still would."""
        if seen.channel not in (None, self.now.chatwoot_channel):
            self.change(chatwoot_channel=seen.channel)
        older = 0 < seen.updated_at < self.now.status_at
        if seen.can_reply not in (None, self.now.can_reply) and not older:
            self.change(can_reply=seen.can_reply)

    def _take_inbox(self, event: Event) -> None:
        """Note the inbox, which one that an operator named first does not show."""
        if event.inbox_id not in (None, self.now.inbox_id):
            self.change(inbox_id=event.inbox_id)

    def _take_marks(self, seen: Sighting) -> None:
        """Note what the bot's rules heed of labels and attributes."""
        rules = self.rules.serving(self.now.inbox).policy.rules
        older = 0 < seen.updated_at < self.now.status_at
        if not rules or seen.labels is None or older:
            return
        shown = seen.attributes, seen.contact_attributes
        new = marks(rules, seen.labels, *shown, addresses=seen.addresses)
        if new != self.now.marks:
            self.change(marks=new)

    def _take_contact(self, seen: Sighting) -> None:
        """Note who writes, and what the operator lets the model know of them."""
        older = 0 < seen.updated_at < self.now.status_at
        if older:
            return
        if seen.contact not in (None, self.now.contact):
            self.change(contact=seen.contact)
        if seen.contact_name not in (None, self.now.contact_name):
            self.change(contact_name=seen.contact_name)
        named = self.rules.serving(self.now.inbox).attributes
        of_contact = seen.contact_attributes
        if named and (of_contact is not None or seen.attributes is not None):
            if of_contact is None:
                # Not shown: what is known of the contact stays above the other's.
                of_contact = loaded(self.now.attributes)
            known = named_attributes(named, of_contact, seen.attributes)
            if known != self.now.attributes:
                self.change(attributes=known)

    def take_status(self, seen: Sighting, now: float, result: Accepted) -> None:
        """Believe the status in a payload, unless a newer one has been seen."""
        if seen.status is None or (
            seen.updated_at and seen.updated_at < self.now.status_at
        ):
            return
        if self._is_overtaken(seen.status):
            return
        trigger = status_trigger(self.now, seen.status)
        first = self.now.status is None
        self._note_status(seen.status, seen.updated_at, decided=trigger is not None)
        if first:
            self.change(**at_first_sight(seen))
        if trigger is not None:
            self.trigger(trigger, result)
        if first and self.now.state is State.HUMAN:
            # An operator gave it to humans before it appeared; they must see it.
            self.show_to_humans(now)

    def _note_status(self, seen: Status, at: float, *, decided: bool) -> None:
        """Note a status that Chatwoot has shown.

        Args:
            at: Chatwoot's clock; 0 when it does not say.
            decided: by somebody else than us.
        """
        wanted, told = self.now.wanted_status, self.now.told_status
        over_again = self._is_over_again(seen)
        self.change(
            status=seen,
            status_at=max(at, self.now.status_at),
            ever_pending=self.now.ever_pending or seen is Status.PENDING,
            # Either Chatwoot has done what we asked, or somebody decided otherwise.
            wanted_status=None if decided or seen is wanted else wanted,
            told_status=None if seen is told else told,
        )
        if over_again:
            self.change(held_at=self.now.status_at, closed_at=self.now.status_at)

    def _is_over_again(self, seen: Status) -> bool:
        """Return whether it is resolved still, or has been opened and resolved since.

        Either way nobody owes an answer to what was written before. Of a resolve of
        ours, `held_at` is older: who writes while we resolve is answered.
        """
        resolved = seen is Status.RESOLVED is self.now.status
        return resolved and self.now.held_at == self.now.status_at

    def _is_overtaken(self, seen: Status) -> bool:
        """Return whether it is a resolve of ours, and the contact was faster.

        Then they are answered, and the conversation is opened again.
        """
        ours = seen is Status.RESOLVED is self.now.told_status
        if not ours or self.now.owed_since is None or self.now.status is None:
            return False
        self.change(wanted_status=status_to_tell(self.now, self.now.status))
        return True

    def _take_message(self, arrival: Arrival, said: Said, result: Accepted) -> None:
        """Record a new message, and let it mean what it means."""
        match arrival.event.kind:
            case Kind.CONTACT_MESSAGE:
                self.take_question(arrival, said, result)
            case kind if kind in NO_QUESTIONS:
                self._take_other(arrival, said, result)
            case Kind.AGENT_NOTE:
                remote.obey(self, arrival, said, result)
            case Kind.AGENT_REPLY:
                self.change(agent_replied=True)
                self._take_reply(arrival, said, result)
            case _:
                if said.reply_key is not None:
                    self._confirm_reply(arrival, said)
                    remote.note_own_bot(self, said)
                if not said.private:
                    self._record(arrival, said, result)

    def _take_reply(self, arrival: Arrival, said: Said, result: Accepted) -> None:
        """Fall silent, unless an agent has only mistaken the contact for a note."""
        if remote.is_misplaced(self, said):
            self._record(arrival, replace(said, sender=Sender.SYSTEM), result)
            remote.tell_misplaced(self, arrival, said, result)
            return
        self._record(arrival, said, result)
        if not self._is_history(arrival):
            self.agent_joined(arrival, result)

    def agent_joined(self, arrival: Arrival, result: Accepted) -> None:
        """Fall silent, and see that Chatwoot shows the conversation as open."""
        self.trigger(Trigger.AGENT_JOINED, result)
        self.change(touched=True)
        self.show_to_humans(arrival.received_at)

    def show_to_humans(self, now: float) -> None:
        """Have a pending conversation opened: pending, the team does not see it."""
        if looks_pending(self.now) or self.now.wanted_status is Status.RESOLVED:
            self.want_status(Status.OPEN, now)

    def want_status(self, status: Status, now: float) -> None:
        """Have the worker tell Chatwoot, as soon as it can."""
        self.change(wanted_status=status_to_tell(self.now, status), due_at=now)

    def _is_history(self, arrival: Arrival) -> bool:
        """Return whether it dates from before the bot got the conversation."""
        seen = arrival.event.conversation
        return seen is not None and 0 < seen.updated_at < self.now.held_at

    def take_question(
        self,
        arrival: Arrival,
        said: Said,
        result: Accepted,
        record: Recorder | None = None,
    ) -> None:
        """Take a contact's message, and let it be answered by whoever is to.

        Args:
            record: stores it, if it is no new one.
        """
        result.outcome = Outcome.ACCEPTED
        self._come_back(arrival, result)
        result.decision = self._decide(arrival, said)
        if result.decision.route is Route.BOT and self._is_mail_loop(said):
            result.decision = Decision(Route.IGNORE, "mail_loop")
            self.show_to_humans(arrival.received_at)
        if self.human_mode:
            self._wait_for_human(arrival, result)
        elif result.decision.route is Route.BOT and self._was_shown_to_humans():
            self.want_status(Status.PENDING, arrival.received_at)
        owed = result.decision.route in (Route.BOT, Route.HANDOVER)
        (record or self._record)(arrival, said, result, owed=owed)
        if owed:
            self._make_due(arrival, result)

    def _wait_for_human(self, arrival: Arrival, result: Accepted) -> None:
        """Put it into the humans' queue: the bot answers nobody in human mode."""
        if self.now.state is State.AI and self.now.status is not Status.RESOLVED:
            self.trigger(Trigger.HANDOVER_REQUESTED, result, reason="human_mode")
        self.show_to_humans(arrival.received_at)

    def _come_back(self, arrival: Arrival, result: Accepted) -> None:
        """Believe a contact's message that the conversation is resolved no more.

        Chatwoot reopens it before it tells of the message. Of a resolve that we have
        told ourselves we know the time to a second or two, and the message may seem
        to be older.
        """
        seen = arrival.event.conversation
        if seen is None or seen.status not in (Status.PENDING, Status.OPEN):
            return
        if self.now.status is not Status.RESOLVED or self._is_history(arrival):
            return
        trigger = status_trigger(self.now, seen.status)
        if seen.updated_at < self.now.status_at:
            # Perhaps they wrote before it was resolved, and its event is still to come.
            self.change(told_status=Status.RESOLVED, wanted_status=seen.status)
        self.change(status=seen.status, status_at=seen.updated_at)
        if trigger is not None:
            self.trigger(trigger, result)

    def _was_shown_to_humans(self) -> bool:
        """Return whether it is open for no other reason than human mode for all."""
        shown = self.now.wanted_status or self.now.status
        return self.now.began_pending and shown is Status.OPEN

    def _take_unsupported(self, arrival: Arrival, said: Said, result: Accepted) -> None:
        """Ignore what nobody can read here, unless a rule calls a human for it."""
        if self._decide(arrival, said).reason in ("unsupported", "operator_rule"):
            self.take_question(arrival, said, result)

    def _take_other(self, arrival: Arrival, said: Said, result: Accepted) -> None:
        """Take what comes from a contact and asks nothing, or not yet."""
        match arrival.event.kind:
            case Kind.UNSUPPORTED:
                self._take_unsupported(arrival, said, result)
            case Kind.REACTION:
                self._take_reaction(arrival, said, result)
            case Kind.EMPTY:
                # An update brings its content; see `updates`.
                self._record(arrival, said, result)
            case _:
                # A machine's mail: an answer would find nobody, or another machine.
                # As a contact's it would get one when the bot is given it back.
                self._record(arrival, replace(said, sender=Sender.SYSTEM), result)
                self.show_to_humans(arrival.received_at)

    def _take_reaction(self, arrival: Arrival, said: Said, result: Accepted) -> None:
        """Show the model a contact's reaction, if it is to answer anyway."""
        if self.now.owed_since is None:
            return
        named = {"account": self.now.account_id, "external": said.reacts_to}
        to = self.tx.execute(_SAID, named).scalar()
        line = reaction(said.content, to or "")
        self._record(arrival, replace(said, content=line), result)

    def _decide(self, arrival: Arrival, said: Said) -> Decision:
        question = Message(
            id=0,
            sender=Sender.CONTACT,
            content=said.content,
            created_at=arrival.received_at,
            attachments=said.attachments,
        )
        return decide(
            [question],
            self.now,
            human_mode=self.human_mode,
            policy=self.rules.serving(self.now.inbox).policy,
        )

    def _is_mail_loop(self, said: Said) -> bool:
        """Return whether it is the same mail again, as machines answer an answer."""
        if self.now.chatwoot_channel != MAIL_CHANNEL:
            return False
        mine = fingerprint(said.content)
        if len(mine) < LOOP_CHARACTERS:
            return False  # "hello?" may be asked twice
        earlier = self.tx.execute(_SAID_BEFORE, {"conversation": self.now.id})
        before = [row["content"] for row, _ in self.new_messages]
        before += earlier.scalars()
        return any(fingerprint(text) == mine for text in before if text)

    def _make_due(self, arrival: Arrival, result: Accepted) -> None:
        now = arrival.received_at
        owed_since = self.now.owed_since or now
        due_at = self.rules.due_at(last=now, owed_since=owed_since)
        self.change(owed_since=owed_since, due_at=now if arrival.inline else due_at)
        if self.now.leased and self.now.restarts < MAX_RESTARTS:
            result.interrupts = "superseded"

    def _record(
        self, arrival: Arrival, said: Said, result: Accepted, *, owed: bool = False
    ) -> None:
        row = self.row(arrival, said, owed=owed)
        if said.external_id is not None and self._is_of_closed_request(arrival, said):
            self._put_above_the_line(row)
        self.new_messages.append((row, result))
        result.changed = True

    def _is_of_closed_request(self, arrival: Arrival, said: Said) -> bool:
        """Return whether it was said before the last resolve, and delivered late.

        A contact's message reopens a conversation, and an event that shows so may
        overtake it; what others say there reopens nothing.
        """
        if said.sender is not Sender.CONTACT:
            return self._is_history(arrival)
        seen = arrival.event.conversation
        return seen is not None and 0 < seen.updated_at < self.now.closed_at

    def _put_above_the_line(self, row: dict[str, Any]) -> None:
        """Move the line under a resolved request below what was only delivered late."""
        place = row["external_id"]
        mine = {"conversation": self.now.id, "place": place}
        before = self.tx.execute(_BEFORE, mine).mappings().first()
        new = [
            each for each, _ in self.new_messages if (each["external_id"] or 0) < place
        ]
        newest = max(new, key=itemgetter("external_id"), default=None)
        if newest and (not before or newest["external_id"] > before["place"]):
            row["closes"], newest["closes"] = newest["closes"], False
        elif before and before["closes"]:
            row["closes"] = True
            self.tx.execute(_REOPEN, {"row": before["id"]})

    def row(self, arrival: Arrival, said: Said, *, owed: bool) -> dict[str, Any]:
        """Return the message as a new row; all rows have the same columns."""
        return {
            "conversation_id": self.now.id,
            "account_id": self.now.account_id if said.external_id else None,
            "external_id": said.external_id or self._place(said),
            "client_id": said.client_id,
            "sender": said.sender,
            "content": said.content,
            "attachments": dump(said.attachments),
            "owed": owed,
            "owed_at": None,
            "closes": False,
            "turn_id": said.reply_key.split(".")[0] if said.reply_key else None,
            "created_at": arrival.received_at,
            "deleted_at": None,
        }

    def _place(self, said: Said) -> int | None:
        """Return where a contact's choice stands among Chatwoot's messages: last.

        It has no id of its own, and the message with the options may be long ago.
        """
        if said.submitted_to is None:
            return None
        mine = {"conversation": self.now.id}
        newest = self.tx.execute(_LAST_PLACE, mine).scalar() or 0
        new = [row["external_id"] or 0 for row, _ in self.new_messages]
        return max(said.submitted_to, newest, *new)

    def _confirm_reply(self, arrival: Arrival, said: Said) -> None:
        """Note that our own message has come back: it is said."""
        found = {"reply": said.reply_key, "external": said.external_id}
        confirmed = self.tx.execute(_CONFIRM, found).rowcount
        if confirmed:
            self.change(due_at=arrival.received_at)


_SAID = sa.select(messages.c.content).where(
    messages.c.account_id == sa.bindparam("account"),
    messages.c.external_id == sa.bindparam("external"),
)
_SAID_BEFORE = (
    sa.select(messages.c.content)
    .where(
        messages.c.conversation_id == sa.bindparam("conversation"),
        messages.c.sender == Sender.CONTACT,
    )
    .order_by(messages.c.id.desc())
    .limit(LOOP_MAILS)
)
_PLACE = sa.func.coalesce(messages.c.external_id, messages.c.id)
_LAST_PLACE = sa.select(sa.func.max(messages.c.external_id)).where(
    messages.c.conversation_id == sa.bindparam("conversation")
)
_NEWEST = (
    sa.select(messages.c.id)
    .where(messages.c.conversation_id == sa.bindparam("conversation"))
    .order_by(_PLACE.desc())
    .limit(1)
)
_BEFORE = (
    sa.select(messages.c.id, _PLACE.label("place"), messages.c.closes)
    .where(
        messages.c.conversation_id == sa.bindparam("conversation"),
        sa.bindparam("place") > _PLACE,
    )
    .order_by(_PLACE.desc())
    .limit(1)
)
_REOPEN = (
    sa.update(messages)
    .where(messages.c.id == sa.bindparam("row"))
    .values(closes=sa.false())
)
_CLOSE = (
    sa.update(messages)
    .where(messages.c.id == _NEWEST.scalar_subquery())
    .values(closes=sa.true())
)
_CONFIRM = (
    sa.update(replies)
    .where(
        replies.c.key == sa.bindparam("reply"),
        replies.c.state.in_(("open", "dropped")),
    )
    .values(state="delivered", external_id=sa.bindparam("external"))
)
