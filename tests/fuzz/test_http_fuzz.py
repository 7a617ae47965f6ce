"""Hostile requests made from our own OpenAPI document."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from service import Service

SECONDS = 180 if os.environ.get("FUZZ") == "long" else 25
TOKEN = "a-token-of-the-operator"


@pytest.mark.parametrize("caller", ["operator", "stranger"])
def test_requests_made_from_the_openapi_document_cause_no_server_error(
    caller, tmp_path
):
    """schemathesis sends what the document allows and what it forbids, for a while.

    `FUZZ=long` sends for three minutes each.
    """
    with Service(tmp_path, ADMIN_TOKEN=TOKEN) as service:
        finished = _schemathesis(service.url, caller, tmp_path)
        output = service.output

    assert finished.returncode == 0, finished.stdout[-8000:]
    sent = int(re.search(r"(\d+) generated", finished.stdout)[1])
    assert sent > 100, "too few requests to mean anything"
    assert "Traceback" not in output


def _schemathesis(url: str, caller: str, folder: Path) -> subprocess.CompletedProcess:
    proof = (
        ["--header", f"Authorization:Bearer {TOKEN}"] if caller == "operator" else []
    )
    return subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run"),
            *(f"{url}/openapi.json", *proof),
            *("--checks", "not_a_server_error", "--max-time", str(SECONDS)),
            *("--phases", "coverage,fuzzing", "--continue-on-failure"),
            *("--request-timeout", "10", "--warnings", "off", "--no-color"),
        ],
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=SECONDS + 120,
    )
