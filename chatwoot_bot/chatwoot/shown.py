"""What Chatwoot shows an administrator, each as far as it is read here."""

from typing import Annotated

import pydantic
from pydantic import BeforeValidator, Field

WIDGET = "Channel::WebWidget"
MAX_SCRIPT = 20_000  # characters; Chatwoot's has about 600


def _token(shown: object) -> object:
    """Return the token as text; None when Chatwoot shows none.

    The list of bots shows the text alone. The bot of an inbox shows the whole record
    ``{id, owner_type, owner_id, token, ...}``, as the tests' recorded bodies have it.
    """
    text = shown.get("token") if isinstance(shown, dict) else shown
    return text or None


Token = Annotated[str | None, BeforeValidator(_token)]


class Shown(pydantic.BaseModel):
    """A part of what Chatwoot shows; it adds keys with every release."""

    model_config = pydantic.ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True
    )


class Installation(Shown):
    """What Chatwoot says of itself to anybody.

    Attributes:
        version: such as ``4.16.2``; None when it is not shown.
        at: its clock, Unix seconds; None when it is not shown.
    """

    version: str | None = None
    at: float | None = None


class Membership(Shown):
    """A user's place in one account."""

    id: int
    name: str | None = None
    role: str | None = None


class Profile(Shown):
    """Whose token it is."""

    id: int
    name: str | None = None
    accounts: tuple[Membership, ...] = ()

    def role(self, account_id: int) -> str | None:
        """Return ``administrator``, ``agent``, … or None without a place there."""
        return next((a.role for a in self.accounts if a.id == account_id), None)


class AgentBot(Shown):
    """An agent bot.

    Attributes:
        account_id: None for a bot of the whole installation.
        thumbnail: the address of its picture; empty for none, None when not shown.
        access_token: shown to administrators.
        secret: shown to administrators since 4.13.
    """

    id: int
    name: str | None = None
    outgoing_url: str | None = None
    account_id: int | None = None
    description: str | None = None
    thumbnail: str | None = None
    access_token: Token = Field(None, repr=False)
    secret: str | None = Field(None, repr=False)


class Inbox(Shown):
    """An inbox; only those of kind API have a webhook URL and a secret."""

    id: int
    name: str | None = None
    channel_type: str | None = None
    webhook_url: str | None = None
    secret: str | None = Field(None, repr=False)
    greeting_enabled: bool | None = None
    enable_email_collect: bool | None = None
    web_widget_script: str | None = Field(None, max_length=MAX_SCRIPT, repr=False)

    @property
    def speaks_first(self) -> list[str]:
        """Return what Chatwoot itself says there before the bot does, in words."""
        asks = self.enable_email_collect and self.channel_type == WIDGET
        said = (
            ("sends its greeting", self.greeting_enabled),
            ("asks for an e-mail address", asks),
        )
        return [words for words, is_on in said if is_on]

    @property
    def frontend_url(self) -> str | None:
        """Return Chatwoot's FRONTEND_URL, which the widget's script shows."""
        script = self.web_widget_script or ""
        return script.partition('BASE_URL="')[2].partition('"')[0].rstrip("/") or None


class Team(Shown):
    """A team of agents."""

    id: int
    name: str | None = None


class Agent(Shown):
    """A person who answers contacts."""

    id: int
    name: str | None = None


class Label(Shown):
    """A label of the account; Chatwoot keeps titles in lower case."""

    title: str


class Attribute(Shown):
    """The definition of a custom attribute."""

    attribute_key: str
    attribute_model: str | None = None


class Owner(Shown):
    """Who owns a conversation: an agent, an agent bot, or neither."""

    id: int | None = None


class Ownership(Shown):
    """What a list of conversations says about the owner."""

    assignee: Owner | None = None
    assignee_type: str | None = None


class Owned(Shown):
    """A conversation with its owner."""

    id: int
    meta: Ownership = Ownership()


class Webhook(Shown):
    """An account webhook; its secret is shown since 4.11.2."""

    id: int
    url: str | None = None
    subscriptions: tuple[str, ...] = ()
    secret: str | None = Field(None, repr=False)


class Frame(Shown):
    """One page of a dashboard app."""

    url: str | None = None


class DashboardApp(Shown):
    """A panel beside the conversation."""

    id: int
    title: str | None = None
    content: tuple[Frame, ...] = ()
