"""What `setup` knows, and what it asks: on a terminal only.

Elsewhere a missing value is an error that names its option, because a script that
waits for an answer hangs for ever.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pydantic
from rich.console import Console
from rich.markup import escape
from rich.prompt import Confirm, Prompt
from rich.table import Table

from .. import envfile
from ..chatwoot.shown import Inbox, Profile
from ..errors import ChatwootBotError, SettingsError
from ..settings import Settings, Token, Url

WHY_ADMINISTRATOR = (
    "An administrator's access token is needed once: to make the bot, to connect its "
    "inboxes, and to read the bot's own token and secret. It is kept nowhere. In "
    "Chatwoot it is at the end of Profile settings."
)
MISSING = {
    "--chatwoot-url": "is missing: Chatwoot's address, such as https://chat.example.com",
    "--admin-token": "is missing (or CHATWOOT_ADMIN_TOKEN): the access token of an "
    "administrator, from Profile settings in Chatwoot; it is kept nowhere",
    "--public-url": "is missing: where Chatwoot reaches this service, such as "
    "https://bot.example.com",
    "--yes": "is missing: without a terminal nobody can be asked; or look first with "
    "--dry-run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the `.env` file says already; it may be of another installation."""

    base_url: str | None = None
    account_id: int | None = None
    inbox_ids: tuple[int, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What needs no question: options first, then environment, then file.

    Attributes:
        account_shown: the account in Chatwoot's address, as browsers show it.
        inbox_ids: empty when none is chosen.
        is_named: the bot's name was chosen, so it is no question.
        port: where the service listens.
        labels: that the bot sets or obeys.
        bot_token: the one the service would use now.
        problems: option or setting → what is wrong with it; it is not known then.
    """

    chatwoot_url: str | None
    account_id: int | None
    account_shown: int | None
    inbox_ids: tuple[int, ...]
    public_url: str | None
    bot_name: str
    is_named: bool
    port: int
    labels: tuple[str, ...]
    switch_attribute: str | None
    bot_token: str | None = field(repr=False)
    written: Written
    problems: Mapping[str, str]


class Address(NamedTuple):
    """Chatwoot's address, and the account that it shows; None for none."""

    url: str
    account_id: int | None


def known(
    environ: Mapping[str, str], env_file: Path, options: Mapping[str, str | None]
) -> Known:
    """Gather what is known.

    Args:
        options: setting → the option's text, or None when it was not given.
    """
    file = envfile.read(env_file).values
    layers: tuple[Mapping[str, str | None], ...] = (file, environ, options)
    given = {
        name: value.strip()
        for layer in layers
        for name, value in layer.items()
        if name in READ and value and value.strip()
    }
    # Apart from the rest: alone it would demand a token and a secret, which are what
    # this command is for.
    base_url, address = given.pop("CHATWOOT_BASE_URL", None), None
    settings, problems = _checked(given)
    try:
        address = address_of("CHATWOOT_BASE_URL", base_url) if base_url else None
    except SettingsError as error:
        problems |= error.problems
    token = settings.chatwoot_api_token
    return Known(
        chatwoot_url=address and address.url,
        account_shown=address and address.account_id,
        account_id=settings.chatwoot_account_id,
        inbox_ids=settings.chatwoot_inbox_id,
        public_url=settings.public_url,
        bot_name=settings.bot_name,
        is_named="BOT_NAME" in given,
        port=settings.port,
        labels=(
            *settings.handoff_labels,
            *filter(None, [settings.bot_off_label]),
        ),
        switch_attribute=settings.bot_switch_attribute,
        bot_token=token.get_secret_value() if token else None,
        written=_written(file),
        problems={
            OPTIONS[name] if options.get(name) else name: problem
            for name, problem in problems.items()
        },
    )


def _checked(given: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """Return the settings without what is malformed, and what is wrong with that."""
    try:
        return Settings.load(given), {}
    except SettingsError as error:
        problems = error.problems
    good = {name: value for name, value in given.items() if name not in problems}
    return Settings.load(good), problems


# The options that say what settings say.
OPTIONS = {
    "CHATWOOT_BASE_URL": "--chatwoot-url",
    "CHATWOOT_ACCOUNT_ID": "--account-id",
    "CHATWOOT_INBOX_ID": "--inbox-id",
    "PUBLIC_URL": "--public-url",
}
READ = (
    "CHATWOOT_BASE_URL",
    "CHATWOOT_API_TOKEN",
    "CHATWOOT_ACCOUNT_ID",
    "CHATWOOT_INBOX_ID",
    "PUBLIC_URL",
    "BOT_NAME",
    "PORT",
    "HANDOFF_LABELS",
    "BOT_OFF_LABEL",
    "BOT_SWITCH_ATTRIBUTE",
)


def _written(file: Mapping[str, str]) -> Written:
    try:
        ids = {name: file.get(name, "") for name in READ[2:4]}
        settings = Settings.load(ids)
    except SettingsError:
        settings = Settings.load({})
    secrets = file.get("CHATWOOT_WEBHOOK_SECRET", "")
    return Written(
        base_url=file.get("CHATWOOT_BASE_URL", "").strip().rstrip("/") or None,
        account_id=settings.chatwoot_account_id,
        inbox_ids=settings.chatwoot_inbox_id,
        secrets=tuple(filter(None, map(str.strip, secrets.split(",")))),
    )


def checked_url(name: str, value: str) -> str:
    """Return *value* as a URL without a trailing slash.

    Raises:
        SettingsError: it is none.
    """
    try:
        return pydantic.TypeAdapter(Url).validate_python(value.strip())
    except pydantic.ValidationError as error:
        problem = "must be a URL such as https://chat.example.com"
        raise SettingsError({name: problem}) from error


def address_of(name: str, value: str) -> Address:
    """Return Chatwoot's address out of any that its pages have in a browser.

    Raises:
        SettingsError: it is none.
    """
    url = checked_url(name, value)
    if match := PAGE.fullmatch(url):
        account = match["account"]
        return Address(match["root"], int(account) if account else None)
    return Address(url, None)


PAGE = re.compile(
    r"(?P<root>https?://[^/?#]+)/app(?:/accounts/(?P<account>[0-9]{1,9}))?"
    r"(?:[/?#].*)?"
)


class Questions:
    """Ask for what is missing, or raise `SettingsError` where nobody can answer."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.can_ask = sys.stdin.isatty() and console.is_terminal

    def require(
        self, values: Mapping[str, object], problems: Mapping[str, str]
    ) -> None:
        """Refuse to begin when an option is malformed, or missing with nobody to ask.

        Raises:
            SettingsError: it names all of them.
        """
        missing = {name: MISSING[name] for name, value in values.items() if not value}
        wrong = dict(problems) if self.can_ask else {**missing, **problems}
        if wrong:
            raise SettingsError(wrong)

    def chatwoot(self) -> Address:
        """Ask until the answer is an address that Chatwoot may have."""
        question = "Chatwoot's address, as in the browser"
        while True:
            try:
                return address_of("--chatwoot-url", self._text(question))
            except SettingsError as error:
                self.refuse(error)

    def url(self, name: str, question: str) -> str:
        """Ask until the answer is a URL."""
        while True:
            try:
                return checked_url(name, self._text(question))
            except SettingsError as error:
                self.refuse(error)

    def refuse(self, error: ChatwootBotError) -> None:
        """Say what is wrong with an answer, before the question comes again."""
        problems = error.problems.values() if isinstance(error, SettingsError) else ()
        for problem in problems or (str(error),):
            self.console.print(problem, style="red", markup=False)

    def admin_token(self) -> str:
        """Ask for the administrator's token, unseen, until it may be one."""
        while True:
            answer = Prompt.ask(
                "The administrator's access token", password=True, console=self.console
            )
            try:
                return checked_token(answer)
            except SettingsError as error:
                self.refuse(error)

    def explain_token(self) -> None:
        """Say what the administrator's token is for, and where it is."""
        self.console.print(WHY_ADMINISTRATOR, style="dim")

    def account(self, profile: Profile) -> int:
        """Choose among the accounts that the user administers."""
        choices = {
            account.id: account.name or ""
            for account in profile.accounts
            if account.role == "administrator"
        }
        if len(choices) == 1:
            return next(iter(choices))
        if not choices:
            raise SettingsError(
                {
                    "--admin-token": f"{profile.name} is an administrator of no "
                    "account: give the token of one who is"
                }
            )
        [chosen] = self._choose("--account-id", "account", choices)
        return chosen

    def inboxes(self, inboxes: Sequence[Inbox]) -> tuple[int, ...]:
        """Choose one or more inboxes."""
        choices = {
            inbox.id: f"{inbox.name} ({(inbox.channel_type or '').split('::')[-1]})"
            for inbox in inboxes
        }
        if not choices:
            raise SettingsError(
                {"--inbox-id": "there is no inbox yet: make one in Chatwoot first"}
            )
        return self._choose("--inbox-id", "inbox", choices, several=True)

    def _choose(
        self,
        option: str,
        noun: str,
        choices: Mapping[int, str],
        *,
        several: bool = False,
    ) -> tuple[int, ...]:
        if not self.can_ask:
            shown = ", ".join(f"{number} {name}" for number, name in choices.items())
            raise SettingsError({option: f"is missing: choose from {shown}"})
        table = Table(noun, "name")
        for number, name in choices.items():
            table.add_row(str(number), escape(name))
        self.console.print(table)
        default = str(next(iter(choices))) if len(choices) == 1 else ""
        hint = ", several with commas" if several else ""
        while True:
            answer = self._text(f"Which {noun}{hint}", default)
            parts = answer.replace(",", " ").split()
            chosen = tuple(int(part) for part in parts if part.isdecimal())
            fits = len(chosen) == len(parts) and set(chosen) <= choices.keys()
            if chosen and fits and (several or len(chosen) == 1):
                return chosen
            self.console.print("Please choose from the table.", style="red")

    def confirmed(self) -> bool:
        """Ask whether to go on."""
        return Confirm.ask("Do this?", console=self.console, default=True)

    def name(self, default: str) -> str:
        """Ask how the bot is called in Chatwoot; its contacts read that name."""
        return self._text("The bot's name, which contacts read", default)

    def again(self) -> bool:
        """Ask whether to repeat a call, so that no answer has to be typed again."""
        return Confirm.ask("Try again?", console=self.console, default=True)

    def _text(self, question: str, default: str = "") -> str:
        while not (answer := self._answer(question, default).strip()):
            pass
        return answer

    def _answer(self, question: str, default: str) -> str:
        if default:
            return Prompt.ask(question, console=self.console, default=default)
        return Prompt.ask(question, console=self.console)


def checked_token(value: str) -> str:
    """Return *value* as a token that a header can hold.

    Raises:
        SettingsError: it is none.
    """
    try:
        checked = pydantic.TypeAdapter(Token).validate_python(value.strip())
    except pydantic.ValidationError as error:
        problem = "must be ASCII without spaces; copy it again"
        raise SettingsError({"--admin-token": problem}) from error
    return checked.get_secret_value()
