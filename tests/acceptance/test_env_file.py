"""`.env` beside the service: what it says, what it was meant to say, who reads it."""

import json
import subprocess
import sys

import pytest
from service import Service, environment

OWN = """
import os

print("own code sees", os.environ.get("SHOP_KEY"), os.environ.get("SHOP_URL"))

class Shop:
    async def respond(self, assignment, listener=None):
        return "Hello."
"""


def ended(folder, *arguments, **settings):
    """Run chatwoot-bot in *folder* to its end."""
    return subprocess.run(
        [sys.executable, "-m", "chatwoot_bot", *arguments],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_own_code_reads_it_from_the_environment(tmp_path):
    """The client of a model's server looks nowhere else; what is set goes before."""
    (tmp_path / "shop.py").write_text(OWN)
    (tmp_path / ".env").write_text("SHOP_KEY=k\nSHOP_URL=old\nRESPONDER=shop:Shop\n")

    with Service(tmp_path, SHOP_URL="new") as service:
        pass
    examined = ended(tmp_path, "doctor", SHOP_URL="new")

    assert "own code sees k new" in service.output
    assert "own code sees k new" in examined.stdout


def test_what_is_not_heeded_is_logged(tmp_path):
    (tmp_path / ".env").write_text("ADMIN_TOKN=hush\nCHATWOOT BASE_URL=x\n")

    with Service(tmp_path) as service:
        pass

    logged = [json.loads(line) for line in service.lines if line.startswith("{")]
    told = {line["name"]: line["why"] for line in logged if "why" in line}
    assert told == {
        ".env:2": "is not a NAME=value line",
        "ADMIN_TOKN": "is not a setting; did you mean ADMIN_TOKEN?",
    }
    assert "hush" not in service.output


@pytest.mark.parametrize("command", ["serve", "worker", "replay", "setup"])
def test_file_in_another_encoding_is_refused_in_words_that_help(tmp_path, command):
    (tmp_path / ".env").write_text("PORT=9000\n", encoding="utf-16")

    refused = ended(tmp_path, command)

    assert refused.returncode == 2
    assert ".env: is not UTF-8" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


def test_misspelt_name_is_told_with_the_refusal_that_it_causes(tmp_path):
    (tmp_path / ".env").write_text("CHATWOOT_BASE_URL=http://x\nCHATWOOT_SECRET=s\n")

    refused = ended(tmp_path, "serve")

    assert refused.returncode == 2
    assert "CHATWOOT_SECRET is not a setting; did you mean" in refused.stderr
