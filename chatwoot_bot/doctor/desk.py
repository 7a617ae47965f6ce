"""What agents find in the account: teams, labels, greetings, conversations of the bot.

An administrator's token shows it; each fault is one that contacts or agents feel later.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from ..chatwoot.admin import AdminClient
from ..chatwoot.provision import has_switch
from ..chatwoot.shown import Agent, Attribute, Label, Owned, Team
from ..settings import Settings
from .addresses import is_private
from .findings import Finding, fail, ok, skip, warn
from .office import NEEDS_ADMINISTRATOR, SETUP, Office

PAGES = 4  # of 25 open conversations each; an account may have thousands
AGENT_BOT = "AgentBot"
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the account has beside bots and inboxes.

    Attributes:
        opened: the newest open conversations, at most `PAGES` pages.
    """

    teams: Sequence[Team]
    agents: Sequence[Agent]
    labels: Sequence[Label]
    attributes: Sequence[Attribute]
    opened: Sequence[Owned]


async def visit_desk(client: AdminClient, account_id: int) -> Desk:
    """Read what there is.

    Raises:
        ChatwootError: some of it could not be read.
    """
    teams, agents, labels, attributes, opened = await asyncio.gather(
        client.list_teams(account_id),
        client.list_agents(account_id),
        client.list_labels(account_id),
        client.list_attributes(account_id),
        _opened(client, account_id),
    )
    return Desk(
        teams=teams, agents=agents, labels=labels, attributes=attributes, opened=opened
    )


async def _opened(client: AdminClient, account_id: int) -> list[Owned]:
    found: dict[int, Owned] = {}
    for page in range(1, PAGES + 1):
        rows = await client.list_open(account_id, page=page)
        if all(row.id in found for row in rows):
            break
        found |= {row.id: row for row in rows}
    return list(found.values())


def unseen_routing(settings: Settings) -> list[Finding]:
    """Say that nobody can tell whether team and agent exist, where they are set."""
    every = (settings, *(bot.settings for bot in settings.bots))
    set_here = (
        ("team", any(one.handoff_team_id for one in every)),
        ("assignee", any(one.handoff_assignee_id for one in every)),
    )
    return [skip(check, NEEDS_ADMINISTRATOR) for check, is_set in set_here if is_set]


async def check_desk(desk: Desk, office: Office, settings: Settings) -> list[Finding]:
    """Check all of it."""
    return [
        *_routing(desk, settings),
        _labels(desk, settings),
        _switch(desk, settings),
        *await _files(office, settings),
        *_panel(office, settings),
        *_greetings(office, settings),
        _owned(desk, office),
    ]


def _routing(desk: Desk, settings: Settings) -> list[Finding]:
    """Check that the team and the agent of each handover exist."""
    every = (settings, *(bot.settings for bot in settings.bots))
    found = []
    for check, setting, wanted, there in (
        ("team", "HANDOFF_TEAM_ID", [s.handoff_team_id for s in every], desk.teams),
        (
            "assignee",
            "HANDOFF_ASSIGNEE_ID",
            [s.handoff_assignee_id for s in every],
            desk.agents,
        ),
    ):
        names = {row.id: f"{row.id} ({row.name})" for row in there}
        numbers = dict.fromkeys(number for number in wanted if number is not None)
        unknown = [number for number in numbers if number not in names]
        if unknown:
            shown = ", ".join(names.values()) or "none at all"
            found.append(
                fail(
                    check,
                    f"Chatwoot has no {check} {unknown[0]}, so a handover reaches "
                    f"nobody there; there is {shown}",
                    setting=setting,
                    mend="set it to one of them, or empty it",
                )
            )
        elif numbers:
            shown = ", ".join(names[number] for number in numbers)
            found.append(ok(check, f"handovers go to {shown}"))
    return found


def _labels(desk: Desk, settings: Settings) -> Finding:
    """Check that agents can choose the labels, and filter by them."""
    there = {label.title.lower() for label in desk.labels}
    every = (settings, *(bot.settings for bot in settings.bots))
    wanted = {
        label: name
        for one in every
        for name, labels in (
            ("HANDOFF_LABELS", one.handoff_labels),
            ("BOT_OFF_LABEL", filter(None, [one.bot_off_label])),
        )
        for label in labels
    }
    missing = [label for label in wanted if label.lower() not in there]
    if missing:
        return warn(
            "labels",
            f"Chatwoot has no label {missing[0]}, so agents cannot choose it or "
            "filter by it",
            setting=wanted[missing[0]],
            mend=f"{SETUP}, or create it in Settings → Labels",
        )
    return ok("labels", ", ".join(wanted) or "none are used")


def _switch(desk: Desk, settings: Settings) -> Finding:
    """Check that agents can set the attribute that silences the bot."""
    key = settings.bot_switch_attribute
    if key is None:
        return ok("attribute", "none is used")
    if any(has_switch(each, key) for each in desk.attributes):
        return ok("attribute", f"agents can set {key}")
    return warn(
        "attribute",
        f"Chatwoot has no conversation attribute {key}, so agents cannot set it",
        setting="BOT_SWITCH_ATTRIBUTE",
        mend=f"{SETUP}, or define it in Settings → Custom Attributes as a list of on "
        "and off",
    )


async def _files(office: Office, settings: Settings) -> list[Finding]:
    """Check that links to contacts' files, which begin with FRONTEND_URL, are read."""
    shown = _frontend_url(office)
    origin = _origin(shown)
    if origin is None:
        return []
    own = [settings.chatwoot_base_url or "", *settings.media_hosts]
    if origin in map(_origin, own):
        return [ok("files", f"links to files begin with {shown}, which may be read")]
    if not await is_private(shown):
        return [ok("files", f"links to files begin with {shown}, a public address")]
    return [
        warn(
            "files",
            f"Chatwoot's FRONTEND_URL is {shown}, a private address that is not "
            "CHATWOOT_BASE_URL: the bot does not open the files that contacts send",
            setting="MEDIA_HOSTS",
            mend=f"add {origin[0]}:{origin[1]} there, or set CHATWOOT_BASE_URL to "
            f"{shown}",
        )
    ]


def _panel(office: Office, settings: Settings) -> list[Finding]:
    """Check that agents open Chatwoot where the panel may be framed."""
    shown, ours = _frontend_url(office), settings.chatwoot_base_url or ""
    if _origin(shown) in (None, _origin(ours)):
        return []
    return [
        warn(
            "panel",
            f"agents open Chatwoot at {shown}, its FRONTEND_URL, and CHATWOOT_BASE_URL "
            f"is {ours}: their browsers do not show the bot's panel there",
            setting="CHATWOOT_BASE_URL",
            mend=f"set it to {shown}, if this service reaches Chatwoot there",
        )
    ]


def _frontend_url(office: Office) -> str:
    """Return Chatwoot's FRONTEND_URL; "" when no inbox shows it."""
    shown = (each.frontend_url for each in office.inboxes)
    return next(filter(None, shown), "")


def _origin(address: str) -> tuple[str, int | None] | None:
    """Return host and port; None when *address* is not a web address."""
    try:
        url = httpx.URL(address if "://" in address else f"https://{address}")
    except httpx.InvalidURL:
        return None
    return (url.host.lower(), url.port or PORTS.get(url.scheme)) if url.host else None


def _greetings(office: Office, settings: Settings) -> list[Finding]:
    """Tell what Chatwoot itself says in the inboxes before the bot does."""
    said = [
        f"{inbox.name}: {' and '.join(inbox.speaks_first)}"
        for inbox in office.inboxes
        if settings.serves(inbox.id) and inbox.speaks_first
    ]
    if not said:
        return []
    return [
        ok(
            "greeting",
            f"Chatwoot itself speaks before the bot ({'; '.join(said)}); the inbox's "
            "settings switch that off",
        )
    ]


def _owned(desk: Desk, office: Office) -> Finding:
    """Count open conversations of our bots: agents do not see them as unassigned."""
    ours = {bot.id for bot in office.ours}
    owned = [
        each.id
        for each in desk.opened
        if each.meta.assignee_type == AGENT_BOT
        and each.meta.assignee is not None
        and each.meta.assignee.id in ours
    ]
    if not owned:
        return ok("owner", "no open conversation still belongs to the bot")
    count = f"{len(owned)} open conversation{'s' if len(owned) > 1 else ''}"
    verb = "belong" if len(owned) > 1 else "belongs"
    return warn(
        "owner",
        f"{count} still {verb} to the bot, which agents may not see as unassigned "
        f"(such as {owned[0]})",
        setting=None,
        mend="assign them to an agent in Chatwoot under Conversations → All",
    )
