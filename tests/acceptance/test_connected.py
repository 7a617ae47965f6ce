"""From nothing to an answered contact with the commands that an operator types."""

import asyncio
import json
import socket
import subprocess
import sys

import pytest
from service import Service, environment

from chatwoot_bot.simulator import Simulator
from chatwoot_bot.simulator.llm import ModelStandIn

pytestmark = pytest.mark.anyio


async def command(folder, *arguments, **settings):
    """Run chatwoot-bot in *folder* to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "chatwoot_bot", *arguments],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
    )


async def doctor(folder, **settings):
    """Return the exit code and the level of each check."""
    done = await command(folder, "doctor", "--json", **settings)
    report = json.loads(done.stdout)
    return done.returncode, {c["check"]: c["level"] for c in report["checks"]}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


async def test_setup_then_doctor_then_a_conversation(tmp_path):
    """The whole way in: nothing is copied by hand and nothing is left to guess."""
    port = free_port()
    database = f"sqlite:///{tmp_path / 'bot.db'}"
    async with Simulator(webhook_url="") as sim, ModelStandIn() as model:
        (tmp_path / ".env").write_text(
            f"# the model\nOPENAI_BASE_URL={model.base_url}\nOPENAI_MODEL=stand-in\n"
            f"DATABASE_URL={database}\n"
        )
        setup = await command(
            tmp_path,
            *("setup", "--yes", "--chatwoot-url", sim.base_url, "--inbox-id", "3"),
            *("--public-url", f"http://127.0.0.1:{port}"),
            CHATWOOT_ADMIN_TOKEN="admin-token",
        )
        assert setup.returncode == 0, setup.stdout + setup.stderr

        before, levels = await doctor(tmp_path)
        assert (before, levels["webhook"]) == (1, "fail")  # nobody serves yet

        with Service(tmp_path, PORT=port):
            code, levels = await doctor(tmp_path, CHATWOOT_USER_TOKEN="admin-token")
            assert (code, levels.pop("address")) == (0, "warn")
            assert set(levels.values()) == {"ok"}, levels

            asked = await sim.contact_says("Do you ship to Norway?")
            [reply] = await sim.wait_for_replies(asked.conversation_id, 1)
            assert reply.content == "Answer to: Do you ship to Norway?"

            code, levels = await doctor(tmp_path)
            assert (code, levels["secret"]) == (0, "ok")  # that delivery proves it
            assert all(attempt.is_success for attempt in sim.delivery_log)

        again = await command(
            tmp_path, "setup", "--yes", CHATWOOT_ADMIN_TOKEN="admin-token"
        )
        assert "nothing was changed" in again.stdout
