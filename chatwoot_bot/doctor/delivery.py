"""Deliveries: does the public URL lead here, and are they let through?

Two test deliveries go the way Chatwoot's go, of an event that the service ignores:
one signed, which must be taken, and one unsigned, which must be refused.
"""

import asyncio
from typing import Any

import httpx

from ..chatwoot import releases
from ..core.signature import sign
from ..settings import Settings
from .addresses import is_private
from .findings import Finding, fail, ok, warn

WEBHOOK_PATH = "/webhook/chatwoot"
# Not an event of Chatwoot's, so nothing is stored and nobody is answered.
BODY = b'{"event":"chatwoot_bot_doctor"}'
RESTART = "restart the service, so that it reads the settings again"
# A restart would break a service that runs with the right one.
COMPARE = (
    "copy the secret from the bot's page in Chatwoot, or run chatwoot-bot setup; "
    "restart the service only when it is the same as the one set here"
)
CHATWOOT_WAITS_S = 5.0
PUBLIC_URL = "PUBLIC_URL"
SECRET = "CHATWOOT_WEBHOOK_SECRET"  # noqa: S105 - a name
UNSIGNED = "CHATWOOT_ALLOW_UNSIGNED"


async def check_webhook(
    settings: Settings,
    http: httpx.AsyncClient,
    url: str,
    *,
    now: float,
    is_right_secret: bool = False,
) -> Finding:
    """Send the two test deliveries to *url*.

    Args:
        url: where Chatwoot delivers to.
        now: Unix seconds.
        is_right_secret: an administrator's token showed that Chatwoot signs with it.
    """
    secrets = [s.get_secret_value() for s in settings.chatwoot_webhook_secret]
    signed = _signed(secrets[0], now) if secrets else {}
    try:
        async with asyncio.timeout(CHATWOOT_WAITS_S):
            taken, refused = await asyncio.gather(
                _deliver(http, url, signed), _deliver(http, url, {})
            )
    except TimeoutError:
        return fail(
            "webhook",
            f"{url} does not answer within {CHATWOOT_WAITS_S:g} s, as Chatwoot wants",
            setting=PUBLIC_URL,
            mend="start the service: chatwoot-bot serve; or mend PUBLIC_URL or the "
            "reverse proxy, so that it leads there",
        )
    except httpx.HTTPError as error:
        return fail(
            "webhook",
            f"{url} cannot be reached ({type(error).__name__})",
            setting=PUBLIC_URL,
            mend="start the service: chatwoot-bot serve; or mend PUBLIC_URL, the "
            "reverse proxy or the firewall, so that it leads there",
        )
    wrong = _judge_taken(url, taken, is_right_secret=is_right_secret)
    return wrong or _judge_refused(settings, url, refused)


def _signed(secret: str, now: float) -> dict[str, str]:
    timestamp = str(int(now))
    signature = sign(timestamp.encode() + b"." + BODY, secret).decode()
    return {"x-chatwoot-timestamp": timestamp, "x-chatwoot-signature": signature}


async def _deliver(
    http: httpx.AsyncClient, url: str, headers: dict[str, str]
) -> httpx.Response:
    headers = {"content-type": "application/json", **headers}
    return await http.post(url, content=BODY, headers=headers)


def _judge_taken(
    url: str, response: httpx.Response, *, is_right_secret: bool
) -> Finding | None:
    """Return what is wrong with the signed delivery's answer, or None."""
    status = response.status_code
    if status == 200 and _body(response).get("status") == "ignored":
        return None
    if status == 401 and _is_ours(response):
        return fail(
            "webhook",
            "the running service refuses what is signed with the secret set here: it "
            "runs with another secret",
            setting=SECRET,
            mend=RESTART if is_right_secret else COMPARE,
        )
    if 300 <= status < 400:
        return fail(
            "webhook",
            f"{url} redirects ({status})",
            setting=PUBLIC_URL,
            mend="set PUBLIC_URL to where it redirects to, and run chatwoot-bot setup",
        )
    whose = "the service" if _is_ours(response) else "something else"
    return fail(
        "webhook",
        f"{whose} answers {status} at {url}",
        setting=PUBLIC_URL,
        mend="mend PUBLIC_URL or the reverse proxy, so that it leads to chatwoot-bot "
        "serve"
        if whose != "the service"
        else "look into the log of the service",
    )


def _judge_refused(settings: Settings, url: str, response: httpx.Response) -> Finding:
    """Return what the unsigned delivery's answer means."""
    was_taken = response.status_code != 401
    if settings.chatwoot_allow_unsigned:
        return warn(
            "webhook",
            f"{url} takes deliveries that are not signed: whoever knows the URL can "
            "speak for your contacts",
            setting=UNSIGNED,
            mend="with Chatwoot 4.13 or newer, run chatwoot-bot setup and empty "
            "CHATWOOT_ALLOW_UNSIGNED",
        )
    if was_taken:
        return fail(
            "webhook",
            "the running service takes unsigned deliveries, against the settings here",
            setting=UNSIGNED,
            mend="restart the service, so that it reads the settings again",
        )
    return ok("webhook", f"{url} takes signed deliveries only")


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _is_ours(response: httpx.Response) -> bool:
    """Return whether the answer has the form of this service's errors."""
    error = _body(response).get("error")
    return isinstance(error, dict) and {"code", "message"} <= error.keys()


async def check_address(
    url: str, version: str | None, *, is_delivered: bool
) -> Finding:
    """Check that Chatwoot would deliver to *url* at all.

    Args:
        is_delivered: a delivery has come in lately, so it does.
    """
    check = "address"
    if not await is_private(url):
        return ok(check, "public, as Chatwoot wants")
    release = releases.parse(version)
    if release is not None and release < releases.BLOCKS_PRIVATE:
        return ok(check, f"private, which Chatwoot {version} does not mind")
    if is_delivered:
        return ok(check, "private, and deliveries come in all the same")
    return warn(
        check,
        f"{httpx.URL(url).host} is a private address; Chatwoot since 4.14 delivers to "
        "none, and gives the conversations to humans",
        setting="SAFE_FETCH_ALLOW_PRIVATE_NETWORK",
        mend="set SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true in Chatwoot's own environment, "
        "or use a public PUBLIC_URL",
    )
