"""Which addresses an attachment may be fetched from."""

import pytest

from chatwoot_bot.media.guard import Guard, RefusedAddressError, is_public, origin_of

INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # a cloud's metadata
    "100.64.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    # The same, wrapped.
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_inside_is_inside_however_it_is_written(address):
    """The way to a database, a router, or a cloud's keys."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_the_internet_is_open(address):
    """Storage of files is anywhere."""
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Chat.Example.com/app", ("chat.example.com", 443)),
        ("http://chatwoot:3000", ("chatwoot", 3000)),
        ("http://10.0.0.5", ("10.0.0.5", 80)),
        ("http://[::1]:3000/", ("::1", 3000)),
        ("minio:9000", ("minio", 9000)),
        ("files.internal", ("files.internal", 443)),
    ],
)
def test_operators_hosts_are_named_with_their_port(url, origin):
    assert origin_of(url) == origin


def test_one_private_address_is_enough_to_refuse_a_name():
    """Which of them is connected to would be a matter of luck."""
    guard = Guard([])
    guard.check("cdn.example", 443, ["1.1.1.1", "2606:4700::1111"])

    with pytest.raises(RefusedAddressError):
        guard.check("evil.example", 443, ["1.1.1.1", "10.0.0.1"])


def test_operators_own_host_may_be_private_at_its_port_only():
    """Chatwoot on the same machine, but not the database beside it."""
    guard = Guard([("chatwoot", 3000)])
    guard.check("chatwoot", 3000, ["10.0.0.7"])
    guard.check("Chatwoot.", 3000, ["10.0.0.7"])

    with pytest.raises(RefusedAddressError):
        guard.check("chatwoot", 5432, ["10.0.0.7"])
