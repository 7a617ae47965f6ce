"""Whose a conversation has become: read from what changed, never from what is shown.

`tests/assignments` holds bodies recorded from Chatwoot 4.16.2 and from its development
branch of August 2026, about 4.17.
"""

import json
from pathlib import Path

import pytest

from chatwoot_bot.core.assignments import Assigned
from chatwoot_bot.core.events import parse

RECORDED = Path(__file__).parents[1] / "assignments"
RELEASES = ("4.16.2", "2026-08-develop")


def recorded(release, name):
    return json.loads((RECORDED / release / f"{name}.json").read_text())


def assigned(body):
    return parse(json.dumps(body).encode()).conversation.assigned


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conversation_updated__assigned_to_human", Assigned(agent=2)),
        ("conversation_updated__assigned_to_bot", Assigned(bot=1)),
        # Each of these shows who is assigned, and says nothing new about it.
        ("conversation_updated__first_human_reply", None),
        ("conversation_updated__status_handoff", None),
        ("conversation_updated__resolved_to_pending", None),
        ("conversation_updated__labels", None),
        ("message_created__incoming_after_reopen", None),
    ],
)
def test_only_a_change_of_assignee_is_an_assignment(release, name, expected):
    """Chatwoot keeps the old assignee of a customer who comes back."""
    assert assigned(recorded(release, name)) == expected


def changed(**changes):
    body = recorded("4.16.2", "conversation_updated__assigned_to_human")
    body["changed_attributes"] = [
        {name: {"previous_value": before, "current_value": after}}
        for name, (before, after) in changes.items()
    ]
    return body


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"assignee_id": (7, 2)}, Assigned(agent=2, replaces=True)),
        ({"assignee_id": (2, None)}, None),
        (
            {"assignee_id": (2, None), "assignee_agent_bot_id": (None, 1)},
            Assigned(bot=1),
        ),
        ({"assignee_agent_bot_id": (1, None)}, None),
        # Since 4.18 the owner may be of several kinds.
        (
            {"ai_assignee_id": (None, 1), "ai_assignee_type": (None, "AgentBot")},
            Assigned(bot=1),
        ),
        (
            {
                "ai_assignee_id": (None, 1),
                "ai_assignee_type": (None, "Captain::Assistant"),
            },
            None,
        ),
        # Some releases tell of a new conversation as a change of everything.
        ({"id": (None, 6), "assignee_id": (None, 2)}, None),
        ({"id": (None, 6), "assignee_agent_bot_id": (None, 1)}, None),
    ],
    ids=str,
)
def test_changes_of_the_assignee(changes, expected):
    assert assigned(changed(**changes)) == expected


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {},
        "assignee_id",
        [None, 1, "assignee_id", []],
        [{"assignee_id": None}],
        [{"assignee_id": {"current_value": "2"}}],
        [{"assignee_id": {"current_value": True}}],
        [{"assignee_id": {"current_value": -1}}],
        [{"assignee_id": {"current_value": 2**70}}],
        [{"assignee_id": {"current_value": [2]}}],
    ],
    ids=str,
)
def test_changes_of_an_unknown_form_are_no_assignment(odd):
    """A delivery is not refused for them: its status may matter."""
    body = changed()
    body["changed_attributes"] = odd

    assert assigned(body) is None
