"""The releases of Chatwoot that the simulator can be, and what tells them apart.

Recorded: 4.16 (4.16.2) and 4.17 (a build of upstream's development branch two days
before 4.17.0). Read in upstream's source only: what 4.18 and 4.19 add.

Source: docs/chatwoot/releases.md#417-to-419.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release.

    Attributes:
        name: Major and minor number, as `--release` takes it.
        version: What `GET /api` answers.
        is_owner_assigned: A conversation that a bot owns counts as assigned: it is
            not in the list "unassigned", and auto-assignment passes it over.
        assigning_sets_status: Assigning a bot makes a conversation pending; assigning
            an agent opens a pending conversation that a bot owns.
        checks_teams: An unknown team is 404; before, it took the team away.
        merges_attributes: `custom_attributes` takes `merge`, and attributes can be
            removed one by one.
        dates_status: Each change of status also changes `status_changed_at`.
        retries_only_failed: `messages/{id}/retry` ignores all but failed messages,
            and clears `source_id` outside of API inboxes and widgets.
        reads_flows: The answer to a WhatsApp Flow comes with its fields; before, it
            was an empty message.
        has_owner_type: The owner is polymorphic: `ai_assignee_type` changes with it.
        takes_bearer: `Authorization: Bearer` names the token, before all others.
        conversations_per_widget: New conversations of one address and widget, and in
            how many seconds.
        messages_per_widget: Messages of one address and widget, and in how many
            seconds; None is no limit.
    """

    name: str
    version: str
    is_owner_assigned: bool = False
    assigning_sets_status: bool = False
    checks_teams: bool = False
    merges_attributes: bool = False
    dates_status: bool = False
    retries_only_failed: bool = False
    reads_flows: bool = False
    has_owner_type: bool = False
    takes_bearer: bool = False
    conversations_per_widget: tuple[int, float] = (6, 12 * 3600.0)
    messages_per_widget: tuple[int, float] | None = None


R4_16 = Release(name="4.16", version="4.16.2")
R4_17 = replace(
    R4_16,
    name="4.17",
    version="4.17.1",
    is_owner_assigned=True,
    assigning_sets_status=True,
    checks_teams=True,
    merges_attributes=True,
    dates_status=True,
    retries_only_failed=True,
    reads_flows=True,
    conversations_per_widget=(30, 60.0),
    messages_per_widget=(60, 60.0),
)
R4_18 = replace(R4_17, name="4.18", version="4.18.0", has_owner_type=True)
R4_19 = replace(R4_18, name="4.19", version="4.19.0", takes_bearer=True)

RELEASES = {each.name: each for each in (R4_16, R4_17, R4_18, R4_19)}
DEFAULT = R4_16.name


def release_of(name: str) -> Release:
    """Return the release called *name*.

    Raises:
        ValueError: There is none; the text names those that there are.
    """
    if name not in RELEASES:
        raise ValueError(f"no release {name!r}; there are {', '.join(RELEASES)}")
    return RELEASES[name]
