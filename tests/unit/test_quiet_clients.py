"""What others log, and what of it is shown."""

import subprocess
import sys

PROGRAM = """
import logging
from chatwoot_bot import logs

logs.configure("DEBUG", "json")
for name in ("httpx", "httpx2", "httpcore.http11", "httpcore2.http11", "openai"):
    logging.getLogger(name).info("GET https://x.example/?token=hush")
logging.getLogger("elsewhere").info("shown")
"""


def test_clients_do_not_log_what_they_ask_for():
    """An address may hold a token. The openai library brings clients of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    assert "hush" not in done.stderr
    assert "shown" in done.stderr
