"""The pages' pure logic, tested in Node as part of the one test run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "js"
LIMIT_S = 120


def test_javascript():
    """Everything in tests/js passes."""
    node = shutil.which("node")
    if node is None:
        message = "Node is not installed, so tests/js did not run"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    # By name: what `--test FOLDER` means differs between Node 20 and 22.
    files = sorted(str(path) for path in FOLDER.glob("*.test.js"))
    assert files, f"no tests in {FOLDER}"

    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", *files],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
