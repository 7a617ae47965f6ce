"""Bring a Chatwoot account to where the bot answers; what is right stays untouched.

Each step reads, compares, and writes only a difference. So a second run changes
nothing, and a dry run is the same run without the writes.
"""

from dataclasses import dataclass, field

from ..errors import ChatwootError
from .admin import AdminClient
from .shown import AgentBot, Attribute, Inbox, Webhook

WEBHOOK_PATH = "/webhook/chatwoot"
DASHBOARD_PATH = "/dashboard-app"
DESCRIPTION = "Answers contacts, and hands the conversation to agents."
# What the service acts on (`core/events.py`); the rest would only be ignored.
SUBSCRIPTIONS = (
    "message_created",
    "message_updated",
    "conversation_updated",
    "conversation_status_changed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How it shall be.

    Attributes:
        public_url: where Chatwoot reaches this service, without a trailing slash.
        inbox_ids: inboxes to connect; others are left as they are.
        token: the bot's token that we have, to know the bot by; None at first.
        labels: that the bot sets or obeys.
        switch_attribute: of conversations, which silences the bot; None for none.
        picture: of a bot that has none, as PNG; empty for none.
    """

    account_id: int
    bot_name: str
    public_url: str
    inbox_ids: tuple[int, ...]
    account_webhook: bool = False
    token: str | None = field(default=None, repr=False)
    labels: tuple[str, ...] = ()
    switch_attribute: str | None = None
    picture: bytes = field(default=b"", repr=False)

    @property
    def webhook_url(self) -> str:
        """Where deliveries go."""
        return self.public_url + WEBHOOK_PATH


@dataclass(slots=True, kw_only=True)
class Provisioned:
    """What came of it.

    Attributes:
        bot: None when it does not exist because nothing was written.
        secrets: what signs deliveries to our URL, the bot's own first.
        has_all_secrets: False when one would be made by what was not written.
        changes: a sentence for each difference, done or only planned.
        warnings: what somebody should know before anything is done.
        hints: what will be seen beside the bot.
    """

    bot: AgentBot | None = None
    secrets: list[str] = field(default_factory=list, repr=False)
    has_all_secrets: bool = True
    changes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


async def provision(
    client: AdminClient, wanted: Wanted, *, dry_run: bool
) -> Provisioned:
    """Make bot, connections, dashboard app and webhook as *wanted*.

    Args:
        client: with an administrator's token.
        dry_run: change nothing, and tell what would change.

    Raises:
        ChatwootError: a call failed; what was done before stays done, and the next
            run goes on from there.
    """
    run = _Run(client, wanted, dry_run=dry_run)
    inboxes = await run.choose_inboxes()
    await run.bot()
    for inbox in inboxes:
        await run.connect(inbox)
    await run.dashboard_app()
    await run.webhook()
    await run.labels()
    await run.switch()
    return run.done


def has_switch(attribute: Attribute, key: str) -> bool:
    """Return whether *attribute* is the one of conversations with this key."""
    of_contacts = attribute.attribute_model == "contact_attribute"
    return attribute.attribute_key == key and not of_contacts


class _Run:
    """One run; `done` grows with each step."""

    def __init__(self, client: AdminClient, wanted: Wanted, *, dry_run: bool) -> None:
        self.done = Provisioned()
        self._client = client
        self._wanted = wanted
        self._account = wanted.account_id
        self._writes = not dry_run
        self._inboxes: list[Inbox] = []
        self._old_url = ""  # the public URL until now

    async def choose_inboxes(self) -> list[Inbox]:
        """Return the wanted inboxes, before anything is written."""
        self._inboxes = await self._client.list_inboxes(self._account)
        known = {inbox.id: inbox for inbox in self._inboxes}
        for inbox_id in self._wanted.inbox_ids:
            if inbox_id not in known:
                there = ", ".join(f"{i.id} ({i.name})" for i in self._inboxes)
                raise ChatwootError(
                    f"account {self._account} has no inbox {inbox_id}: choose "
                    f"--inbox-id from {there or 'none, so make an inbox first'}",
                    status_code=404,
                )
        return [known[inbox_id] for inbox_id in self._wanted.inbox_ids]

    async def bot(self) -> None:
        """Create the bot, or bring its name and URL up to date."""
        bots = await self._client.list_bots(self._account)
        found = self._find([bot for bot in bots if bot.account_id is not None])
        name, url = self._wanted.bot_name, self._wanted.webhook_url
        if found is None:
            self.done.changes.append(f"create the agent bot {name} for {url}")
            self.done.has_all_secrets = self._writes
            if self._writes:
                found = await self._client.create_bot(
                    self._account, name=name, url=url, description=DESCRIPTION
                )
        elif (found.name, found.outgoing_url) != (name, url):
            self._old_url = (found.outgoing_url or "").removesuffix(WEBHOOK_PATH)
            self._tell_of_update(found)
            if self._writes:
                # The answer may lack what the list showed, so it is not kept.
                await self._client.update_bot(
                    self._account, found.id, name=name, url=url
                )
        self.done.bot = found
        if found is not None:
            await self._describe(found)
            await self._picture(found)
        if found is not None and found.secret:
            self.done.secrets.append(found.secret)

    async def _describe(self, bot: AgentBot) -> None:
        """Say what the bot is, unless somebody has done so."""
        if bot.description:
            return
        self.done.changes.append(f"describe the bot {self._wanted.bot_name}")
        if self._writes:
            await self._client.describe_bot(self._account, bot.id, DESCRIPTION)

    async def _picture(self, bot: AgentBot) -> None:
        """Give the bot a picture where it has none; it can do without."""
        if bot.thumbnail != "" or not self._wanted.picture:
            return
        self.done.changes.append(f"give the bot {self._wanted.bot_name} a picture")
        if not self._writes:
            return
        try:
            await self._client.picture_bot(self._account, bot.id, self._wanted.picture)
        except ChatwootError as error:
            if error.status_code is None:
                raise
            self.done.warnings.append(f"Chatwoot did not take the picture: {error}")

    def _find(self, bots: list[AgentBot]) -> AgentBot | None:
        """Return our bot: by its token, else by its name, at best with our URL.

        Never by the URL alone: all bots of one service share it.
        """
        token, url = self._wanted.token, self._wanted.webhook_url
        named = [bot for bot in bots if bot.name == self._wanted.bot_name]
        candidates = [
            *(bot for bot in bots if token and bot.access_token == token),
            *(bot for bot in named if bot.outgoing_url == url),
            *named,
        ]
        return candidates[0] if candidates else None

    def _tell_of_update(self, bot: AgentBot) -> None:
        name, url = self._wanted.bot_name, self._wanted.webhook_url
        if bot.name != name:
            self.done.changes.append(f"rename the agent bot {bot.name} to {name}")
        if bot.outgoing_url != url:
            self.done.changes.append(f"set the webhook URL of the bot {name} to {url}")
            if bot.outgoing_url:
                self.done.warnings.append(
                    f"the bot {bot.name} delivers to {bot.outgoing_url} until now, and "
                    "then no more; another BOT_NAME makes a bot of its own"
                )

    async def connect(self, inbox: Inbox) -> None:
        """Connect one inbox to the bot."""
        self._tell_of_templates(inbox)
        there = await self._client.inbox_bot(self._account, inbox.id)
        ours = self.done.bot
        if there is not None and ours is not None and there.id == ours.id:
            return
        shown = f"{inbox.id} ({inbox.name})"
        self.done.changes.append(
            f"connect inbox {shown} to the bot {self._wanted.bot_name}"
        )
        if there is not None:
            self.done.warnings.append(
                f"inbox {shown} is connected to the bot {there.name}, which is replaced"
            )
        if self._writes and ours is not None:
            await self._client.connect_bot(self._account, inbox.id, ours.id)

    def _tell_of_templates(self, inbox: Inbox) -> None:
        """Tell what Chatwoot itself will say in *inbox* before the bot does."""
        if said := inbox.speaks_first:
            self.done.hints.append(
                f"inbox {inbox.id} ({inbox.name}): before the bot's first answer, "
                f"Chatwoot itself {' and '.join(said)}, as “Bot” and not as "
                f"{self._wanted.bot_name}; Settings → Inboxes switches that off"
            )

    async def dashboard_app(self) -> None:
        """Register the panel beside the conversation."""
        title, url = self._wanted.bot_name, self._wanted.public_url + DASHBOARD_PATH
        apps = await self._client.list_dashboard_apps(self._account)
        if any(frame.url == url for app in apps for frame in app.content):
            return
        # Ours from before the bot moved; never another's.
        old = next(
            (
                app.id
                for app in apps
                if self._old_url
                and any(f.url == self._old_url + DASHBOARD_PATH for f in app.content)
            ),
            None,
        )
        verb = "register" if old is None else "update"
        self.done.changes.append(f"{verb} the dashboard app {title} at {url}")
        if self._writes:
            await self._client.save_dashboard_app(
                self._account, title=title, url=url, app_id=old
            )

    async def webhook(self) -> None:
        """Register the account webhook if wanted; know the secrets of our URL."""
        url = self._wanted.webhook_url
        ours = [
            hook
            for hook in await self._client.list_webhooks(self._account)
            if hook.url == url
        ]
        if self._wanted.account_webhook:
            ours = await self._subscribe(ours)
        callbacks = [inbox for inbox in self._inboxes if inbox.webhook_url == url]
        secrets = [hook.secret for hook in ours] + [inbox.secret for inbox in callbacks]
        for secret in secrets:
            if secret and secret not in self.done.secrets:
                self.done.secrets.append(secret)

    async def labels(self) -> None:
        """Create the labels that agents could not choose otherwise."""
        there = {
            label.title.lower()
            for label in await self._client.list_labels(self._account)
        }
        for title in dict.fromkeys(label.lower() for label in self._wanted.labels):
            if title in there:
                continue
            self.done.changes.append(f"create the label {title}")
            if self._writes:
                await self._client.create_label(self._account, title)

    async def switch(self) -> None:
        """Define the attribute by which agents silence the bot."""
        key = self._wanted.switch_attribute
        if key is None:
            return
        attributes = await self._client.list_attributes(self._account)
        if any(has_switch(each, key) for each in attributes):
            return
        self.done.changes.append(f"define the conversation attribute {key} (on, off)")
        if self._writes:
            await self._client.create_list_attribute(
                self._account, key, name=key.capitalize(), values=("on", "off")
            )

    async def _subscribe(self, ours: list[Webhook]) -> list[Webhook]:
        hook = ours[0] if ours else None
        lacking = set(SUBSCRIPTIONS) - set(hook.subscriptions if hook else ())
        if not lacking:
            return ours
        url = self._wanted.webhook_url
        if hook is None:
            self.done.changes.append(f"register an account webhook for {url}")
            self.done.has_all_secrets &= self._writes
        else:
            names = ", ".join(sorted(lacking))
            self.done.changes.append(f"subscribe the account webhook to {names}")
        if not self._writes:
            return ours
        kept = hook.subscriptions if hook else ()
        saved = await self._client.save_webhook(
            self._account,
            url=url,
            subscriptions=(*kept, *(s for s in SUBSCRIPTIONS if s in lacking)),
            webhook_id=hook.id if hook else None,
        )
        return [saved]
