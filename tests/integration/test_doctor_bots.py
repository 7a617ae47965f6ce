"""`chatwoot-bot doctor` with a `bots.toml`: each bot's token, inboxes and model."""

import json

import pytest
from typer.testing import CliRunner

from chatwoot_bot.cli import app as cli
from chatwoot_bot.doctor.examination import examine
from chatwoot_bot.doctor.subject import Subject
from chatwoot_bot.http import make_client
from chatwoot_bot.settings import Settings
from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/webhook/chatwoot"
BOTS = """
[[bots]]
inboxes = [3]
name = "Ada"

[[bots]]
inboxes = [7]
name = "Bob"
token_env = "BOB_TOKEN"
secret_env = "BOB_SECRET"
base_url = "{model}"
api_key_env = "BOB_KEY"
model = "stand-in"
"""


@pytest.fixture
async def chatwoot():
    """A Chatwoot with two bots, which deliver here."""
    options = {"webhook_url": URL, "secret": "the-secret-of-ada", "bot_token": "t-ada"}
    async with Simulator(**options) as simulator:
        office = simulator.world.office
        bob = office.add_bot(
            "Bob", access_token="t-bob", secret="the-secret-of-bob", outgoing_url=URL
        )
        office.add_inbox("Two", "Channel::WebWidget", id=7, agent_bot_id=bob.id)
        yield simulator


async def findings(tmp_path, chatwoot, bots=BOTS, **environ):
    """Return what the doctor finds of the bots: check → finding."""
    return {
        each.check: each
        for each in await all_findings(tmp_path, chatwoot, bots, **environ)
        if each.check.startswith("bot ") or ", bot " in each.check
    }


async def all_findings(tmp_path, chatwoot, bots=BOTS, **environ):
    async with ModelStandIn() as model, make_client() as http:
        (tmp_path / "bots.toml").write_text(bots.replace("{model}", model.base_url))
        settings = Settings.load(
            {
                "CHATWOOT_BASE_URL": chatwoot.base_url,
                "CHATWOOT_API_TOKEN": "t-ada",
                "CHATWOOT_USER_TOKEN": "admin-token",
                "CHATWOOT_ACCOUNT_ID": "1",
                "CHATWOOT_WEBHOOK_SECRET": "the-secret-of-ada",
                "OPENAI_BASE_URL": model.base_url,
                "OPENAI_API_KEY": "k-environment",
                "OPENAI_MODEL": "stand-in",
                "DATABASE_URL": f"sqlite:///{tmp_path / 'bot.db'}",
                "PUBLIC_URL": "http://127.0.0.1:9",
                "BOTS_FILE": str(tmp_path / "bots.toml"),
                "BOB_TOKEN": "t-bob",
                "BOB_SECRET": "the-secret-of-bob",
                "BOB_KEY": "k-bob",
                **environ,
            }
        )
        subject = Subject(settings=settings, http=http, public_url=None)
        return await examine(subject)


async def test_sound_file(tmp_path, chatwoot):
    found = await findings(tmp_path, chatwoot)

    assert {name: (each.level, each.message[:22]) for name, each in found.items()} == {
        "bot Ada": ("ok", "inboxes 3"),
        "token, bot Bob": ("ok", "a bot's, known to Chat"),
        "bot Bob": ("ok", "inboxes 7"),
        "model, bot Bob": ("ok", "stand-in at http://127"),
    }


async def test_without_an_administrator_inboxes_cannot_be_seen(tmp_path, chatwoot):
    found = await findings(tmp_path, chatwoot, CHATWOOT_USER_TOKEN="user-token")

    assert (found["bot Bob"].level, found["token, bot Bob"].level) == ("skip", "ok")


def bob_in_chatwoot(**changes):
    def apply(chatwoot):
        for name, value in changes.items():
            setattr(chatwoot.world.office.bots[5], name, value)

    return apply


def disconnect(chatwoot):
    chatwoot.world.office.inboxes[7].agent_bot_id = None


def connect_ada(chatwoot):
    chatwoot.world.office.inboxes[7].agent_bot_id = 4


BROKEN = {
    "unknown inbox": (
        lambda chatwoot: chatwoot.world.office.inboxes.pop(7),
        {},
        ("bot Bob", "fail", "inboxes", "account 1 has no inbox 7"),
    ),
    "not connected": (
        disconnect,
        {},
        ("bot Bob", "fail", "inboxes", "connected to no bot"),
    ),
    "connected to another": (
        connect_ada,
        {},
        ("bot Bob", "warn", "token_env", "inbox 7 is connected to Ada, and answered"),
    ),
    "old token": (
        lambda chatwoot: None,
        {"BOB_TOKEN": "t-old"},
        ("token, bot Bob", "fail", "token_env", "Chatwoot does not know it"),
    ),
    "another secret": (
        bob_in_chatwoot(secret="s-new"),
        {},
        ("bot Bob", "fail", "secret_env", "signed with the secret of Bob"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_each_way_to_break_a_bot_has_its_key_and_its_mend(
    tmp_path, chatwoot, name
):
    apply, environ, (check, level, setting, words) = BROKEN[name]
    apply(chatwoot)

    found = (await findings(tmp_path, chatwoot, **environ))[check]

    assert (found.level, found.setting) == (level, setting)
    assert words in found.message
    assert found.mend


async def test_bot_that_delivers_elsewhere_is_named_whosever_token_it_has(
    tmp_path, chatwoot
):
    """It is connected to its inbox, and nothing of it comes here."""
    bob_in_chatwoot(outgoing_url="http://127.0.0.1:9/old")(chatwoot)

    found = await all_findings(tmp_path, chatwoot)

    told = [(each.level, each.message) for each in found if each.check == "bot"]
    assert told == [
        ("ok", f"Ada delivers to {URL}"),
        ("fail", f"Bob delivers to http://127.0.0.1:9/old and not to {URL}"),
    ]


@pytest.mark.parametrize(
    ("bots", "environ", "setting"),
    [
        (BOTS, {}, "BOTS_FILE"),
        ("[[bots]]", {"CHATWOOT_INBOX_ID": "3,7"}, "CHATWOOT_INBOX_ID"),
    ],
)
async def test_inbox_whose_bot_nobody_serves_is_a_failure(
    tmp_path, chatwoot, bots, environ, setting
):
    """Its conversations begin pending: no answer, and no agent who sees them."""
    office = chatwoot.world.office
    office.add_inbox("Three", "Channel::WebWidget", id=9, agent_bot_id=4)

    found = await all_findings(tmp_path, chatwoot, bots, **environ)

    [failed] = [each for each in found if (each.check, each.level) == ("inbox", "fail")]
    assert failed.message.startswith("inbox 9 (Three) is connected to")
    assert failed.setting == setting
    assert failed.mend


async def test_model_of_a_bot_is_asked_for_by_its_own_keys(tmp_path, chatwoot):
    bots = BOTS.replace("stand-in", "gpt-nonsense").replace(
        "{model}", "http://127.0.0.1:9/v1"
    )
    found = (await findings(tmp_path, chatwoot, bots))["model, bot Bob"]

    assert (found.level, found.setting) == ("fail", "base_url")


def test_broken_file_is_a_finding_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOTS_FILE", "bots.toml")
    (tmp_path / "bots.toml").write_text("[[bots]]\n\nnmae = 'Ada'\n")

    done = CliRunner().invoke(cli, ["doctor", "--json"])
    [finding] = json.loads(done.stdout)["checks"]

    assert done.exit_code == 2
    assert finding["setting"] == "bots.toml:3 nmae"
    assert finding["mend"] == "mend that line"
