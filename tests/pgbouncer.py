"""A real PgBouncer before a PostgreSQL, on a port of its own."""

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scene import free_port

BINARY = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextlib.contextmanager
def pooled(folder: Path, server, *, mode: str, sessions: int) -> Iterator[str]:
    """Start one; yield a URL without the name of a database.

    Args:
        server: of the fixture `postgres`.
        mode: transaction or session.
        sessions: how many of the server's it may use for one database.
    """
    if BINARY is None:
        assert "CI" not in os.environ, "CI has to install pgbouncer"
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    port = free_port()
    info = server.get_postmaster_info()
    config = folder / f"pgbouncer-{mode}.ini"
    config.write_text(
        f"""[databases]
* = host={info.socket_dir} port={info.port or 5432} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {sessions}
max_client_conn = 200
"""
    )
    # It refuses to run as root, as the server does.
    user = ("-u", server.system_user) if server.system_user else ()
    process = subprocess.Popen(
        [BINARY, *user, config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    up = threading.Event()

    def read() -> None:
        for line in process.stderr:
            said.append(line)
            if "process up" in line:
                up.set()
        up.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        up.wait(30)
        assert process.poll() is None, "".join(said)
        yield f"postgresql://bot@127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        process.stderr.close()
    lost = [line for line in said if "when not linked" in line]
    assert not lost, lost
