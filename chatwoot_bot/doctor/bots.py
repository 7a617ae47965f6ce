"""The bots of `BOTS_FILE`: their tokens, their inboxes, their models."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pydantic

from ..bots import KEYS
from ..chatwoot.shown import AgentBot
from ..settings import BotSettings, Settings
from .findings import Finding, fail, ok, skip, warn
from .model import check_model, check_second_model
from .office import NEEDS_ADMINISTRATOR, SETUP, Office, reaches_us
from .own import check_tools
from .tokens import Identity, check_token

Whose = Callable[[pydantic.SecretStr], Awaitable[Identity]]


async def check_models(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    """Check the environment's models, and each that only a bot has."""
    findings = []
    asked = set()
    for own, check in (
        (Settings.llm, check_model),
        (Settings.second_llm, check_second_model),
    ):
        if (found := await check(settings, http)) is not None:
            findings.append(found)
        asked.add(own(settings))
        for bot in settings.bots:
            llm = own(bot.settings)
            if llm in asked:
                continue
            asked.add(llm)
            if (found := await check(bot.settings, http)) is not None:
                named = replace(found, check=f"{found.check}, {_name(bot)}")
                findings.append(_of(bot, named))
    return findings


def check_all_tools(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    """Check the tools of the bot for all other inboxes, and those of a bot's own."""
    others, *own = settings.bots
    found = check_tools(others, http)
    findings = [found] if found else []
    for bot in own:
        found = check_tools(bot, http)
        if found is not None and bot.settings.tools != others.settings.tools:
            named = replace(found, check=f"{found.check}, {_name(bot)}")
            findings.append(_of(bot, named))
    return findings


async def check_bots(
    settings: Settings, office: Office | None, url: str | None, whose: Whose
) -> list[Finding]:
    """Check that each bot's token is good, and that its inboxes reach it.

    Args:
        office: None when it could not be seen.
        url: where deliveries go, if that is known.
        whose: asks Chatwoot about a token.

    Raises:
        ChatwootError: no answer.
    """
    findings = []
    for bot in settings.bots:
        token = bot.settings.chatwoot_api_token
        if token is not None and token != settings.chatwoot_api_token:
            found = check_token(await whose(token))
            findings.append(_of(bot, replace(found, check=f"token, {_name(bot)}")))
        numbers = [inbox for inbox in bot.inboxes if isinstance(inbox, int)]
        if numbers and office is None:
            findings.append(skip(_name(bot), f"its inboxes: {NEEDS_ADMINISTRATOR}"))
        elif office is not None and numbers:
            wrong = [_check_inbox(bot, office, each, settings, url) for each in numbers]
            fine = ok(_name(bot), f"inboxes {', '.join(map(str, numbers))}")
            findings += list(filter(None, wrong)) or [fine]
    return findings


def _check_inbox(
    bot: BotSettings, office: Office, inbox_id: int, settings: Settings, url: str | None
) -> Finding | None:
    """Return what keeps the inbox from its bot, or None."""
    check = _name(bot)
    names = {inbox.id: inbox.name for inbox in office.inboxes}
    if inbox_id not in names:
        shown = ", ".join(f"{each} ({name})" for each, name in names.items())
        message = f"account {office.account_id} has no inbox {inbox_id}"
        mend = f"give one that is there: {shown or 'none yet'}"
        return fail(check, message, setting="inboxes", mend=mend)
    there, which = office.connected.get(inbox_id), f"inbox {inbox_id}"
    own = bot.settings.chatwoot_api_token
    is_its_own = (
        there is not None
        and own is not None
        and (there.access_token == own.get_secret_value())
    )
    if not is_its_own and not reaches_us(office, inbox_id, url):
        return fail(
            check,
            f"nothing of {which} comes here; it is connected to "
            f"{there.name if there else 'no bot'}",
            setting="inboxes",
            mend=f"{SETUP} --inbox-id {inbox_id}, or connect the agent bot with the "
            "token of token_env in Chatwoot, and give it this service's URL",
        )
    if there is None:
        return None
    secret = _check_secret(check, which, there, settings)
    if secret is None and there.access_token and not is_its_own:
        return warn(
            check,
            f"{which} is connected to {there.name}, and answered as another bot",
            setting="token_env",
            mend=f"name the variable that holds the access token of {there.name}",
        )
    return secret


def _check_secret(
    check: str, which: str, there: AgentBot, settings: Settings
) -> Finding | None:
    """Return whether the inbox's deliveries would be refused."""
    known = {each.get_secret_value() for each in settings.chatwoot_webhook_secret}
    if not there.secret or there.secret in known or not settings.signature_required:
        return None
    return fail(
        check,
        f"deliveries of {which} are signed with the secret of {there.name}, which is "
        "not known here, so they are refused",
        setting="secret_env",
        mend=f"name the variable that holds the secret of {there.name}",
    )


def _of(bot: BotSettings, finding: Finding) -> Finding:
    """Return *finding* with the bot's keys for the settings they stand in for."""
    setting, mend = finding.setting, finding.mend
    for name, key in KEYS.items():
        if name in bot.own and setting == name.upper():
            setting = ".".join(map(str, key))
            mend = mend.replace(name.upper(), setting) if mend else mend
    return replace(finding, setting=setting, mend=mend)


def _name(bot: BotSettings) -> str:
    return f"bot {bot.settings.bot_name}"
