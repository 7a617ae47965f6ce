"""Operators' rules: when a human is called without asking the model."""

from datetime import UTC, datetime

import pytest
from factories import conversation, message

from chatwoot_bot.core.conversation import Attachment, State
from chatwoot_bot.core.decision import Decision, Policy, Route, decide
from chatwoot_bot.core.hours import parse_hours
from chatwoot_bot.core.phrases import holds_any
from chatwoot_bot.core.rules import (
    Rule,
    When,
    attribute_mark,
    contact_mark,
    label_mark,
    left_alone,
    marks,
)

HOURS = parse_hours("Mon-Fri 09:00-17:00", "UTC")
FRIDAY = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
SATURDAY = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
ODD = Attachment(kind="unsupported", line="[a message of unknown form]")
VIP = label_mark("vip")
STAFF = contact_mark("*@example.com")


def called(rule, *messages, **state):
    """Return the decision for a bot with this one rule."""
    policy = Policy(rules=(Rule(because="x", **rule),), hours=HOURS)
    return decide(
        messages or [message()],
        conversation(**state),
        human_mode=False,
        policy=policy,
    )


@pytest.mark.parametrize(
    ("rule", "messages", "state", "calls"),
    [
        ({"says": ("refund*",)}, ["Two REFUNDS please"], {}, True),
        ({"says": ("refund*",)}, ["prerefund"], {}, False),
        ({"says": ("refund",)}, ["refunds"], {}, False),
        ({"says": ("refund*", "sue you")}, ["hi", "I sue  you", "ok"], {}, True),
        ({"labels": (VIP,)}, ["hi"], {"marks": VIP}, True),
        ({"labels": (VIP, label_mark("press"))}, ["hi"], {"marks": VIP}, True),
        ({"labels": (VIP,)}, ["hi"], {}, False),
        ({"labels": (VIP,), "says": ("refund",)}, ["hi"], {"marks": VIP}, False),
        ({"labels": (VIP,), "says": ("refund",)}, ["refund"], {"marks": VIP}, True),
        ({"attributes": ("attribute a=1",)}, ["hi"], {"marks": VIP}, False),
        ({"first_message": True}, ["hi"], {}, True),
        ({"first_message": True}, ["hi"], {"bot_turns": 1}, False),
        ({"unsupported": True}, ["hi"], {}, False),
        ({}, ["hi"], {}, True),
    ],
)
def test_rule_fits_where_all_that_it_names_holds(rule, messages, state, calls):
    decision = called(rule, *map(message, messages), **state)

    assert (decision.route is Route.HANDOVER) == calls


@pytest.mark.parametrize(
    ("when", "at", "calls"),
    [
        (When.INSIDE, FRIDAY, True),
        (When.INSIDE, SATURDAY, False),
        (When.OUTSIDE, FRIDAY, False),
        (When.OUTSIDE, SATURDAY, True),
    ],
)
def test_hours_are_those_when_the_contact_wrote(when, at, calls):
    decision = called({"hours": when}, message(created_at=at))

    assert (decision.route is Route.HANDOVER) == calls


def test_agents_read_why():
    assert called({"labels": (VIP,)}, marks=VIP) == Decision(
        Route.HANDOVER, "operator_rule", "x"
    )
    assert called({"unsupported": True}, message(attachments=(ODD,))) == Decision(
        Route.HANDOVER, "unsupported", "x"
    )


@pytest.mark.parametrize(
    ("rule", "calls"),
    [
        ({"labels": (VIP,)}, False),
        ({"first_message": True}, False),
        ({"hours": When.OUTSIDE}, False),
        ({"says": ("refund",)}, True),
        ({"says": ("refund",), "labels": (VIP,)}, True),
        ({"unsupported": True}, True),
    ],
)
def test_agent_who_gave_it_back_outweighs_all_but_the_contact(rule, calls):
    """Or a rule for first messages would take it from the bot for ever."""
    asked = message("refund", attachments=(ODD,), created_at=SATURDAY)
    decision = called(rule, asked, marks=VIP, released=True)

    assert (decision.route is Route.HANDOVER) == calls


def test_rules_do_not_wake_what_a_human_holds():
    assert called({}, state=State.HUMAN).route is Route.HUMAN


def test_only_what_a_rule_names_is_kept():
    """The rest of a customer's attributes is none of the bot's business."""
    rules = [
        Rule(because="", labels=(VIP,)),
        Rule(because="", attributes=(attribute_mark("plan", "gold"),)),
        Rule(because="", attributes=(attribute_mark("paid", "true"),)),
    ]

    assert marks(rules, ["VIP", "other"], {"phone": "1"}, {"plan": "Gold"}) == (
        "attribute plan=gold\nlabel vip"
    )
    assert marks(rules, [], {"paid": True}, None) == "attribute paid=true"
    assert marks(rules, ["other"], {"plan": ["gold"]}) == ""


@pytest.mark.parametrize(
    ("text", "phrases", "holds"),
    [
        ("I want a refund!", ("refund*",), True),
        ("refunding", ("refund*",), True),
        ("a star * here", ("star *",), True),
        ("我要退款", ("退款",), True),
        ("anything", (), False),
        ("anything", ("", "*"), False),
        ("press ] now", ("^up", "]", "-x"), True),
    ],
)
def test_phrases(text, phrases, holds):
    assert holds_any(text, phrases) == holds


@pytest.mark.parametrize(
    ("rule", "messages", "state", "route"),
    [
        ({"contacts": (STAFF,)}, ["hi"], {"marks": STAFF}, Route.IGNORE),
        ({"contacts": (STAFF,)}, ["hi"], {}, Route.BOT),
        ({"labels": (VIP,)}, ["hi"], {"marks": VIP}, Route.IGNORE),
        ({"says": ("ping",)}, ["ping"], {}, Route.IGNORE),
        ({"labels": (VIP,)}, ["hi"], {"marks": VIP, "released": True}, Route.BOT),
    ],
)
def test_rule_may_ignore_instead_of_calling_a_human(rule, messages, state, route):
    decision = called({"ignore": True, **rule}, *map(message, messages), **state)

    assert decision.route is route


@pytest.mark.parametrize(
    ("address", "marked"),
    [
        ("lena@Example.com", True),
        ("lena@example.com.evil.test", False),
        ("+49301234", False),
    ],
)
def test_of_addresses_only_those_that_a_rule_names_are_marked(address, marked):
    rules = [Rule(because="x", contacts=(STAFF,), ignore=True)]

    assert marks(rules, (), addresses=[address]) == (STAFF if marked else "")


@pytest.mark.parametrize(
    ("address", "patterns", "alone"),
    [
        ("120363041234567890@g.us", (), True),
        ("120363041234567890@NEWSLETTER", (), True),
        ("status@broadcast", (), True),
        ("120363041234567890@g.us", ("none",), False),
        ("120363041234567890@g.us", ("*@partner.example.com",), True),
        ("491701234@s.whatsapp.net", (), False),
        ("Eve@Partner.example.com", ("*@partner.example.com",), True),
        ("eve@partner.example.com", ("none", "*@partner.example.com"), True),
        ("+49800123", ("+49800*",), True),
        ("+498001234", ("+49800123",), False),
    ],
)
def test_contacts_whom_the_bot_leaves_alone(address, patterns, alone):
    assert left_alone([address], patterns) is alone
