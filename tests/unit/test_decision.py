"""Who answers, and why."""

from dataclasses import replace

import pytest
from factories import conversation, message

from chatwoot_bot.core.conversation import Attachment, State, Status
from chatwoot_bot.core.decision import (
    MAX_ATTEMPTS,
    MAX_FAILURES,
    Policy,
    Route,
    Strain,
    asks_for_human,
    decide,
    give_up,
)
from chatwoot_bot.core.rules import Rule
from chatwoot_bot.language import wishes

SPOKEN = "A human, please!"
POLICY = Policy(handover_keywords=("human", "real person"))
ASKS = [message("a human please")]
WAITING, HUMAN = State.HANDOVER_PENDING, State.HUMAN
RESOLVED = Status.RESOLVED


@pytest.mark.parametrize(
    ("messages", "changes", "human_mode", "route", "reason"),
    [
        ([message()], {}, False, Route.BOT, "default"),
        ([message()], {"status": Status.PENDING}, False, Route.BOT, "default"),
        # An inbox without an agent bot: conversations start open.
        ([message()], {"status": Status.OPEN}, False, Route.BOT, "default"),
        ([message("")], {}, False, Route.BOT, "default"),
        (ASKS, {}, False, Route.HANDOVER, "asked_for_human"),
        ([message()], {"status": RESOLVED}, False, Route.IGNORE, "resolved"),
        (ASKS, {"status": RESOLVED}, False, Route.IGNORE, "resolved"),
        ([message()], {"state": HUMAN}, False, Route.HUMAN, "state_human"),
        (ASKS, {"state": HUMAN}, False, Route.HUMAN, "state_human"),
        (
            [message()],
            {"state": HUMAN, "status": RESOLVED},
            False,
            Route.HUMAN,
            "state_human",
        ),
        (ASKS, {"state": WAITING}, False, Route.HUMAN, "state_handover_pending"),
        ([message()], {}, True, Route.HUMAN, "human_mode"),
        (ASKS, {"state": HUMAN}, True, Route.HUMAN, "human_mode"),
        ([], {}, False, Route.IGNORE, "nothing_owed"),
        ([], {"state": HUMAN}, True, Route.IGNORE, "nothing_owed"),
    ],
)
def test_decide(messages, changes, human_mode, route, reason):
    """Each rule fires on its own case, and before its neighbour."""
    decision = decide(
        messages, conversation(**changes), human_mode=human_mode, policy=POLICY
    )

    assert (decision.route, decision.reason) == (route, reason)


@pytest.mark.parametrize(
    "texts",
    [
        ["a human please", "hello?"],
        ["hi", "I want a human", "are you there?"],
        ["where is my order?", "get me a REAL PERSON"],
    ],
)
def test_request_for_a_human_survives_the_messages_around_it(texts):
    """They are answered together; the request still decides."""
    decision = decide(
        [message(text) for text in texts],
        conversation(),
        human_mode=False,
        policy=POLICY,
    )

    assert decision.route is Route.HANDOVER


def test_a_request_split_over_two_messages_is_not_guessed():
    """Only the words of one message belong together."""
    decision = decide(
        [message("is there a real"), message("person?")],
        conversation(),
        human_mode=False,
        policy=POLICY,
    )

    assert decision.route is Route.BOT


def test_deleted_message_asks_for_nobody():
    """A message that the contact took back has no content."""
    deleted = message(None)

    decision = decide([deleted], conversation(), human_mode=False, policy=POLICY)

    assert decision.route is Route.BOT


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("human", True),
        ("HUMAN!", True),
        ("a human, please", True),
        ("(human)", True),
        ("*human*", True),
        ("Gibt es hier einen Human?", True),
        ("real person", True),
        ("A Real   Person", True),
        ("a real\nperson", True),
        ("a real\t\n person\u2028", True),
        ("a real\u00a0person", True),
        ("humane treatment", False),
        ("superhuman", False),
        ("human2", False),
        ("real-person", False),
        ("really personal", False),
        ("person real", False),
        ("", False),
        ("  \n", False),
    ],
)
def test_keywords_are_whole_words_in_any_case(text, asks):
    """ "humane" is not a request, and "REAL\\nPERSON" is one."""
    assert asks_for_human(text, POLICY) is asks


@pytest.mark.parametrize(
    ("keyword", "text", "asks"),
    [
        ("c++ expert", "I need a C++ expert.", True),
        ("c++ expert", "I need a c expert", False),
        ("(agent)", "get (Agent) now", True),
        (".*", "anything", False),
        (".*", "what does .* mean?", True),
        ("a|b", "a", False),
        ("[0-9", "press [0-9", True),
        ("\\d", "5", False),
        ("Straße", "STRASSE", True),
        ("человек", "Мне нужен ЧЕЛОВЕК!", True),
        ("человек", "человеком", False),
        ("转人工", "我要转人工服务", True),
        ("Real  Person", "a real person", True),  # as written in `.env`
        ("real\u00a0person", "a real person", True),
    ],
)
def test_keywords_are_words_and_not_patterns(keyword, text, asks):
    """Operators write plain words, in any language."""
    policy = Policy(handover_keywords=(keyword,))

    assert asks_for_human(text, policy) is asks


def test_without_keywords_the_bot_answers_everything():
    """An empty HANDOFF_KEYWORDS leaves the handover to the model."""
    decision = decide(ASKS, conversation(), human_mode=False, policy=Policy())

    assert decision.route is Route.BOT


@pytest.mark.parametrize(
    ("changes", "waited_s", "reason"),
    [
        ({}, 0, None),
        ({"failures": MAX_FAILURES - 1}, 0, None),
        ({"failures": MAX_FAILURES}, 0, "turn_failed"),
        ({"attempts": MAX_ATTEMPTS}, 0, None),
        ({"attempts": MAX_ATTEMPTS + 1}, 0, "worker_died"),
        ({}, 119, None),
        ({}, 120, "answer_deadline"),
        # Of a question that a crash kept from being ticked off.
        ({"owed_since": 0.0}, 1, None),
    ],
    ids=str,
)
def test_when_the_bot_gives_up(changes, waited_s, reason):
    """A contact whom the bot cannot answer gets a human, and never nothing."""
    held = conversation(**changes)
    policy = Policy(answer_deadline_s=120.0)

    decision = give_up(held, owed_since=1_000.0 - waited_s, now=1_000.0, policy=policy)

    assert (decision and decision.reason) == reason
    assert decision is None or decision.route is Route.HANDOVER


@pytest.mark.parametrize(
    ("limit", "answered", "route"),
    [(0, 99, Route.BOT), (3, 2, Route.BOT), (3, 3, Route.HANDOVER)],
)
def test_turn_limit_calls_a_human(limit, answered, route):
    """An operator may bound how long the bot tries."""
    held = conversation(bot_turns=answered)

    decision = decide(
        [message()], held, human_mode=False, policy=Policy(max_bot_turns=limit)
    )

    assert decision.route is route


@pytest.mark.parametrize(
    ("policy", "spent", "strain", "reason"),
    [
        ({}, 0, {"messages_in_hour": 500}, None),
        ({"contact_messages_per_hour": 5}, 0, {"messages_in_hour": 5}, None),
        ({"contact_messages_per_hour": 5}, 0, {"messages_in_hour": 6}, "rate_limit"),
        ({}, 9.0, {"messages_in_hour": 600, "spent_today": 9.0}, None),
        ({"max_cost_per_conversation": 0.5}, 0.49, {}, None),
        ({"max_cost_per_conversation": 0.5}, 0.5, {}, "spend_limit"),
        ({"max_cost_per_day": 2.0}, 0, {"spent_today": 1.9}, None),
        ({"max_cost_per_day": 2.0}, 0, {"spent_today": 2.0}, "spend_limit"),
    ],
)
def test_limits_on_messages_and_money_call_a_human(policy, spent, strain, reason):
    decision = give_up(
        conversation(spent=spent),
        owed_since=0.0,
        now=0.0,
        policy=Policy(**policy),
        strain=Strain(**strain),
    )

    assert (decision and decision.reason) == reason


@pytest.mark.parametrize(
    ("own", "messages", "reason"),
    [(0, 10, None), (0, 11, "rate_limit"), (50, 11, None), (5, 6, "rate_limit")],
)
def test_mail_has_a_limit_without_a_setting(own, messages, reason):
    """Two machines that answer each other end sometime."""
    policy = Policy(contact_messages_per_hour=own)
    mail = conversation(chatwoot_channel="Channel::Email")
    decided = give_up(
        mail,
        owed_since=0.0,
        now=0.0,
        policy=policy,
        strain=Strain(messages_in_hour=messages),
    )

    assert policy.is_strict(mail)
    assert (decided and decided.reason) == reason


BACK = {"handed_back": True}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([message("a human please", **BACK)], "default"),
        ([message("refund!", **BACK)], "default"),
        ([message("a human please", **BACK), message("hello?", **BACK)], "default"),
        # Who asks again after the agent has handed back gets one.
        ([message("hello?", **BACK), message("a human please")], "asked_for_human"),
        ([message("a human please", **BACK), message("refund!")], "operator_rule"),
    ],
)
def test_what_an_agent_has_handed_back_calls_nobody_again(messages, reason):
    """The request for a person was the agent's to decide."""
    policy = replace(POLICY, rules=(Rule(says=("refund",), because="money"),))
    decision = decide(messages, conversation(), human_mode=False, policy=policy)

    assert decision.reason == reason


def test_limits_hold_for_what_was_handed_back():
    policy = replace(POLICY, max_bot_turns=2)
    decision = decide(
        [message(**BACK)], conversation(bot_turns=2), human_mode=False, policy=policy
    )

    assert decision.reason == "turn_limit"


@pytest.mark.parametrize(
    ("content", "line", "text", "asks"),
    [
        ("[audio: A human, please!]", "[audio: A human, please!]", SPOKEN, True),
        ("Human\n[image]", "[image]", None, True),
        ("[file: a.pdf]", "[file: a.pdf]", SPOKEN, False),
        ("Look:\n[image]", "[image]", None, False),
    ],
)
def test_word_alone_asks_also_beside_a_picture_and_spoken(content, line, text, asks):
    """What a file says, on the other hand, is not the contact's word."""
    attached = Attachment(kind="audio", line=line, text=text)
    decision = decide(
        [message(content, attachments=(attached,))],
        conversation(),
        human_mode=False,
        policy=Policy(wishes=wishes()),
    )

    assert (decision.route is Route.HANDOVER) is asks
