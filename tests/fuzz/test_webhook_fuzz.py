"""Hostile webhooks: whatever arrives is understood, or refused with our own errors."""

import copy
import json
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatwoot_bot.core import signature
from chatwoot_bot.core.events import Kind, parse
from chatwoot_bot.errors import PayloadError, SignatureError

DELIVERIES = Path(__file__).parents[1] / "deliveries"
PAYLOADS = [
    json.loads(path.read_text())
    for path in DELIVERIES.glob("*__*.json")
    if not path.name.startswith("rest_")
]
SECRETS = ["a-webhook-secret-of-chatwoot"]
NOW = 1_700_000_000

fuzzed = settings(
    max_examples=3000,
    deadline=timedelta(seconds=2),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

numbers = st.one_of(
    st.integers(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.floats(allow_nan=False),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 1e300, -1, 0]),
)
texts = st.one_of(
    st.text(),
    st.sampled_from(["", "\x00", "\ud800", "\u202e", " " * 5000, "9" * 5000, "1e999"]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def mutated(draw):
    """A delivery with one to three of its values replaced by anything."""
    payload = copy.deepcopy(draw(st.sampled_from(PAYLOADS)))
    for _ in range(draw(st.integers(1, 3))):
        _replace(payload, draw)
    return payload


def _replace(node, draw):
    while True:
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        key = draw(st.sampled_from(list(keys)))
        if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
            node = node[key]
            continue
        node[key] = draw(values)
        return


@fuzzed
@given(mutated())
def test_delivery_with_odd_values_is_read_or_refused(payload):
    try:
        event = parse(json.dumps(payload).encode())
    except PayloadError:
        return
    if payload["event"]:
        assert event.name
    else:
        assert event.kind is Kind.OTHER


@fuzzed
@given(st.one_of(st.binary(max_size=400), values.map(lambda v: json.dumps(v).encode())))
def test_any_body_is_read_or_refused(body):
    try:
        parse(body)
    except PayloadError:
        return


@fuzzed
@given(
    body=st.binary(max_size=100),
    given_signature=st.one_of(texts, st.from_regex(r"sha256=[0-9a-f]{64}")),
    timestamp=st.one_of(texts, st.integers(NOW - 999, NOW + 999).map(str)),
)
def test_invented_signature_is_never_accepted(body, given_signature, timestamp):
    try:
        signature.verify(
            body,
            signature=given_signature,
            timestamp=timestamp,
            secrets=SECRETS,
            now=NOW,
        )
    except SignatureError:
        return
    raise AssertionError("an invented signature was accepted")


@fuzzed
@given(
    body=st.binary(min_size=1, max_size=100),
    place=st.integers(min_value=0, max_value=99),
    flip=st.integers(min_value=1, max_value=255),
)
def test_signature_holds_for_the_signed_bytes_only(body, place, flip):
    signed = signature.sign(b"%d.%s" % (NOW, body), SECRETS[0]).decode()
    changed = bytearray(body)
    changed[place % len(body)] ^= flip

    def verify(received):
        signature.verify(
            received,
            signature=signed,
            timestamp=str(NOW),
            secrets=SECRETS,
            now=NOW,
        )

    verify(body)
    try:
        verify(bytes(changed))
    except SignatureError:
        return
    raise AssertionError("changed bytes were accepted")
