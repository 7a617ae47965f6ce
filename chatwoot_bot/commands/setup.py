"""`chatwoot-bot setup`: make the bot in Chatwoot, connect it, and write `.env`.

Everything is read first, then shown, then done. An administrator's token is needed to
make the bot and to read its token and secret; it is used for that and kept nowhere.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

import httpx
import typer

from .. import envfile
from ..chatwoot import releases
from ..chatwoot.admin import AdminClient
from ..chatwoot.provision import Provisioned, Wanted, provision
from ..chatwoot.shown import Profile
from ..doctor.addresses import is_private
from ..doctor.connection import LATELY_S
from ..errors import ChatwootBotError, ChatwootError, SettingsError, StoreError
from ..http import make_client
from ..settings import Settings
from ..store.condition import look
from ..web.ops import STATIC
from .console import VisibleConsole
from .questions import Address, Known, Questions, Written, checked_token, known

ADMIN_ENV = "CHATWOOT_ADMIN_TOKEN"  # not a setting: the service never reads it
ADMINISTRATOR = "administrator"
T = TypeVar("T")
TO_COME = "(made with the bot)"
PICTURE = STATIC / "bot.png"

Url = Annotated[str | None, typer.Option(help="Chatwoot, as in the browser.")]
AdminToken = Annotated[
    str | None,
    typer.Option(
        envvar=ADMIN_ENV,
        show_envvar=True,
        help="Access token of an administrator (in Chatwoot: Profile settings). It "
        "makes the bot and reads its token and secret; it is kept nowhere.",
    ),
]
AccountId = Annotated[
    int | None, typer.Option(min=1, help="The account; its number is in the URL.")
]
InboxIds = Annotated[
    list[int] | None,
    typer.Option("--inbox-id", min=1, help="Inbox to answer in; may be repeated."),
]
PublicUrl = Annotated[
    str | None, typer.Option(help="Where Chatwoot reaches this service.")
]
AccountWebhook = Annotated[
    bool,
    typer.Option(
        "--account-webhook",
        help="Register an account webhook too, for inboxes without the bot.",
    ),
]
EnvFile = Annotated[Path, typer.Option(help="The file to write the settings to.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
]


def setup(
    chatwoot_url: Url = None,
    admin_token: AdminToken = None,
    account_id: AccountId = None,
    inbox_id: InboxIds = None,
    public_url: PublicUrl = None,
    account_webhook: AccountWebhook = False,
    env_file: EnvFile = Path(".env"),
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Connect the bot to Chatwoot and write its settings to .env; repeatable."""
    console = VisibleConsole(highlight=False, soft_wrap=True)
    options = {
        "CHATWOOT_BASE_URL": chatwoot_url,
        "CHATWOOT_ACCOUNT_ID": str(account_id or ""),
        "CHATWOOT_INBOX_ID": ",".join(map(str, inbox_id or ())),
        "PUBLIC_URL": public_url,
    }
    try:
        order = _Order(
            known=known(os.environ, env_file, options),
            admin_token=admin_token,
            account_webhook=account_webhook,
            env_file=env_file,
            yes=yes,
            dry_run=dry_run,
        )
        asyncio.run(_setup(order, Questions(console)))
    except ChatwootBotError as error:
        console.print(f"chatwoot-bot setup: {error}", style="red", markup=False)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from error
    except (KeyboardInterrupt, EOFError):
        raise typer.Exit(130) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What the command line asked for, and what the settings say already."""

    known: Known
    admin_token: str | None = field(repr=False)
    account_webhook: bool
    env_file: Path
    yes: bool
    dry_run: bool


async def _setup(order: _Order, questions: Questions) -> None:
    known, console = order.known, questions.console
    _require(order, questions)
    base_url, account_shown = known.chatwoot_url, known.account_shown
    async with make_client() as http:
        if base_url is None:
            base_url, account_shown = await _address(questions, http)
        client, profile = await _sign_in(order, questions, http, base_url)
        version = (await client.installation()).version
        account_id = _account(known.account_id, account_shown, profile, questions)
        wanted = await _wanted(order, questions, client, account_id)
        plan = await _patiently(
            questions, lambda: provision(client, wanted, dry_run=True)
        )
        values = _settings(base_url, wanted, plan, known.written, known.bot_name)
        console.print(
            f"Chatwoot {version} at {base_url}, account {wanted.account_id}",
            markup=False,
        )
        kept_to = values.get("CHATWOOT_INBOX_ID") if wanted.account_webhook else None
        port = _other_port(wanted.public_url, known.port)
        warnings = await _warnings(order, wanted, plan, version, kept_to)
        for warning in (*warnings, *port):
            console.print(f"! {warning}", style="yellow", markup=False)
        for hint in plan.hints:
            console.print(hint, markup=False)
        lines = plan.changes + _file_changes(order.env_file, values)
        if not _agreed(order, questions, lines):
            return
        done = await _patiently(
            questions, lambda: provision(client, wanted, dry_run=False)
        )
    envfile.write(
        order.env_file, _settings(base_url, wanted, done, known.written, known.bot_name)
    )
    late = _hidden(done, version) if plan.bot is None else []
    late += [each for each in done.warnings if each not in plan.warnings]
    for warning in (*late, *_overruled(order.env_file), *_lacks_model(order.env_file)):
        console.print(f"! {warning}", style="yellow", markup=False)
    console.print("Done. Start the service, then look whether all is well:")
    console.print("  chatwoot-bot serve\n  chatwoot-bot doctor")


def _require(order: _Order, questions: Questions) -> None:
    """Refuse to begin with what is malformed, or missing with nobody to ask."""
    known = order.known
    problems = dict(known.problems)
    if order.admin_token:
        try:
            checked_token(order.admin_token)
        except SettingsError as error:
            problems |= error.problems
    questions.require(
        {
            "--chatwoot-url": known.chatwoot_url,
            "--admin-token": order.admin_token,
            "--public-url": known.public_url,
            "--yes": order.yes or order.dry_run,
        },
        problems,
    )


async def _address(questions: Questions, http: httpx.AsyncClient) -> Address:
    """Ask for Chatwoot's address until Chatwoot answers there."""
    while True:
        address = questions.chatwoot()
        client = AdminClient(http, base_url=address.url, token="")
        try:
            await client.installation()  # needs no token
        except ChatwootError as error:
            questions.refuse(error)
        else:
            return address


async def _patiently(questions: Questions, call: Callable[[], Awaitable[T]]) -> T:
    """Return what *call* does; while Chatwoot is away, offer to repeat it.

    Raises:
        ChatwootError: Chatwoot refused, or nobody wants to wait for it.
    """
    while True:
        try:
            return await call()
        except ChatwootError as error:
            is_away = error.in_doubt or (error.status_code or 0) >= 500
            if not (questions.can_ask and is_away):
                raise
            questions.refuse(error)
            if not questions.again():
                raise


async def _sign_in(
    order: _Order, questions: Questions, http: httpx.AsyncClient, base_url: str
) -> tuple[AdminClient, Profile]:
    """Return the client of whose token it is; one that was asked for, until it fits.

    Raises:
        ChatwootError: no answer, not Chatwoot, or a refused token of the options.
    """
    given = order.admin_token
    if given is None:
        questions.explain_token()
    while True:
        token = questions.admin_token() if given is None else checked_token(given)
        client = AdminClient(http, base_url=base_url, token=token)
        await client.installation()  # first: what is not Chatwoot knows no token
        try:
            return client, await client.profile()
        except ChatwootError as error:
            if given is not None or error.status_code != 401:
                raise
            questions.refuse(error)


def _account(
    known: int | None, shown: int | None, profile: Profile, questions: Questions
) -> int:
    """Return the account: as set, as in Chatwoot's address, or chosen now."""
    if known is None and shown and profile.role(shown) == ADMINISTRATOR:
        return shown
    account_id = known or questions.account(profile)
    if profile.role(account_id) != ADMINISTRATOR:
        raise ChatwootError(
            f"{profile.name} is no administrator of account {account_id}: give the "
            "access token of one, or another --account-id",
            status_code=None,
        )
    return account_id


async def _wanted(
    order: _Order, questions: Questions, client: AdminClient, account_id: int
) -> Wanted:
    """Gather what shall be, asking for what is missing."""
    known = order.known
    inbox_ids = known.inbox_ids
    if not inbox_ids and not order.account_webhook:
        there = await _patiently(questions, lambda: client.list_inboxes(account_id))
        inbox_ids = questions.inboxes(there)
    name = known.bot_name
    if questions.can_ask and not known.is_named and not order.yes:
        name = questions.name(name)
    return Wanted(
        account_id=account_id,
        bot_name=name,
        public_url=known.public_url
        or questions.url("--public-url", "Where Chatwoot reaches this service"),
        inbox_ids=inbox_ids,
        account_webhook=order.account_webhook,
        token=known.bot_token,
        labels=known.labels,
        switch_attribute=known.switch_attribute,
        picture=PICTURE.read_bytes(),
    )


def _agreed(order: _Order, questions: Questions, lines: list[str]) -> bool:
    """Show what would happen; return whether it shall."""
    console = questions.console
    if not lines:
        console.print("Everything is already as it should be; nothing was changed.")
        return False
    for line in lines:
        console.print(f"+ {line}", style="green", markup=False)
    if order.dry_run:
        console.print("Nothing was changed (--dry-run).")
        return False
    return order.yes or questions.confirmed()


def _settings(
    base_url: str,
    wanted: Wanted,
    got: Provisioned,
    written: Written,
    known_name: str,
) -> Mapping[str, str]:
    """Return the settings to write, never the administrator's token."""
    values = {
        "PUBLIC_URL": wanted.public_url,
        "CHATWOOT_BASE_URL": base_url,
        "CHATWOOT_ACCOUNT_ID": str(wanted.account_id),
    }
    if wanted.bot_name != known_name:
        values["BOT_NAME"] = wanted.bot_name
    token = got.bot.access_token if got.bot else TO_COME
    if token:
        values["CHATWOOT_API_TOKEN"] = token
    secrets = got.secrets if got.has_all_secrets else [TO_COME]
    inboxes = wanted.inbox_ids
    if (written.base_url, written.account_id) == (base_url, wanted.account_id):
        # Of an earlier run, or another bot's; forgetting them would silence inboxes.
        inboxes = tuple(dict.fromkeys((*written.inbox_ids, *inboxes)))
        secrets = list(dict.fromkeys((*written.secrets, *secrets)))
    if secrets:
        values["CHATWOOT_WEBHOOK_SECRET"] = ",".join(secrets)
    if written.inbox_ids or (len(inboxes) == 1 and not wanted.account_webhook):
        values["CHATWOOT_INBOX_ID"] = ",".join(map(str, inboxes))
    return values


def _file_changes(path: Path, values: Mapping[str, str]) -> list[str]:
    """Return what would change in the file, by name only: values are secrets."""
    names = envfile.changed_names(path, values)
    if names:
        return [f"write {', '.join(names)} to {path}"]
    return [] if envfile.is_private(path) else [f"make {path} readable by you only"]


async def _warnings(
    order: _Order,
    wanted: Wanted,
    plan: Provisioned,
    version: str | None,
    kept_to: str | None,
) -> list[str]:
    found = [*plan.warnings]
    if kept_to:
        found.append(
            f"CHATWOOT_INBOX_ID keeps the bot to {kept_to}: empty it to answer in the "
            "other inboxes that the account webhook tells of"
        )
    release = releases.parse(version)
    blocks = release is None or release >= releases.BLOCKS_PRIVATE
    warned = blocks and await is_private(wanted.public_url)
    if warned and not await _is_delivered(order.env_file, wanted.public_url):
        found.append(
            f"{wanted.public_url} is a private address, and Chatwoot since 4.14 "
            "delivers to none: set SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true in Chatwoot's "
            "environment, or give a public --public-url"
        )
    return found + _hidden(plan, version)


async def _is_delivered(path: Path, public_url: str) -> bool:
    """Return whether Chatwoot has delivered to *public_url* lately.

    Then it takes a private address, whatever its release does by itself.
    """
    variables = dict(os.environ)
    envfile.read(path).share(variables)
    try:
        settings = Settings.load(variables)
        if settings.public_url != public_url:
            return False
        url = settings.database_url.get_secret_value()
        delivered_at = (await asyncio.to_thread(look, url)).delivered_at
    except (SettingsError, StoreError):
        return False  # nothing has run here yet
    return delivered_at is not None and time.time() - delivered_at < LATELY_S


def _hidden(got: Provisioned, version: str | None) -> list[str]:
    """Tell what Chatwoot does not show of the bot, and what to do about it."""
    found = []
    if got.bot is not None and not got.bot.access_token:
        found.append(
            "Chatwoot does not show the bot's token: copy it from Settings → Bots to "
            "CHATWOOT_API_TOKEN"
        )
    if got.bot is not None and not got.bot.secret:
        found.append(
            f"Chatwoot {version} shows no secret of the bot, because it does not sign "
            "bots' deliveries before 4.13: upgrade it, or set "
            "CHATWOOT_ALLOW_UNSIGNED=true and have your proxy take deliveries at a "
            "secret path only"
        )
    return found


def _other_port(public_url: str, port: int) -> list[str]:
    """Tell of a port in the public URL on which the service does not listen."""
    named = httpx.URL(public_url)
    # Behind https a proxy listens there.
    if named.scheme != "http" or named.port in (None, port):
        return []
    return [
        f"--public-url names port {named.port}, but the service listens on {port}: "
        f"set PORT={named.port}, unless a proxy listens there"
    ]


def _overruled(path: Path) -> list[str]:
    """Return which settings of the file the environment overrules."""
    given = {name: os.environ[name] for name in WRITTEN if os.environ.get(name)}
    names = envfile.changed_names(path, given)
    if not names:
        return []
    return [f"the environment sets {', '.join(names)} too and wins: unset it there"]


def _lacks_model(path: Path) -> list[str]:
    """Return what keeps the service from starting with what is set now."""
    variables = dict(os.environ)
    envfile.read(path).share(variables)
    try:
        Settings.load(variables)
    except SettingsError as error:
        problem = error.problems.get("OPENAI_API_KEY")
        return [f"OPENAI_API_KEY {problem}"] if problem else []
    return []


WRITTEN = (
    "PUBLIC_URL",
    "CHATWOOT_BASE_URL",
    "CHATWOOT_ACCOUNT_ID",
    "CHATWOOT_API_TOKEN",
    "CHATWOOT_WEBHOOK_SECRET",
    "CHATWOOT_INBOX_ID",
)
