"""The quick starts are run as they are written, against a real server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from service import Service

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOC = (ROOT / "docs" / "start" / "web-chat.md").read_text()
TRY_IT = (ROOT / "docs" / "start" / "try-it.md").read_text()


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path, python=sys.executable) as service:
        yield service


def run(service, *command, text):
    done = subprocess.run(
        command,
        input=text,
        env=os.environ | {"BASE": service.url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl_lines_do_what_they_say(service):
    script = "".join(blocks(DOC, "sh")).replace("http://127.0.0.1:8000", service.url)
    shown = run(service, "bash", "-e", "-x", text=script)

    assert '"sender":"ai"' in shown
    assert '"state":"handover_pending"' in shown
    assert '"content":"Maria here."' in shown
    assert '"reason":"asked_for_human"' in shown
    assert '"state":"ai","reason":"released"' in shown


def first_curl(text):
    """Return the curl command of a console block, and the answer shown below it."""
    lines = re.search(r"^ *\$ (curl .*\n.*)\n *(\{.*)$", text, re.MULTILINE)
    return re.sub(r"\\\n +", "", lines[1]), lines[2]


def test_first_curl_gets_the_answer_that_is_shown(service):
    """README and page have the same lines: the first that a newcomer types."""
    command, answer = first_curl(README)
    script = command.replace("http://127.0.0.1:8000", service.url)

    assert first_curl(TRY_IT) == (command, answer)
    assert run(service, "bash", "-e", text=script).startswith(answer.split("…")[0])


def test_readme_shows_no_sample_that_no_test_runs():
    """Samples are on pages, where tests run them; here they would only grow stale."""
    languages = re.findall(r"^ *```(\w+)$", README, re.MULTILINE)

    assert set(languages) == {"console"}


def test_javascript_talks_to_the_bot(service):
    [script] = blocks(DOC, "js")
    node = shutil.which("node")
    assert node, "the quick start is for Node too"
    # Node 20 has the browser's WebSocket behind a flag, later ones without.
    version = run(service, node, "--version", text="")
    flag = ["--experimental-websocket"] if version.startswith("v20.") else []
    shown = run(
        service, node, "--no-warnings", *flag, "--input-type=module", "-", text=script
    )

    assert "user: Hello!" in shown
    assert re.search(r"\nai: Hello", shown)
    assert len(script.splitlines()) <= 20
