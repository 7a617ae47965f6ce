"""Whose token was presented."""

from dataclasses import dataclass
from typing import Literal

from .office import Office
from .records import Agent, Bot

TokenKind = Literal["bot", "user", "platform", "none", "invalid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose token was presented; neither for none and for an unknown one."""

    kind: TokenKind
    agent: Agent | None = None
    bot: Bot | None = None


def holder_of(office: Office, presented: str | None) -> Holder:
    """Return whose token was presented."""
    if not presented:
        return Holder(kind="none")
    if bot := office.bot_of(presented):
        return Holder(kind="bot", bot=bot)
    if agent := office.agent_of(presented):
        return Holder(kind="user", agent=agent)
    if presented == office.platform_token:
        return Holder(kind="platform")
    return Holder(kind="invalid")
