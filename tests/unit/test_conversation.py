"""Who holds a conversation: the table, and what Chatwoot's status says about it."""

import itertools

import pytest
from factories import conversation

from chatwoot_bot.core.conversation import (
    TRANSITIONS,
    State,
    Status,
    Trigger,
    first_state,
    next_state,
    status_trigger,
)

AI, WAITING, HUMAN = State.AI, State.HANDOVER_PENDING, State.HUMAN
OPEN, PENDING = Status.OPEN, Status.PENDING
SNOOZED, RESOLVED = Status.SNOOZED, Status.RESOLVED


def test_table_is_total():
    """A new state or trigger fails here until somebody decides every pair."""
    pairs = {
        (state, trigger) for state in TRANSITIONS for trigger in TRANSITIONS[state]
    }

    assert pairs == set(itertools.product(State, Trigger))


def test_request_for_a_human_takes_the_conversation_from_the_bot():
    """Whoever asks for a human is not answered by the bot any more."""
    assert next_state(AI, Trigger.HANDOVER_REQUESTED) is WAITING


def test_second_request_for_a_human_changes_nothing():
    """An impatient contact asks twice."""
    assert next_state(WAITING, Trigger.HANDOVER_REQUESTED) is WAITING


def test_late_handover_request_does_not_take_conversation_from_agent():
    """Chatwoot may deliver the request after the agent's reply."""
    state = next_state(AI, Trigger.AGENT_JOINED)

    assert next_state(state, Trigger.HANDOVER_REQUESTED) is HUMAN


@pytest.mark.parametrize("state", State)
def test_agent_can_always_step_in(state):
    """Humans always win."""
    assert next_state(state, Trigger.AGENT_JOINED) is HUMAN


@pytest.mark.parametrize("state", State)
def test_release_returns_to_ai_from_anywhere(state):
    """An operator can always switch the bot back on."""
    assert next_state(state, Trigger.RELEASED) is AI


@pytest.mark.parametrize("state", State)
def test_what_is_resolved_belongs_to_the_bot_again(state):
    """The next question is a new one, and nobody has taken it."""
    assert next_state(state, Trigger.RESOLVED) is AI


@pytest.mark.parametrize("state", State)
def test_returning_customer_is_answered_by_the_bot(state):
    """Chatwoot keeps the old assignee; that is not somebody who answers."""
    assert next_state(state, Trigger.REOPENED) is AI


@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("state", State)
def test_every_trigger_may_come_twice(state, trigger):
    """Chatwoot repeats deliveries."""
    once = next_state(state, trigger)

    assert next_state(once, trigger) is once


@pytest.mark.parametrize(
    ("known", "seen", "has_bot", "trigger"),
    [
        # From an inbox with an agent bot: pending is the bot's, open a human's.
        (PENDING, OPEN, True, Trigger.AGENT_JOINED),
        (PENDING, SNOOZED, True, Trigger.AGENT_JOINED),
        (PENDING, RESOLVED, True, Trigger.RESOLVED),
        (OPEN, PENDING, True, Trigger.RELEASED),
        (OPEN, SNOOZED, True, Trigger.AGENT_JOINED),
        (OPEN, RESOLVED, True, Trigger.RESOLVED),
        (SNOOZED, OPEN, True, Trigger.AGENT_JOINED),
        (SNOOZED, PENDING, True, Trigger.RELEASED),
        (SNOOZED, RESOLVED, True, Trigger.RESOLVED),
        (RESOLVED, PENDING, True, Trigger.REOPENED),
        (RESOLVED, OPEN, True, Trigger.AGENT_JOINED),
        (RESOLVED, SNOOZED, True, Trigger.AGENT_JOINED),
        # From an inbox without one: open is where everything starts.
        (OPEN, PENDING, False, Trigger.RELEASED),
        (OPEN, SNOOZED, False, Trigger.AGENT_JOINED),
        (OPEN, RESOLVED, False, Trigger.RESOLVED),
        (SNOOZED, OPEN, False, None),
        (SNOOZED, PENDING, False, Trigger.RELEASED),
        (SNOOZED, RESOLVED, False, Trigger.RESOLVED),
        (RESOLVED, OPEN, False, Trigger.REOPENED),
        (RESOLVED, PENDING, False, Trigger.REOPENED),
        (RESOLVED, SNOOZED, False, Trigger.AGENT_JOINED),
    ],
)
def test_a_changed_status_says_what_happened(known, seen, has_bot, trigger):
    """What an agent does in Chatwoot reaches the bot as a status."""
    before = conversation(status=known, began_pending=has_bot, ever_pending=has_bot)

    assert status_trigger(before, seen) is trigger


@pytest.mark.parametrize(
    ("known", "seen", "trigger"),
    [
        (PENDING, OPEN, Trigger.AGENT_JOINED),
        (RESOLVED, OPEN, Trigger.REOPENED),
    ],
)
def test_what_a_plain_inbox_gave_to_the_bot_once(known, seen, trigger):
    """Who opens it takes it back; who returns after a resolve comes as ever."""
    before = conversation(status=known, began_pending=False, ever_pending=True)

    assert status_trigger(before, seen) is trigger


@pytest.mark.parametrize("ever_pending", [True, False])
@pytest.mark.parametrize("status", Status)
def test_the_same_status_again_says_nothing(status, ever_pending):
    """A payload that still says pending does not undo an agent's reply."""
    before = conversation(status=status, state=HUMAN, ever_pending=ever_pending)

    assert status_trigger(before, status) is None


@pytest.mark.parametrize("seen", Status)
def test_the_first_status_is_no_change(seen):
    """Who holds a conversation at first sight is `first_state`'s business."""
    assert status_trigger(conversation(status=None), seen) is None


def test_the_status_that_we_asked_for_is_no_news():
    """The bot's own handoff must not look like an agent who joined."""
    handing_over = conversation(status=PENDING, wanted_status=OPEN, ever_pending=True)

    assert status_trigger(handing_over, OPEN) is None
    assert status_trigger(handing_over, RESOLVED) is Trigger.RESOLVED


@pytest.mark.parametrize(
    ("status", "agent_replied", "inbox_has_bot", "state"),
    [
        (PENDING, False, True, AI),
        (PENDING, False, False, AI),
        # A returning customer: the reply is an earlier conversation's.
        (PENDING, True, True, AI),
        (PENDING, True, False, AI),
        (OPEN, False, False, AI),
        (OPEN, True, False, HUMAN),
        (OPEN, False, True, HUMAN),
        (OPEN, True, True, HUMAN),
        (SNOOZED, False, False, HUMAN),
        (SNOOZED, True, True, HUMAN),
        (RESOLVED, False, False, AI),
        (RESOLVED, True, True, AI),
        # The smallest body of the demo has no conversation at all.
        (None, False, False, AI),
        (None, True, True, AI),
    ],
)
def test_first_sight(status, agent_replied, inbox_has_bot, state):
    """The bot is switched on in the middle of other people's conversations."""
    seen = first_state(status, agent_replied=agent_replied, inbox_has_bot=inbox_has_bot)

    assert seen is state
