"""What a person wrote in a mail, and which mails no person wrote."""

import pytest

from chatwoot_bot.core.mail import fingerprint, is_machine, own_words, without_history

OWN = "Thanks, that solved it!\n\nLena"
HISTORY = {
    "Outlook": "From: Support <s@example.com>\nSent: Monday, July 20\nTo: Lena\n"
    "Subject: Re: Device\n\nJust write human.",
    "Outlook with a ruler": "________________________________\nFrom: Support\n"
    "Sent: Monday\nTo: Lena\n\nJust write human.",
    "Outlook in German": "Von: Support\nGesendet: Montag\nAn: Lena\nBetreff: AW: X\n"
    "\nmit einem Menschen sprechen",
    "Outlook in French": "De : Support\nEnvoyé : lundi\nÀ : Lena\nObjet : RE\n"
    "\nun humain",
    "Outlook in Chinese": "发件人: Support\n发送时间: 2026年7月20日\n收件人: Lena\n"
    "\n人工",
    "bold header": "**From:** Support\n**Sent:** Monday\n**To:** Lena\n\n"
    "Just write human.",
    "original message": "-----Original Message-----\nJust write human.",
    "Gmail": "On Mon, Jul 20, 2026 at 11:15 AM Support <s@example.com> wrote:"
    "\n\n> human",
    "Gmail over two lines": "On Mon, Jul 20, 2026 at 11:15 AM Support\n"
    "<s@example.com> wrote:\n\n> human",
    "Gmail in German": "Am Mo., 20. Juli 2026 um 11:15 Uhr schrieb Support <s@x.com>:"
    "\n\n> Mensch",
    "Gmail in Spanish": "El lun, 20 jul 2026 a las 11:15, S (<s@x.com>) escribió:\n> x",
}


@pytest.mark.parametrize("history", HISTORY.values(), ids=HISTORY)
def test_quoted_history_is_cut(history):
    assert without_history(f"{OWN}\n\n{history}") == OWN


@pytest.mark.parametrize(
    "text",
    [
        "Where do I go?\nFrom: Berlin\nI want to be in Ulm by noon.",
        "On Monday I wrote:\nplease cancel. Nobody did.",
        "To: you\nFrom: me",
        "I see two buttons.\nDate: what is it for?\nThe other is clear.",
        "-- \nLena",
    ],
)
def test_what_only_looks_like_history_stays(text):
    """A line too many does less harm than a question that is lost."""
    assert without_history(text) == text


def test_mail_that_is_all_history_stays_whole():
    text = "From: a\nSent: b\nTo: c\n\nForwarded without a word"

    assert without_history(text) == text


@pytest.mark.parametrize(
    ("email", "own"),
    [
        ({"text_content": {"quoted": "text"}, "html_content": {"quoted": "h"}}, "text"),
        ({"text_content": {}, "html_content": {"quoted": "html"}}, "html"),
        ({"text_content": None, "html_content": {"quoted": " "}}, "whole"),
        ({}, "whole"),
    ],
)
def test_chatwoots_own_parts_come_in_its_own_order(email, own):
    assert own_words(email, "whole") == own


@pytest.mark.parametrize(
    ("address", "machine"),
    [
        ("no-reply@example.com", True),
        ("noreply@example.com", True),
        ("NoReply@Example.com", True),
        ("no_reply@example.com", True),
        ("do-not-reply@example.com", True),
        ("donotreply@example.com", True),
        ("shop-noreply@example.com", True),
        ("noreply+4711@example.com", True),
        ("MAILER-DAEMON@mx.example.com", True),
        ("postmaster@example.com", True),
        ("bounce@example.com", True),
        ("bounces+4711-lena=example.com@mail.example.com", True),
        ("noreply2@example.com", True),
        ("msprvs1=abc=bounces-1@example.com", True),
        ("bitte-nicht-antworten@example.com", True),
        ("keine.antwort@example.com", True),
        ("nepasrepondre@example.com", True),
        ("ne-pas-repondre@example.com", True),
        ("no-responder@example.com", True),
        ("nao_responda@example.com", True),
        ("non-rispondere@example.com", True),
        ("niet-beantwoorden@example.com", True),
        ("nie-odpowiadaj@example.com", True),
        ("antwort@example.com", False),
        ("juan.responde@example.com", False),
        ("lena@noreply.example.com", False),
        ("lena@example.com", False),
        ("noreplyna@example.com", False),
        ("bouncer@club.example.com", False),
        ("", False),
        ("no-reply", False),
    ],
)
def test_addresses_that_take_no_replies(address, machine):
    assert is_machine(address) is machine


def test_automatic_mails_differ_in_numbers_alone():
    first = fingerprint("Ticket  4711:\nwe are closed until 3 May.")

    assert first == fingerprint("ticket 4712: we are closed until 4 May.")
    assert first != fingerprint("Ticket: thank you!")


@pytest.mark.parametrize(
    "text", ["a\n" + "From: " * 90_000, "On " * 90_000 + " wrote:"]
)
def test_line_that_never_ends_is_no_history(text):
    assert without_history(text) == text[:100_000].strip()


def test_attribution_without_a_date_is_a_sentence():
    text = "Hello,\nOn Monday my colleague wrote:"

    assert without_history(text) == text
