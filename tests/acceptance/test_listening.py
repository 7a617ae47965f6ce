"""Where the service listens, and what it says when it cannot."""

import socket
import subprocess
import sys

import httpx
import pytest
from service import Service, environment


def refused(folder, **settings):
    """Return what a start that fails says, and that it says no more."""
    ended = subprocess.run(
        [sys.executable, "-m", "chatwoot_bot", "serve"],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert not list(folder.iterdir())  # found out before anything is made
    return ended.stderr


def test_port_that_is_not_free_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused(tmp_path, PORT=port)

    assert f"port {port} on 127.0.0.1 is not free. Stop what uses it, or set" in said


@pytest.mark.parametrize("host", ["203.0.113.7", "[::1]", "a..b"])
def test_host_that_is_not_this_machine_is_named(tmp_path, host):
    said = refused(tmp_path, HOST=host, PORT=0)

    assert f"HOST={host} cannot be listened on" in said
    assert "0.0.0.0" in said


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::1"])
def test_hosts_are_listened_on_in_any_form(tmp_path, host):
    with Service(tmp_path, HOST=host) as service:
        port = service.url.rpartition(":")[2]
        name = "[::1]" if host == "::1" else "127.0.0.1"
        answer = httpx.get(f"http://{name}:{port}/health")
        code = service.stop()

    assert answer.is_success
    assert code == 0
