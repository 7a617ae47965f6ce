"""Whose token it is, and what it may do."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..chatwoot.admin import AdminClient
from ..chatwoot.answers import Answer, Refusal
from ..chatwoot.calls import HEADER
from ..chatwoot.shown import Profile
from .findings import Finding, Level, fail, ok, skip, warn

TOKEN = "CHATWOOT_API_TOKEN"  # noqa: S105 - a name
USER_TOKEN = "CHATWOOT_USER_TOKEN"  # noqa: S105 - a name
ACCOUNT = "CHATWOOT_ACCOUNT_ID"
COPY_TOKEN = (
    "copy the bot's access token from Settings → Bots, or run chatwoot-bot setup"  # noqa: S105 - advice
)


class Kind(StrEnum):
    """Whose token it is."""

    BOT = "bot"
    USER = "user"
    PLATFORM = "platform"
    UNKNOWN = "unknown"
    UNSEEN = "unseen"  # the header that carries it does not arrive
    REFUSED = "refused"  # something else is in the way


# Nothing is wrong with the token itself.
IN_THE_WAY = (Kind.UNSEEN, Kind.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What Chatwoot says of a token.

    Attributes:
        profile: a user's; None for any other kind.
        said: what was answered instead, for `REFUSED`.
    """

    kind: Kind
    profile: Profile | None = None
    said: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether calls with it can be answered at all."""
        return self.kind in (Kind.BOT, Kind.USER)


async def identify(client: AdminClient) -> Identity:
    """Return whose token it is.

    Raises:
        ChatwootError: no answer, or one that is not Chatwoot's.
    """
    answer = await client.ask("GET", "/api/v1/profile")
    if answer.is_success:
        return Identity(kind=Kind.USER, profile=await client.profile())
    match answer.refusal:
        case Refusal.NOT_FOR_BOTS:
            # Chatwoot says the same to a platform app's token.
            apps = await client.ask("GET", "/platform/api/v1/agent_bots")
            return Identity(kind=Kind.PLATFORM if apps.is_success else Kind.BOT)
        case Refusal.UNKNOWN:
            return Identity(kind=Kind.UNKNOWN)
        case Refusal.ANONYMOUS:
            return Identity(kind=Kind.UNSEEN)
    return Identity(kind=Kind.REFUSED, said=f"{answer.status} {answer.words}".strip())


def check_token(identity: Identity) -> Finding:
    """Check that the token can post replies."""
    check = "token"
    match identity.kind:
        case Kind.BOT:
            return ok(check, "a bot's, known to Chatwoot")
        case Kind.USER:
            name = identity.profile.name if identity.profile else None
            return warn(
                check,
                f"a user's ({name}): replies appear as written by that person",
                setting=TOKEN,
                mend=COPY_TOKEN,
            )
        case Kind.PLATFORM:
            return fail(
                check,
                "a platform app's, which may not write messages",
                setting=TOKEN,
                mend=COPY_TOKEN,
            )
        case Kind.UNKNOWN:
            return fail(
                check, "Chatwoot does not know it", setting=TOKEN, mend=COPY_TOKEN
            )
    return _in_the_way(check, identity, TOKEN)


def _in_the_way(check: str, identity: Identity, setting: str) -> Finding:
    if identity.kind is Kind.REFUSED:
        return fail(
            check,
            f"Chatwoot's profile page answered {identity.said}",
            setting="CHATWOOT_BASE_URL",
            mend="give Chatwoot's own address, without a path or a sign-in before it",
        )
    return fail(
        check,
        f"a proxy before Chatwoot drops the header {HEADER} that carries it",
        setting=setting,
        mend=f"let the header {HEADER} through",
    )


def check_user_token(identity: Identity | None, account_id: int | None) -> Finding:
    """Check the optional token that reads what a bot's may not.

    Args:
        identity: None when the token is not set.
    """
    check = "user token"
    if identity is None:
        return ok(check, "not set (optional: finds lost webhooks, and helps doctor)")
    profile = identity.profile
    if profile is None:
        if identity.kind in IN_THE_WAY:
            return _in_the_way(check, identity, USER_TOKEN)
        whose = "unknown to Chatwoot"
        if identity.kind is not Kind.UNKNOWN:
            whose = f"a {identity.kind}'s, not a user's"
        mend = "copy the access token from Profile settings in Chatwoot, or empty it"
        return fail(check, f"it is {whose}", setting=USER_TOKEN, mend=mend)
    role = profile.role(account_id) if account_id else "user"
    if role is None:
        return fail(
            check,
            f"{profile.name} is not in account {account_id}",
            setting=USER_TOKEN,
            mend="take the token of a user who is, or mend CHATWOOT_ACCOUNT_ID",
        )
    return ok(check, f"{profile.name}, {role}")


@dataclass(frozen=True, slots=True)
class Right:
    """One call that the service makes, tried on a conversation that does not exist."""

    what: str
    method: str
    path: str
    body: Any
    needed: bool


RIGHTS = (
    Right("post messages", "POST", "/messages", {"content": "doctor"}, True),
    Right("set the status", "POST", "/toggle_status", {"status": "pending"}, True),
    Right(
        "show that it types",
        "POST",
        "/toggle_typing_status",
        {"typing_status": "off"},
        False,
    ),
    Right("read a conversation", "GET", "", None, False),
)


async def check_rights(
    client: AdminClient, identity: Identity, account_id: int
) -> list[Finding]:
    """Check account and rights: Chatwoot refuses before it looks for a conversation.

    Raises:
        ChatwootError: no answer.
    """
    nobody = f"/api/v1/accounts/{account_id}/conversations/0"
    answers = await asyncio.gather(
        *(client.ask(r.method, nobody + r.path, r.body) for r in RIGHTS)
    )
    account = _account(answers, identity, account_id)
    if account.level is Level.FAIL:
        return [account, skip("rights", "not looked at, because of the account")]
    return [account, _rights([answer.refusal for answer in answers])]


def _account(answers: list[Answer], identity: Identity, account_id: int) -> Finding:
    profile = identity.profile
    elsewhere = any(a.refusal is Refusal.OTHER_ACCOUNT for a in answers)
    for answer in answers:
        if answer.refusal in (Refusal.SUSPENDED, Refusal.NO_API):
            said = str(answer.refusal)
            what, _, mend = said.partition(": ")
            return fail("account", what, setting=ACCOUNT, mend=mend)
    if elsewhere or (profile is not None and profile.role(account_id) is None):
        return fail(
            "account",
            f"the token is not valid in account {account_id}",
            setting=ACCOUNT,
            mend="set it to the number in Chatwoot's URL (/app/accounts/…), or take "
            "the token of a bot of that account",
        )
    return ok("account", f"{account_id}, and the token is not refused there")


def _rights(refusals: list[Refusal | None]) -> Finding:
    lacking = [
        right
        for right, refusal in zip(RIGHTS, refusals, strict=True)
        if refusal in (Refusal.NOT_FOR_BOTS, Refusal.NOT_ALLOWED)
    ]
    names = ", ".join(right.what for right in lacking)
    if any(right.needed for right in lacking):
        return fail(
            "rights", f"the token may not {names}", setting=TOKEN, mend=COPY_TOKEN
        )
    if lacking:
        return warn(
            "rights",
            f"in this release of Chatwoot a bot may not {names}",
            setting=TOKEN,
            mend="upgrade Chatwoot to 4.14.2 or newer; it works without, less exactly",
        )
    if any(refusal is not Refusal.NOT_FOUND for refusal in refusals):
        return warn(
            "rights",
            "Chatwoot did not answer every trial call as expected",
            setting=TOKEN,
            mend="look into Chatwoot's log, and run chatwoot-bot doctor again",
        )
    return ok("rights", ", ".join(right.what for right in RIGHTS))
