"""From Chatwoot to this service and back, one check after the other."""

import asyncio
from dataclasses import dataclass
from functools import partial

import pydantic

from ..chatwoot.admin import AdminClient
from ..chatwoot.shown import Installation
from ..errors import ChatwootError
from ..store.condition import Condition
from .bots import check_bots
from .delivery import WEBHOOK_PATH, check_address, check_webhook
from .desk import check_desk, unseen_routing, visit_desk
from .findings import Finding, Level, ok, skip, warn
from .installation import check_clock, check_installation
from .office import (
    Office,
    check_bot_url,
    check_inboxes,
    check_secret,
    check_unserved,
    visit,
)
from .subject import Subject, bounded
from .tokens import (
    ACCOUNT,
    IN_THE_WAY,
    USER_TOKEN,
    Identity,
    check_rights,
    check_token,
    check_user_token,
    identify,
)

LATELY_S = 24 * 3_600.0
# Short, because the secret may have been changed since.
JUST_NOW_S = 15 * 60.0
MADE_BY_SETUP = "set it to the number in Chatwoot's URL, /app/accounts/…"


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What one check found out for the next."""

    installation: Installation | None = None
    bot: Identity | None = None
    user: Identity | None = None
    office: Office | None = None


async def check_connection(
    subject: Subject,
    database: "asyncio.Task[tuple[Finding, Condition | None]]",
) -> list[Finding]:
    """Check all that concerns Chatwoot.

    Args:
        database: knows when the newest delivery came.
    """
    token = subject.settings.chatwoot_api_token
    if not subject.settings.chatwoot_configured or token is None:
        return [ok("chatwoot", "CHATWOOT_BASE_URL is not set: this is the demo")]
    seen = _Seen()
    findings = await bounded("chatwoot", _installation(subject, token, seen))
    if seen.installation is not None:
        findings += await bounded("token", _identities(subject, token, seen))
        findings += await bounded("account", _account(subject, token, seen))
        checking = check_bots(
            subject.settings,
            seen.office,
            _webhook_url(subject, seen),
            partial(_whose, subject),
        )
        findings += await bounded("bots", checking)
    condition = (await database)[1]
    delivered_at = condition.delivered_at if condition else None
    return findings + await _deliveries(subject, seen, delivered_at)


def _client(subject: Subject, token: pydantic.SecretStr) -> AdminClient:
    return AdminClient(
        subject.http,
        base_url=subject.settings.chatwoot_base_url or "",
        token=token.get_secret_value(),
    )


async def _installation(
    subject: Subject, token: pydantic.SecretStr, seen: _Seen
) -> list[Finding]:
    finding, seen.installation = await check_installation(_client(subject, token))
    if seen.installation is None:
        reason = "not looked at, because Chatwoot does not answer"
        return [finding, *(skip(name, reason) for name in ("token", "account"))]
    return [finding, check_clock(seen.installation, now=subject.clock())]


async def _whose(subject: Subject, token: pydantic.SecretStr) -> Identity:
    return await identify(_client(subject, token))


async def _identities(
    subject: Subject, token: pydantic.SecretStr, seen: _Seen
) -> list[Finding]:
    """Find out whose the tokens are."""
    user_token = subject.settings.chatwoot_user_token

    async def nobody() -> None:
        return None

    bot, user = await asyncio.gather(
        _whose(subject, token),
        nobody() if user_token is None else _whose(subject, user_token),
    )
    seen.bot, seen.user = bot, user
    account_id = subject.settings.chatwoot_account_id
    mine = check_token(bot)
    if user is not None and user.kind is bot.kind and user.kind in IN_THE_WAY:
        return [mine, skip("user token", "not looked at, for the same reason")]
    return [mine, check_user_token(user, account_id)]


async def _account(
    subject: Subject, token: pydantic.SecretStr, seen: _Seen
) -> list[Finding]:
    """Check account and rights, and see the account as an administrator if we can."""
    if seen.bot is None or not seen.bot.is_usable:
        reason = "not looked at, because of the token"
        return [skip("account", reason), skip("rights", reason)]
    account_id = subject.settings.chatwoot_account_id or _only_account(seen)
    if account_id is None:
        return [
            warn(
                "account",
                "not set, so the rights of the token cannot be tried",
                setting=ACCOUNT,
                mend=MADE_BY_SETUP,
            )
        ]
    findings = await check_rights(_client(subject, token), seen.bot, account_id)
    administrator = _administrator(subject, token, seen, account_id)
    if administrator is None:
        findings += unseen_routing(subject.settings)
    else:
        try:
            client = _client(subject, administrator)
            seen.office = await visit(client, subject.settings, account_id)
            desk = await visit_desk(client, account_id)
            findings += await check_desk(desk, seen.office, subject.settings)
        except ChatwootError as error:
            findings.append(
                warn(
                    "account",
                    f"what an administrator sees could not be read: {error}",
                    setting=USER_TOKEN,
                    mend="run chatwoot-bot doctor again; if it stays so, take the "
                    "token of another administrator",
                )
            )
    return findings


def _only_account(seen: _Seen) -> int | None:
    for identity in (seen.bot, seen.user):
        profile = identity.profile if identity else None
        if profile is not None and len(profile.accounts) == 1:
            return profile.accounts[0].id
    return None


def _administrator(
    subject: Subject, token: pydantic.SecretStr, seen: _Seen, account_id: int
) -> pydantic.SecretStr | None:
    """Return whichever token is an administrator's."""
    for identity, one in (
        (seen.user, subject.settings.chatwoot_user_token),
        (seen.bot, token),
    ):
        profile = identity.profile if identity else None
        if profile is not None and profile.role(account_id) == "administrator":
            return one
    return None


async def _deliveries(
    subject: Subject, seen: _Seen, delivered_at: float | None
) -> list[Finding]:
    """Check where deliveries go, whether they arrive, and whether they count."""
    settings, now = subject.settings, subject.clock()
    url = _webhook_url(subject, seen)
    ago_s = now - delivered_at if delivered_at is not None else None
    just_now = None
    if ago_s is not None and ago_s < JUST_NOW_S:
        just_now = f"{max(ago_s, 0) / 60:.0f} min ago"
    webhook = None
    if url is not None:
        shown = check_secret(seen.office, settings, url, None)
        webhook = await check_webhook(
            settings,
            subject.http,
            url,
            now=now,
            is_right_secret=shown.level is Level.OK,
        )
        if webhook.level is Level.FAIL:
            just_now = None  # it was signed with the running service's secret
    findings = []
    if seen.bot is not None and seen.bot.is_usable:
        findings = [
            check_inboxes(seen.office, settings, url),
            *check_unserved(seen.office, settings, url),
            *check_bot_url(seen.office, url, just_now),
            check_secret(seen.office, settings, url, just_now),
        ]
    if url is None or webhook is None:
        return [*findings, _nowhere()]
    version = seen.installation.version if seen.installation else None
    lately = ago_s is not None and ago_s < LATELY_S
    return [
        *findings,
        webhook,
        await check_address(url, version, is_delivered=lately),
    ]


def _webhook_url(subject: Subject, seen: _Seen) -> str | None:
    said = subject.public_url or subject.settings.public_url
    if said is not None:
        return said + WEBHOOK_PATH
    bot = seen.office.bot if seen.office else None
    return bot.outgoing_url if bot is not None and bot.outgoing_url else None


def _nowhere() -> Finding:
    return warn(
        "webhook",
        "nobody said where Chatwoot reaches this service, so it was not tried",
        setting="PUBLIC_URL",
        mend="set it to the URL before /webhook/chatwoot, or give --public-url",
    )
