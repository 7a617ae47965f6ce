"""`chatwoot-bot setup`, against the simulator: what it makes, and when it does not."""

import asyncio
import io
import os
import pty
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import termios
import time
from contextlib import closing

import dotenv
import httpx
import pytest
from service import environment
from typer.testing import CliRunner

from chatwoot_bot.chatwoot.provision import DESCRIPTION
from chatwoot_bot.cli import app
from chatwoot_bot.commands.console import VisibleConsole
from chatwoot_bot.commands.questions import Questions, address_of
from chatwoot_bot.commands.setup import _patiently
from chatwoot_bot.errors import ChatwootError
from chatwoot_bot.simulator import Simulator

pytestmark = pytest.mark.anyio

ADMIN = "admin-token"
PUBLIC = "https://127.0.0.1:8443"
WEBHOOK = f"{PUBLIC}/webhook/chatwoot"


@pytest.fixture
async def sim():
    """A Chatwoot where nobody has set up anything yet."""
    async with Simulator(webhook_url="") as sim:
        yield sim


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def run(*arguments, **environ):
    """Run the command elsewhere, because it has an event loop of its own."""
    runner = CliRunner()
    arguments = ["setup", *map(str, arguments)]
    return await asyncio.to_thread(runner.invoke, app, arguments, env=environ)


def options(sim, **changes):
    values = {
        "--chatwoot-url": sim.base_url,
        "--admin-token": ADMIN,
        "--public-url": PUBLIC,
        "--inbox-id": 3,
    } | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [part for pair in values.items() if pair[1] is not None for part in pair]


def written():
    return dotenv.dotenv_values(".env")


def writes(sim):
    return [call for call in sim.calls if call.method != "GET"]


def our_bot(sim):
    [bot] = [b for b in sim.world.office.bots.values() if b.name == "Assistant"]
    return bot


async def test_everything_is_made_and_written(sim):
    """One command from nothing to a connected bot."""
    result = await run(*options(sim), "--yes")

    bot = our_bot(sim)
    [dashboard] = sim.world.office.dashboard_apps.rows.values()
    assert result.exit_code == 0, result.output
    assert bot.outgoing_url == WEBHOOK
    assert sim.world.office.inboxes[3].agent_bot_id == bot.id
    assert dashboard["content"] == [{"type": "frame", "url": f"{PUBLIC}/dashboard-app"}]
    assert sim.world.office.webhooks == {}
    assert written() == {
        "PUBLIC_URL": PUBLIC,
        "CHATWOOT_BASE_URL": sim.base_url,
        "CHATWOOT_ACCOUNT_ID": "1",
        "CHATWOOT_API_TOKEN": bot.access_token,
        "CHATWOOT_WEBHOOK_SECRET": bot.secret,
        "CHATWOOT_INBOX_ID": "3",
    }
    assert "chatwoot-bot doctor" in result.output
    for secret in (ADMIN, bot.access_token, bot.secret):
        assert secret not in result.output


async def test_bot_has_a_picture_and_says_what_it_is(sim):
    """Agents see it in Settings → Bots, visitors beside each answer."""
    await run(*options(sim), "--yes")
    bot = our_bot(sim)
    async with httpx.AsyncClient(follow_redirects=True) as client:
        picture = await client.get(bot.avatar_url)
    second = await run(*options(sim), "--yes")

    assert picture.content.startswith(b"\x89PNG")
    assert picture.headers["content-type"] == "image/png"
    assert bot.description == DESCRIPTION
    assert "nothing was changed" in second.output


async def test_picture_and_description_of_an_administrators_choice_stay(sim):
    office = sim.world.office
    bot = office.add_bot("Assistant", outgoing_url=WEBHOOK, description="Our Ada")
    bot.avatar_url = "https://chat.example.com/ada.png"

    await run(*options(sim), "--yes")

    assert (bot.description, bot.avatar_url) == (
        "Our Ada",
        "https://chat.example.com/ada.png",
    )


async def test_picture_that_chatwoot_refuses_stops_nothing(sim):
    sim.faults.api("status", status=422, call="update_bot", times=None)

    result = await run(*options(sim), "--yes")

    assert result.exit_code == 0, result.output
    assert "Chatwoot did not take the picture" in result.output
    assert sim.world.office.inboxes[3].agent_bot_id == our_bot(sim).id


async def test_what_chatwoot_says_before_the_bot_is_told(sim):
    """Two voices in one chat surprise operators."""
    quiet = await run(*options(sim), "--dry-run")
    inbox = sim.world.office.inboxes[3]
    inbox.greeting_enabled = inbox.enable_email_collect = True
    told = await run(*options(sim), "--dry-run")

    words = "Chatwoot itself sends its greeting and asks for an e-mail address"
    assert words not in quiet.output
    assert words in told.output


async def test_proxy_that_drops_underscores_is_in_nobodys_way(sim):
    sim.faults.drop_underscores = True

    result = await run(*options(sim), "--yes")

    assert result.exit_code == 0, result.output
    assert sim.world.office.inboxes[3].agent_bot_id == our_bot(sim).id


@pytest.mark.parametrize(
    ("environ", "is_told"),
    [({}, True), ({"RESPONDER": "mock"}, False), ({"OLLAMA_MODEL": "m"}, False)],
)
async def test_missing_model_is_told_before_the_start_fails(sim, environ, is_told):
    """Without a model the service that was just set up would refuse to start."""
    result = await run(*options(sim), "--yes", **environ)

    assert ("OPENAI_API_KEY is required" in result.output) == is_told


async def test_second_run_changes_nothing_and_says_so(sim):
    """It may stand in a script that runs at every deployment."""
    await run(*options(sim), "--yes")
    file, calls = written(), len(writes(sim))

    result = await run("--admin-token", ADMIN, "--yes")

    assert result.exit_code == 0, result.output
    assert "nothing was changed" in result.output
    assert written() == file
    assert len(writes(sim)) == calls


@pytest.mark.parametrize("more", [[], ["--account-webhook"]])
async def test_dry_run_shows_and_changes_nothing(sim, more, folder):
    result = await run(*options(sim), *more, "--dry-run")

    assert result.exit_code == 0, result.output
    assert "create the agent bot Assistant" in result.output
    assert "connect inbox 3 (Website)" in result.output
    assert "CHATWOOT_API_TOKEN, CHATWOOT_WEBHOOK_SECRET" in result.output
    assert "Nothing was changed" in result.output
    assert writes(sim) == []
    assert list(folder.iterdir()) == []


async def test_what_stands_in_the_file_stays(sim, folder):
    """An operator's own settings and comments are not ours to touch."""
    path = folder / ".env"
    path.write_text("# mine\nOPENAI_API_KEY=key\nCHATWOOT_API_TOKEN= # the bot's\n")

    await run(*options(sim, env_file=path), "--yes")

    lines = path.read_text().splitlines()
    token = our_bot(sim).access_token
    assert lines[:3] == [
        "# mine",
        "OPENAI_API_KEY=key",
        f"CHATWOOT_API_TOKEN={token} # the bot's",
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert ADMIN not in path.read_text()


async def test_new_public_url_moves_the_same_bot(sim):
    """The token in `.env` says which bot is ours, whatever it is called now."""
    await run(*options(sim), "--yes")
    bot = our_bot(sim)
    moved = "https://127.0.0.1:9443"

    result = await run(
        *("--admin-token", ADMIN, "--public-url", moved, "--yes"), BOT_NAME="Ada II"
    )

    [dashboard] = sim.world.office.dashboard_apps.rows.values()
    assert result.exit_code == 0, result.output
    assert (bot.name, bot.outgoing_url) == ("Ada II", f"{moved}/webhook/chatwoot")
    assert written()["PUBLIC_URL"] == moved
    assert len(sim.world.office.bots) == 2
    assert dashboard["content"][0]["url"] == f"{moved}/dashboard-app"


async def test_second_inbox_does_not_silence_the_first(sim):
    """Both stay connected, so both must be answered."""
    second = sim.world.office.add_inbox("Shop", "Channel::Api")
    await run(*options(sim), "--yes")

    await run("--admin-token", ADMIN, "--inbox-id", second.id, "--yes")

    assert second.agent_bot_id == our_bot(sim).id
    assert written()["CHATWOOT_INBOX_ID"] == f"3,{second.id}"


async def test_several_inboxes_need_no_setting(sim):
    """Whatever is delivered is answered."""
    second = sim.world.office.add_inbox("Shop", "Channel::Api")

    await run(*options(sim), "--inbox-id", second.id, "--yes")

    assert "CHATWOOT_INBOX_ID" not in written()


async def test_account_webhook_and_both_secrets(sim):
    """Two routes sign with two secrets; the service takes both."""
    await run(*options(sim), "--account-webhook", "--yes")

    [hook] = sim.world.office.webhooks.values()
    assert hook.url == WEBHOOK
    assert {"message_created", "conversation_status_changed"} <= {*hook.subscriptions}
    secrets = f"{our_bot(sim).secret},{hook.secret}"
    assert written()["CHATWOOT_WEBHOOK_SECRET"] == secrets
    again = await run("--admin-token", ADMIN, "--account-webhook", "--yes")
    assert "nothing was changed" in again.output


async def test_subscriptions_that_lack_are_added(sim):
    """Somebody made the webhook by hand and forgot one."""
    hook = sim.world.office.add_webhook(WEBHOOK, ("message_created", "contact_created"))

    await run(*options(sim), "--account-webhook", "--yes")

    assert {"contact_created", "conversation_updated"} <= {*hook.subscriptions}


# Warnings.


async def test_bot_that_would_be_replaced_is_named(sim):
    """Two bots cannot have one inbox."""
    sim.world.office.inboxes[3].agent_bot_id = 4

    result = await run(*options(sim), "--dry-run")

    assert "connected to the bot Ada, which is replaced" in result.output


async def test_private_address_is_told(sim):
    """Chatwoot since 4.14 would hand every conversation to humans."""
    result = await run(*options(sim), "--dry-run")

    assert "SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true" in result.output


async def test_private_address_that_deliveries_come_to_is_no_trouble(
    sim, folder, migrated_file
):
    """Chatwoot allows it, whatever its release does by itself."""
    await run(*options(sim), "--yes")
    shutil.copy(migrated_file, folder / "bot.db")
    with closing(sqlite3.connect(folder / "bot.db")) as database, database:
        database.execute(
            "INSERT INTO deliveries (delivery_id, outcome, reason, received_at) "
            "VALUES ('d', 'accepted', '', ?)",
            (time.time(),),
        )
    runs = {"DATABASE_URL": f"sqlite:///{folder / 'bot.db'}", "OPENAI_API_KEY": "k"}

    again = await run(*options(sim), "--dry-run", **runs)
    moved = await run(
        *options(sim, public_url="https://127.0.0.1:9443"), "--dry-run", **runs
    )

    assert "private address" not in again.output
    assert "private address" in moved.output


async def test_bot_of_the_same_name_with_another_url_is_told(sim):
    """It may be another service's."""
    sim.world.office.add_bot("Assistant", outgoing_url="https://other.example")

    result = await run(*options(sim), "--dry-run")

    assert "delivers to https://other.example until now" in result.output
    assert "set the webhook URL of the bot Assistant" in result.output


async def test_second_bot_of_one_service_is_made_beside_the_first(sim, folder):
    """They share the URL; what tells them apart is the name."""
    await run(*options(sim), "--yes", BOT_NAME="Ada")
    sim.world.office.add_inbox("Two", "Channel::WebWidget", id=4)

    result = await run(
        *options(sim, env_file=folder / "bob.env", inbox_id=4), "--yes", BOT_NAME="Bob"
    )

    assert result.exit_code == 0, result.output
    assert "rename" not in result.output
    bots = {b.name: b.id for b in sim.world.office.bots.values() if b.name != "Bot"}
    assert {"Ada", "Bob"} <= set(bots)
    inboxes = sim.world.office.inboxes
    assert [inboxes[number].agent_bot_id for number in (3, 4)] == [
        bots["Ada"],
        bots["Bob"],
    ]


async def test_secret_of_another_bot_stays_in_the_file(sim, folder):
    """It signs what comes from another inbox."""
    await run(*options(sim), "--yes")
    bots = our_bot(sim).secret
    path = folder / ".env"
    path.write_text(path.read_text().replace(bots, f"{bots},second"))
    before = path.read_text()

    again = await run("--admin-token", ADMIN, "--yes")

    assert "nothing was changed" in again.output
    assert path.read_text() == before


async def test_new_secret_is_added_to_those_of_the_same_account(sim, folder):
    await run(*options(sim), "--yes")
    our_bot(sim).secret = "rotated"
    old = written()["CHATWOOT_WEBHOOK_SECRET"]

    await run("--admin-token", ADMIN, "--yes")

    assert written()["CHATWOOT_WEBHOOK_SECRET"] == f"{old},rotated"


async def test_release_that_does_not_sign_is_told(sim):
    """Before 4.13 a bot has no secret; nobody is let in unsigned by default."""
    sim.world.office.add_bot("Assistant", outgoing_url=WEBHOOK, secret="")

    result = await run(*options(sim), "--yes")

    assert result.exit_code == 0, result.output
    assert "set CHATWOOT_ALLOW_UNSIGNED=true" in result.output
    assert not {"CHATWOOT_WEBHOOK_SECRET", "CHATWOOT_ALLOW_UNSIGNED"} & written().keys()


async def test_webhook_beside_one_inbox_is_told(sim):
    """The setting that keeps to one inbox would ignore what the webhook brings."""
    await run(*options(sim), "--yes")

    result = await run("--admin-token", ADMIN, "--account-webhook", "--dry-run")

    assert "CHATWOOT_INBOX_ID keeps the bot to 3" in result.output


async def test_environment_that_wins_over_the_file_is_told(sim):
    """Otherwise the service would go on with the old token."""
    result = await run(*options(sim), "--yes", CHATWOOT_WEBHOOK_SECRET="old")

    assert "the environment sets CHATWOOT_WEBHOOK_SECRET too" in result.output


# What is wrong is named, with the mend.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"admin_token": "nope"}, "does not know this token"),
        ({"admin_token": "bot-token"}, "take a user's access token"),
        (
            {"admin_token": "user-token"},
            "Maria Gomez is an administrator of no account",
        ),
        ({"account_id": 2}, "Grace Hill is no administrator of account 2"),
        ({"inbox_id": 9}, "has no inbox 9: choose --inbox-id from 3 (Website)"),
        ({"inbox_id": None}, "--inbox-id: is missing: choose from 3 Website"),
        ({"public_url": "bot.example"}, "--public-url: must be a URL"),
        ({"chatwoot_url": "chat"}, "--chatwoot-url: must be a URL"),
        (
            {"chatwoot_url": "http://127.0.0.1:9"},
            "does not answer at http://127.0.0.1:9",
        ),
        ({"admin_token": "\N{LEFT SINGLE QUOTATION MARK}x"}, "copy it again"),
    ],
)
async def test_trouble_is_named_and_nothing_is_done(sim, changes, words, folder):
    result = await run(*options(sim, **changes), "--yes")

    assert result.exit_code in (1, 2)
    assert words in result.output
    assert writes(sim) == []
    assert list(folder.iterdir()) == []
    assert "Traceback" not in result.output


async def test_missing_values_are_all_named_at_once():
    """Off a terminal nobody can be asked."""
    result = await run()

    assert result.exit_code == 2
    for name in ("--chatwoot-url", "--admin-token", "--public-url", "--yes"):
        assert f"{name}: is missing" in result.output


async def test_malformed_values_are_all_named_at_once_by_their_options(sim):
    """With what is missing; what the environment says wrongly has its own name."""
    changes = {"chatwoot_url": "chat", "public_url": "bot.example"}
    wrong = options(sim, **changes, admin_token="\N{LEFT SINGLE QUOTATION MARK}x")
    result = await run(*wrong, CHATWOOT_ACCOUNT_ID="one", BOT_NAME="Ada")

    assert result.exit_code == 2
    for name in ("--chatwoot-url", "--public-url", "--admin-token"):
        assert f"  {name}: must be" in result.output
    assert "  CHATWOOT_ACCOUNT_ID: " in result.output
    assert "--yes: is missing" in result.output
    assert "PUBLIC_URL:" not in result.output


async def test_what_is_not_chatwoot_is_told(sim):
    """A path too much, or a sign-in page before it."""
    result = await run(*options(sim, chatwoot_url=f"{sim.base_url}/chat"), "--yes")

    assert "is not Chatwoot" in result.output


@pytest.mark.parametrize(
    "page", ["/app", "/app/login", "/app/accounts/1/dashboard", "/app?a=1#b"]
)
async def test_address_may_be_copied_from_any_page(sim, page):
    """As the browser shows it; the account's number in it is the default."""
    result = await run(*options(sim, chatwoot_url=f"{sim.base_url}{page}"), "--yes")

    assert result.exit_code == 0, result.output
    assert written()["CHATWOOT_BASE_URL"] == sim.base_url
    assert written()["CHATWOOT_ACCOUNT_ID"] == "1"


@pytest.mark.parametrize(
    ("page", "url", "account"),
    [
        ("https://app.example/app/accounts/42", "https://app.example", 42),
        ("https://chat.example/apple", "https://chat.example/apple", None),
        ("https://chat.example/", "https://chat.example", None),
    ],
)
def test_address_shows_the_account(page, url, account):
    assert address_of("--chatwoot-url", page) == (url, account)


async def test_on_a_terminal_it_asks(sim, folder):
    """Address, token, inbox and a yes, typed by a person; what is wrong, again."""
    answers = {
        "address": f"chat\nhttp://127.0.0.1:9\n{sim.base_url}/app/accounts/1/dashboard",
        "access token": f"wrong\n{ADMIN}",
        "Which inbox": "7\n3",
        "bot's name": "Ada",
        "reaches this service": PUBLIC,
        "Do this?": "y",
    }

    output, code = await asyncio.to_thread(converse, folder, answers)

    assert code == 0, output
    assert "is needed once" in output
    assert "does not know this token" in output
    assert "Please choose from the table" in output
    assert "does not answer at http://127.0.0.1:9" in output
    [bot] = [b for b in sim.world.office.bots.values() if b.name == "Ada"]
    assert bot.outgoing_url == WEBHOOK
    assert written()["BOT_NAME"] == "Ada"
    assert ADMIN not in output


async def test_only_inbox_is_the_default(sim, folder):
    """There is nothing to choose; its number need not be typed."""
    for number in [n for n in sim.world.office.inboxes if n != 3]:
        del sim.world.office.inboxes[number]
    answers = {
        "address": sim.base_url,
        "access token": ADMIN,
        "Which inbox": "\n",
        "bot's name": "\n",
        "reaches this service": PUBLIC,
        "Do this?": "y",
    }

    output, code = await asyncio.to_thread(converse, folder, answers)

    assert code == 0, output
    assert written()["CHATWOOT_INBOX_ID"] == "3"
    assert sim.world.office.inboxes[3].agent_bot_id == our_bot(sim).id


@pytest.mark.parametrize(
    ("url", "is_told"),
    [
        ("http://127.0.0.1:8460", True),
        ("http://127.0.0.1:8000", False),
        (PUBLIC, False),
    ],
)
async def test_port_on_which_nobody_listens_is_told(sim, url, is_told):
    result = await run(*options(sim, public_url=url), "--dry-run")

    assert ("set PORT=8460" in result.output) == is_told


class Somebody(Questions):
    """Who answers "Try again?" with what was given, in that order."""

    def __init__(self, *answers):
        super().__init__(VisibleConsole(file=io.StringIO()))
        self.can_ask = True
        self.answers = list(answers)

    def again(self):
        return self.answers.pop(0)


AWAY = ChatwootError("away", status_code=None, in_doubt=True)
BROKEN = ChatwootError("broken", status_code=502)


async def answers_of(*outcomes, person):
    """Return what comes of a call with these outcomes, one for each attempt."""
    waiting = iter(outcomes)

    async def call():
        outcome = next(waiting)
        if isinstance(outcome, ChatwootError):
            raise outcome
        return outcome

    return await _patiently(person, call)


async def test_answers_are_kept_while_chatwoot_is_away():
    """All of it was typed; a restart of Chatwoot must not cost it."""
    person = Somebody(True, True)

    assert await answers_of(AWAY, BROKEN, "done", person=person) == "done"
    assert person.answers == []


@pytest.mark.parametrize(
    ("error", "answers"),
    [(AWAY, [False]), (ChatwootError("refused", status_code=422), [])],
    ids=["enough", "refused"],
)
async def test_call_is_not_repeated_against_the_operators_wish(error, answers):
    with pytest.raises(ChatwootError, match=str(error)):
        await answers_of(error, person=Somebody(*answers))


QUESTION_S = 15


def converse(folder, answers):
    """Run the command on a terminal; type each answer when its question comes."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "chatwoot_bot", "setup"],
        cwd=folder,
        env=environment() | {"TERM": "dumb", "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        # Without a terminal of its own session the password is read from here.
        start_new_session=True,
    )
    os.close(theirs)
    output, waiting = "", dict(answers)
    while select.select([ours], [], [], QUESTION_S)[0]:
        try:
            chunk = os.read(ours, 4096).decode(errors="replace")
        except OSError:  # Linux says so when the other side has closed
            break
        if not chunk:
            break
        output += chunk
        for question, answer in list(waiting.items()):
            if re.search(re.escape(question) + r"[^\n]*: ?$", output):
                while "token" in question and termios.tcgetattr(ours)[3] & termios.ECHO:
                    time.sleep(0.01)  # it is not yet hiding what is typed
                first, _, rest = answer.partition("\n")
                os.write(ours, f"{first}\n".encode())
                del waiting[question]
                if rest:
                    waiting[question] = rest
                output += "\n"
    os.close(ours)
    try:
        return output, process.wait(timeout=QUESTION_S)
    finally:
        process.kill()
