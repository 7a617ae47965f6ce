"""What an administrator sees of the bot: its inboxes, its URL, its secret."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..chatwoot.admin import AdminClient
from ..chatwoot.shown import AgentBot, Inbox, Webhook
from ..settings import Settings
from .findings import Finding, fail, ok, skip, warn

SETUP = "run chatwoot-bot setup"
SECRET = "CHATWOOT_WEBHOOK_SECRET"  # noqa: S105 - a name
INBOX = "CHATWOOT_INBOX_ID"
AT_ONCE = 8  # an account may have hundreds of inboxes
NEEDS_ADMINISTRATOR = (
    "cannot be seen with a bot's token; CHATWOOT_USER_TOKEN of an administrator can"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The account as an administrator sees it.

    Attributes:
        bot: the one whose token we have; None when none has it.
        ours: it, and those whose tokens only bots of `BOTS_FILE` have.
        webhooks: account webhooks, whatever they deliver to.
        connected: inbox → the bot it is connected to.
    """

    account_id: int
    bot: AgentBot | None
    inboxes: Sequence[Inbox]
    webhooks: Sequence[Webhook]
    ours: Sequence[AgentBot] = ()
    connected: dict[int, AgentBot | None] = field(default_factory=dict)


async def visit(client: AdminClient, settings: Settings, account_id: int) -> Office:
    """Read what there is.

    Args:
        client: with an administrator's token.

    Raises:
        ChatwootError: some of it could not be read.
    """
    bots, inboxes, webhooks = await asyncio.gather(
        client.list_bots(account_id),
        client.list_inboxes(account_id),
        client.list_webhooks(account_id),
    )
    token = settings.chatwoot_api_token
    tokens = {token, *(bot.settings.chatwoot_api_token for bot in settings.bots)}
    known = {each.get_secret_value() for each in tokens if each is not None}
    ours = [bot for bot in bots if bot.access_token in known]
    first = token.get_secret_value() if token else None
    # All, because one that nobody serves here is connected all the same.
    ids = [inbox.id for inbox in inboxes]
    few = asyncio.Semaphore(AT_ONCE)

    async def bot_of(inbox_id: int) -> AgentBot | None:
        async with few:
            return await client.inbox_bot(account_id, inbox_id)

    found = await asyncio.gather(*(bot_of(inbox_id) for inbox_id in ids))
    return Office(
        account_id=account_id,
        bot=next((bot for bot in ours if bot.access_token == first), None),
        ours=ours,
        inboxes=inboxes,
        webhooks=webhooks,
        connected=dict(zip(ids, found, strict=True)),
    )


def check_inboxes(
    office: Office | None, settings: Settings, url: str | None
) -> Finding:
    """Check that the inboxes exist and deliver to this bot.

    Args:
        office: None when it could not be seen.
        url: where deliveries shall go, if that is known.
    """
    check = "inbox"
    if office is None:
        return skip(check, NEEDS_ADMINISTRATOR)
    names = {inbox.id: f"{inbox.id} ({inbox.name})" for inbox in office.inboxes}
    unknown = [i for i in settings.chatwoot_inbox_id if i not in names]
    if unknown:
        there = ", ".join(names.values()) or "none at all"
        return fail(
            check,
            f"account {office.account_id} has no inbox {unknown[0]}; there is {there}",
            setting=INBOX,
            mend=f"set it to one of them, or {SETUP}",
        )
    if not names:
        mend = f"make an inbox in Chatwoot, then {SETUP}"
        message = f"account {office.account_id} has no inbox"
        return fail(check, message, setting=INBOX, mend=mend)
    wanted = settings.chatwoot_inbox_id or tuple(names)
    silent = [i for i in wanted if not reaches_us(office, i, url)]
    if not silent or (not settings.chatwoot_inbox_id and len(silent) < len(wanted)):
        shown = ", ".join(names[i] for i in wanted if i not in silent)
        return ok(check, f"connected: {shown}")
    return _not_connected(office, silent[0], names)


def check_unserved(
    office: Office | None, settings: Settings, url: str | None
) -> list[Finding]:
    """Find the inboxes whose bot is this service, which leaves them alone.

    Their conversations begin pending, where no agent sees them.
    """
    if office is None:
        return []
    names = {inbox.id: f"{inbox.id} ({inbox.name})" for inbox in office.inboxes}
    wanted = settings.chatwoot_inbox_id
    if any(inbox_id not in names for inbox_id in wanted):
        return []  # a wrong number is the cause, and told already
    return [
        fail(
            "inbox",
            f"inbox {names[inbox_id]} is connected to {bot.name}, but not served here: "
            "its contacts wait for ever",
            setting=INBOX if wanted and inbox_id not in wanted else "BOTS_FILE",
            mend=f"add {inbox_id} there, or disconnect the bot in the inbox's settings",
        )
        for inbox_id, bot in office.connected.items()
        if bot is not None
        and not settings.serves(inbox_id)
        and _is_ours(office, bot, url)
    ]


def _is_ours(office: Office, bot: AgentBot, url: str | None) -> bool:
    by_token = any(bot.id == each.id for each in office.ours)
    return by_token or (url is not None and bot.outgoing_url == url)


def reaches_us(office: Office, inbox_id: int, url: str | None) -> bool:
    """Return whether something delivers the inbox's events to this service."""
    bot = office.connected.get(inbox_id)
    if bot is not None and office.bot is not None and bot.id == office.bot.id:
        return True
    if url is None:
        return False
    inbox = next(i for i in office.inboxes if i.id == inbox_id)
    urls = [hook.url for hook in office.webhooks] + [inbox.webhook_url]
    return url in urls or (bot is not None and bot.outgoing_url == url)


def _not_connected(office: Office, inbox_id: int, names: dict[int, str]) -> Finding:
    other = office.connected.get(inbox_id)
    to = f"to another bot, {other.name}" if other is not None else "to no bot"
    which = names.get(inbox_id, str(inbox_id))
    return fail(
        "inbox",
        f"inbox {which} is connected {to}, so nothing of it comes here",
        setting=INBOX,
        mend=f"{SETUP} --inbox-id {inbox_id}",
    )


def check_bot_url(
    office: Office | None, url: str | None, seen: str | None
) -> list[Finding]:
    """Check that our bots deliver to the public URL.

    Args:
        office: None when it could not be seen.
        url: None when it is not known; then there is nothing to compare.
        seen: when a delivery came, in words; None without any lately.
    """
    if url is None:
        return []
    if office is None and seen is not None:
        return [ok("bot", f"a delivery came {seen}, so Chatwoot delivers here")]
    if office is None:
        return [skip("bot", f"the URL that it delivers to {NEEDS_ADMINISTRATOR}")]
    return [_check_url(bot, url) for bot in office.ours]


def _check_url(bot: AgentBot, url: str) -> Finding:
    there = bot.outgoing_url
    if there == url:
        return ok("bot", f"{bot.name} delivers to {url}")
    return fail(
        "bot",
        f"{bot.name} delivers to {there or 'nowhere'} and not to {url}",
        setting="PUBLIC_URL",
        mend=f"{SETUP}, which sets it, or mend PUBLIC_URL",
    )


def check_secret(
    office: Office | None, settings: Settings, url: str | None, seen: str | None
) -> Finding:
    """Check that the secret is the one that Chatwoot signs with.

    Args:
        url: where deliveries go, if that is known.
        seen: when a rightly signed delivery came, in words; None without any lately.
    """
    check = "secret"
    ours = {secret.get_secret_value() for secret in settings.chatwoot_webhook_secret}
    if not ours:
        return skip(check, "none is set, and unsigned deliveries are allowed")
    theirs = _secrets(office, url) if office else {}
    if not theirs:
        return _unproven(settings, seen)
    wrong = [name for name, secret in theirs.items() if secret not in ours]
    if None in theirs.values() and settings.chatwoot_allow_unsigned:
        return skip(check, "this release of Chatwoot does not sign")
    if None in theirs.values():
        return fail(
            check,
            "Chatwoot shows no secret of the bot: before 4.13 it does not sign, and "
            "every delivery is refused",
            setting="CHATWOOT_ALLOW_UNSIGNED",
            mend="upgrade Chatwoot, or set CHATWOOT_ALLOW_UNSIGNED=true",
        )
    if wrong:
        return fail(
            check,
            f"it is not the one of {wrong[0]}, so deliveries are refused",
            setting=SECRET,
            mend=f"{SETUP}, or copy the secret from the page of {wrong[0]}",
        )
    return ok(check, f"is that of {' and '.join(theirs)}")


def _secrets(office: Office, url: str | None) -> dict[str, str | None]:
    """Return what signs deliveries to us: whose → secret, None when not shown."""
    found: dict[str, str | None] = {}
    if office.bot is not None:
        found[f"the bot {office.bot.name}"] = office.bot.secret
    for hook in office.webhooks:
        if hook.url == url:
            found[f"the account webhook {hook.id}"] = hook.secret
    for inbox in office.inboxes:
        if inbox.webhook_url and inbox.webhook_url == url:
            found[f"the inbox {inbox.name}"] = inbox.secret
    return found


def _unproven(settings: Settings, seen: str | None) -> Finding:
    if seen is not None and settings.signature_required:
        return ok("secret", f"a delivery signed with it came {seen}")
    return warn(
        "secret",
        "nobody can tell from here whether it is the one that Chatwoot signs with",
        setting=SECRET,
        mend="write a message in the inbox as a visitor and run chatwoot-bot doctor "
        "again; or set CHATWOOT_USER_TOKEN to an administrator's token",
    )
