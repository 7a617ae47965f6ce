"""Where a conversation goes when the bot calls a human."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

PRIORITIES = ("low", "medium", "high", "urgent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The operator's choices; what is empty stays as it is.

    Attributes:
        team_id: Chatwoot's id of the team.
        assignee_id: Chatwoot's id of the agent.
        priority: one of `PRIORITIES`.
        labels: added to those that the conversation has.
        attributes: custom attributes, added likewise.
    """

    team_id: int | None = None
    assignee_id: int | None = None
    priority: str | None = None
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    @property
    def names_owner(self) -> bool:
        """Whether it says whose the conversation is."""
        return bool(self.team_id or self.assignee_id)

    def in_parts(self) -> "list[Routing]":
        """Return what is set before the conversation is opened, and what after.

        Agents are to see it with its labels, attributes and priority. Team and agent
        follow the status: since Chatwoot 4.17 nobody of a team is picked while a bot
        owns the conversation.
        """
        marks = replace(self, team_id=None, assignee_id=None)
        owner = Routing(team_id=self.team_id, assignee_id=self.assignee_id)
        return [part for part in (marks, owner) if part]

    def to_json(self) -> str:
        """Return the text to keep it by."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Routing":
        """Return what `to_json` was made of."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "labels": tuple(values["labels"])})
