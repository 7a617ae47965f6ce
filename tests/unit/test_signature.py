"""Only Chatwoot may speak for a contact, and only now."""

import json

import pytest
from factories import NOW, SECRET, compact, delivery, signed

from chatwoot_bot.core.signature import TOLERANCE_S, verify
from chatwoot_bot.errors import SignatureError

BODY = (
    '{"account":{"id":1,"name":"Acme \\u0026 Sons"},'
    '"content":"héllo \\u003c3","event":"message_created"}'
).encode()
TIMESTAMP = "1784538914"
SIGNATURE = "sha256=3d7b0299b09a3152d8db703de1b066169c87d7f58901f0160897d229b9b4a7d8"


def check(body=BODY, **changes):
    defaults = {
        "signature": SIGNATURE,
        "timestamp": TIMESTAMP,
        "secrets": [SECRET],
        "now": NOW,
    }
    return verify(body, **defaults | changes)


def refusal(body=BODY, **changes):
    with pytest.raises(SignatureError) as caught:
        check(body, **changes)
    return str(caught.value)


def test_chatwoots_own_signature_is_accepted():
    """The vector is Chatwoot's, not made by our own code.

    Source: docs/chatwoot/deliveries.md#signature.
    """
    assert len(BODY) == 99
    check()


def test_escapes_are_checked_as_received():
    """Rails writes & and < as escapes; parsed and written again they are lost."""
    rewritten = json.dumps(json.loads(BODY), separators=(",", ":")).encode()

    assert refusal(rewritten) == "the signature matches none of the secrets"


def test_every_delivery_is_signed_as_the_tests_sign_it():
    """The other tests' deliveries are worth something only if this holds."""
    body = compact(delivery(content="Ben & Jerry's <3 \u2028 für 5 €"))
    headers = signed(body)

    check(
        body,
        signature=headers["X-Chatwoot-Signature"],
        timestamp=headers["X-Chatwoot-Timestamp"],
    )
    assert b"\\u0026" in body


@pytest.mark.parametrize(
    "secrets",
    [[SECRET, "another"], ["another", SECRET], [SECRET, SECRET], ["ünïcode", SECRET]],
)
def test_any_of_several_secrets_will_do(secrets):
    """A secret is changed, or a bot and a webhook share the URL, without a gap."""
    check(secrets=secrets)


@pytest.mark.parametrize(
    "secrets",
    [[], ["another"], [SECRET[:-1]], [SECRET + "0"], [SECRET.lower()], [""]],
)
def test_other_secrets_will_not(secrets):
    """Without a secret nobody is let in, rather than everybody."""
    assert refusal(secrets=secrets) == "the signature matches none of the secrets"


@pytest.mark.parametrize("position", [0, 50, 98])
def test_one_changed_byte_is_noticed(position):
    """A man in the middle may not put words into a contact's mouth."""
    body = bytearray(BODY)
    body[position] ^= 1

    assert refusal(bytes(body)) == "the signature matches none of the secrets"


@pytest.mark.parametrize("body", [BODY + b"\n", BODY[:-1], b""])
def test_a_longer_or_shorter_body_is_noticed(body):
    """The digest covers the whole body."""
    assert refusal(body) == "the signature matches none of the secrets"


def test_the_timestamp_is_part_of_what_is_signed():
    """An old delivery does not become new by a new header."""
    later = str(int(TIMESTAMP) + 1)

    assert refusal(timestamp=later) == "the signature matches none of the secrets"


@pytest.mark.parametrize("away", [-TOLERANCE_S, -1.5, 0, 1.5, TOLERANCE_S])
def test_five_minutes_both_ways_are_allowed(away):
    """Two clocks differ, and Chatwoot tries three times."""
    check(now=NOW + away)


@pytest.mark.parametrize("away", [-86_400, -TOLERANCE_S - 1, TOLERANCE_S + 0.5, 1e9])
def test_more_than_five_minutes_are_not(away):
    """A delivery that somebody kept cannot be played again tomorrow."""
    message = refusal(now=NOW + away)

    assert message == "the timestamp is outside the five-minute window"


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        " ",
        "soon",
        "-1784538914",
        "+1784538914",
        "1784538914.5",
        "1_784_538_914",
        " 1784538914",
        "1784538914\n",
        "0x6a5e0b22",
        "١٧٨٤٥٣٨٩١٤",  # int() takes these digits
        "\uff11\uff17\uff18\uff14\uff15\uff13\uff18\uff19\uff11\uff14",  # full width
        "²",  # str.isdigit() says yes, int() raises
        "9" * 13,
        "9" * 5_000,  # int() raises
    ],
    ids=lambda value: value[:16],
)
def test_a_timestamp_is_a_bounded_number_of_ascii_digits(timestamp):
    """A stranger's header never becomes a 500."""
    assert refusal(timestamp=timestamp) == "the timestamp header is not Unix seconds"


@pytest.mark.parametrize(
    "given",
    [
        "nonsense",
        SIGNATURE.removeprefix("sha256="),
        SIGNATURE.replace("sha256", "sha1"),
        SIGNATURE.upper(),
        SIGNATURE[:-1],
        SIGNATURE + "0",
        f" {SIGNATURE}",
        "sha256=é",  # compare_digest refuses such a str
        "sha256=\udcff",  # how Python keeps a byte that is not UTF-8
        "sha256=" + "0" * 100_000,
    ],
    ids=lambda value: ascii(value[:16]),
)
def test_anything_but_the_digest_is_refused(given):
    """Neither a near miss nor bytes that are not ASCII get through, or crash."""
    assert refusal(signature=given) == "the signature matches none of the secrets"


def test_a_missing_signature_is_named():
    """The operator's log tells "old Chatwoot" from "wrong secret"."""
    assert refusal(signature="") == "the signature header is missing"


def test_no_refusal_tells_a_secret_or_a_digest():
    """Logs are read by more people than secrets are meant for."""
    cases = [{"now": 0}, {"timestamp": "x"}, {"signature": "x"}, {"signature": ""}]
    told = [refusal(**case) for case in cases]

    assert not [t for t in told if SECRET in t or SIGNATURE[7:] in t]
