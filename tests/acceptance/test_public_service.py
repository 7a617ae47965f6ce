"""A service that others can reach: who is the operator, over real HTTP."""

import re

import httpx
import pytest
from service import ADMIN, Service

PUBLIC = {"PUBLIC_URL": "https://chat.example.com"}


def link_codes(service):
    return re.findall(r"(http\S+)/console#sign-in=(\S+)", service.output)


def test_operator_signs_in_with_the_link_that_the_terminal_shows(tmp_path):
    """It is printed for this machine and for the public address, and in no log."""
    with Service(tmp_path, ADMIN_TOKEN="", **PUBLIC) as service:
        links = link_codes(service)
        code = links[0][1]
        with httpx.Client(base_url=service.url) as client:
            before = client.get("/conversations")
            signed = client.post("/session", json={"token": code})
            after = client.get("/conversations")
        again = httpx.post(f"{service.url}/session", json={"token": code})
        service.stop()

    assert [url for url, _ in links] == [service.url, PUBLIC["PUBLIC_URL"]]
    assert {c for _, c in links} == {code}
    assert (before.status_code, after.status_code) == (401, 200)
    assert (signed.status_code, again.status_code) == (200, 401)
    logged = [line for line in service.lines if line.startswith("{")]
    assert logged
    assert code not in "".join(logged)


@pytest.mark.parametrize("settings", [{}, PUBLIC | {"ADMIN_TOKEN": ADMIN}])
def test_no_link_where_there_is_another_way(tmp_path, settings):
    with Service(tmp_path, **settings) as service:
        listed = httpx.get(f"{service.url}/conversations", headers=service.agent)

    assert listed.status_code == 200
    assert link_codes(service) == []


def test_proxy_on_this_machine_says_that_the_browser_came_over_tls(tmp_path):
    """uvicorn believes this machine; the cookie and HSTS follow."""
    told = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7"}
    with Service(tmp_path, **PUBLIC) as service:
        signed = httpx.post(
            f"{service.url}/session", json={"token": ADMIN}, headers=told
        )
        plain = httpx.get(f"{service.url}/session")

    assert signed.headers["set-cookie"].startswith("__Host-chatwoot_bot_session=")
    assert signed.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in plain.headers
    assert "server" not in signed.headers


def test_caller_behind_a_proxy_on_this_machine_is_not_the_operator(tmp_path):
    """Even of a service without any settings, if the proxy says that it is one."""
    with Service(tmp_path) as service, httpx.Client(base_url=service.url) as client:
        direct = client.get("/conversations")
        proxied = client.get("/conversations", headers={"x-forwarded-for": "127.0.0.1"})
        named = client.get("/conversations", headers={"host": "chat.example.com"})

    assert [a.status_code for a in (direct, proxied, named)] == [200, 403, 403]
