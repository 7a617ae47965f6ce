"""Check that Chatwoot signed a delivery.

No clock and no environment: the caller hands in the raw bytes, the headers and
the current time, so every rule is tested without a server.
"""

import hmac
import re
from collections.abc import Sequence

from ..errors import SignatureError

# Chatwoot documents no age limit; five minutes is what Stripe, Slack and
# Standard Webhooks allow, and covers its three attempts 3 s apart.
TOLERANCE_S = 300
# Bounded digits: int() of a stranger's 5,000 digits would raise.
SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


def verify(
    body: bytes,
    *,
    signature: str,
    timestamp: str,
    secrets: Sequence[str],
    now: float,
) -> None:
    """Check that Chatwoot signed *body* recently with one of *secrets*.

    The signed string is ``{timestamp}.{body}``: the bytes as received, never the
    JSON parsed and written again, because Rails escapes ``&``, ``<`` and ``>``.

    Args:
        body: the request body, untouched.
        signature: header ``X-Chatwoot-Signature``, ``sha256=`` and 64 hex digits.
        timestamp: header ``X-Chatwoot-Timestamp``, Unix seconds.
        secrets: what Chatwoot shows for the bot, webhook or inbox; at least one.
        now: Unix seconds.

    Raises:
        SignatureError: any check failed. The message names the check and never
            holds a secret or an expected digest.

    Source: chatwoot/chatwoot pull requests 13573 (account webhooks, 4.11.2) and
    13892 (agent bots and API inboxes, 4.13.0); older releases do not sign.
    """
    if not signature:
        raise SignatureError("the signature header is missing")
    if not SECONDS.fullmatch(timestamp):
        raise SignatureError("the timestamp header is not Unix seconds")
    if abs(now - int(timestamp)) > TOLERANCE_S:
        raise SignatureError("the timestamp is outside the five-minute window")
    signed = timestamp.encode() + b"." + body
    # Bytes, because compare_digest refuses non-ASCII str; and every secret is
    # tried, so the time taken does not tell which one matched.
    given = signature.encode(errors="replace")
    matches = [hmac.compare_digest(sign(signed, secret), given) for secret in secrets]
    if not any(matches):
        raise SignatureError("the signature matches none of the secrets")


def sign(signed: bytes, secret: str) -> bytes:
    """Return the header value for *signed*, as bytes."""
    digest = hmac.digest(secret.encode(), signed, "sha256")
    return b"sha256=" + digest.hex().encode()
