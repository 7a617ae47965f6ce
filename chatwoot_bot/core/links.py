"""Where an answer may lead, whatever the model was talked into. Pure.

A browser fetches a picture without a click, and a link may hold more than an address:
both could carry what was said here to a stranger. So an address stays only if the model
was shown exactly this address, and a picture only if it comes from the operator's own
hosts besides. Of any other address the name of its host is left, as ``shop[.]example``:
Chatwoot's widget, like most chats, makes ``shop.example`` a link again, also with an
invisible character in it.

An address is all that a chat may link: with a scheme or without one (``//host/path``,
``host/path``, ``https:host``), a name that begins with ``www.``, and a name of three
parts or more, whose first can carry something away. A plain name of two parts
(``Booking.com``) is a word that stays.

Every step takes time in proportion to the text.
"""

import html
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# A Markdown link or picture. No "[" is within, so each one is tried once.
LINK = re.compile(
    r"(!?)\[([^\[\]\n]*+)\]"
    r"\(\s*+(?:<([^<>\n]*+)>|((?:[^\s()<>\[\]]++|\([^\s()<>\[\]]*+\))*+))"
    r"([^)\[\]]*+)\)"
)
PICTURE = re.compile(rf"{LINK.pattern}|!\[")
# Pictures in names of links, and so on; what is nested deeper becomes text.
NESTED = 4
# Where Markdown says code and no chat makes links of names such as `user.name.id`.
CODE = re.compile(r"(?<![`\\])(`|```)(?!`)[^`]++\1(?!`)")
# A text without white space in which an address may be: something stands behind one of
# the characters that each address has. Most words are none, and are not looked into.
RUN = re.compile(r"(?<![^\s<>])[^\s<>.:/\\]*+[.:/\\][^\s<>]+")
NAME = re.compile(r"[\w.\-\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+")
DOT = re.compile(r"\.(?=[^.])")
# In a run, where an address may begin: behind a scheme, or with a name.
BEGIN = re.compile(
    r"(?P<mark>(?:(?<=http)|(?<=https)):[/\\]*+|[/\\]{2,})|"
    rf"{NAME.pattern}",
    re.IGNORECASE,
)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,31}+:\Z", re.IGNORECASE)
LONGEST_SCHEME = 32
LEAD = re.compile(r"(?:https?:)?[/\\]*", re.IGNORECASE)
FOREIGN = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]{0,31}+:(?!\d)", re.IGNORECASE)
# No address that is longer, or has more brackets, is one that the model was shown.
LONGEST, TOO_LONG = 2_048, 64
MOST_BRACKETS = 8
AUTHORITY = re.compile(r"[^/\\?#]{1,300}")
HOST = re.compile(r"[^/?#\\]*")
BRACKET = re.compile(r"[()\[\]{}]")
CLOSES = {")": "(", "]": "[", "}": "{"}
# A sentence may end an address with these.
END = ".,:;!?…*_~\"'`|“”’»。、，！？；：）」』】》([{"  # noqa: RUF001
# Up to where chats agree on what belongs to an address.
PLAIN = re.compile(r"[\w\-.~:/?#@!$&+=%]*", re.ASCII)
QUOTED = re.compile(r"[^\"'`|\\]*")
# Invisible in a name, where a browser leaves them out.
IGNORED = re.compile(r"[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
# A Markdown escape or an HTML entity in the place of what an address is made of.
DISGUISED = re.compile(
    r"(?<!\\)\\++([.:/])(?=\S)|"
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|period|colon|sol);"
)
IN_ADDRESSES = re.compile(r"[A-Za-z0-9.:/]")
# Two letters are a country; of others these end no name of a host.
COUNTRY = re.compile(
    r"a[cdefgilmnoqrstuwxz]|b[abdefghijmnorstvwyz]|c[acdfghiklmnoruvwxyz]|d[ejkmoz]|"
    r"e[cegrstu]|f[ijkmor]|g[abdefghilmnpqrstuwy]|h[kmnrtu]|i[delmnoqrst]|j[emop]|"
    r"k[eghimnprwyz]|l[abcikrstuvy]|m[acdeghklmnopqrstuvwxyz]|n[acefgilopruz]|om|"
    r"p[aefghklmnrstwy]|qa|r[eosuw]|s[abcdeghijklmnortuvxyz]|t[cdfghjklmnortvwz]|"
    r"u[agksyz]|v[aceginu]|w[fs]|y[et]|z[amw]"
)
FILES = re.compile(
    r"html?|json|txt|pdf|php|csv|xml|ya?ml|png|jpe?g|gif|svg|css|exe|docx?|xlsx?"
)
# Which Chatwoot makes links of without anything else (linkify-it's list).
LINKED = re.compile(
    rf"{COUNTRY.pattern}|biz|com|edu|gov|net|org|pro|web|xxx|aero|asia|coop|info|museum|"
    r"name|shop|рф|xn--.+"
)
# Parts that belong to the ending: `shop.co.uk` is a name of two parts.
SECOND = frozenset({"co", "com", "net", "org", "ac", "gov", "edu"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Where an answer may lead to.

    Attributes:
        hosts: the operator's own, which pictures may come from; their subdomains too.
        seen: texts that the model was shown; an address in them can carry nothing
            more away.
        shown: addresses in more of such texts, as `addresses_in` returns them.
    """

    hosts: frozenset[str] = frozenset()
    seen: Sequence[str] = ()
    shown: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        """Look the addresses up once."""
        found = (address for text in self.seen for address in addresses_in(text))
        object.__setattr__(self, "shown", self.shown.union(found))

    def defused(self, text: str) -> str:
        """Return *text* without the pictures and links that lead elsewhere."""
        text = _plainly(text)
        for _ in range(NESTED):
            if "](" not in text:
                break
            before, text = text, LINK.sub(self._link, text)
            if text == before:
                break
        else:
            text = text.replace("](", "] (")
        text = "".join(
            RUN.sub(self._code if in_code else self._prose, part)
            for part, in_code in _by_code(text)
        )
        if "![" not in text:
            return text
        return PICTURE.sub(lambda m: "! [" if m[0] == "![" else m[0], text)

    def _link(self, match: re.Match[str]) -> str:
        mark, name, quoted, plain, rest = match.groups()
        address = quoted if plain is None else plain
        is_whole = not rest.strip() or rest.strip()[0] in "\"'"
        if mark:
            is_ours = self._is_ours(host_of(address))
            kept = is_whole and is_ours and self._is_shown(address)
            return match[0] if kept else name
        if is_whole and self._leads_nowhere_new(address):
            return match[0]
        host = host_of(address)
        # The name may be an address itself, which the next step looks at.
        if "." not in host or host in name.lower():
            return name
        return f"{name} ({self._named(host)})"

    def _prose(self, run: re.Match[str]) -> str:
        return self._run(run[0], bare=True)

    def _code(self, run: re.Match[str]) -> str:
        return self._run(run[0], bare=False)

    def _run(self, run: str, *, bare: bool) -> str:
        """Return a text without white space, its addresses defused."""
        said, at = [], 0
        while (found := _next(run, at, bare=bare)) is not None:
            start, end = found
            said.append(run[at:start])
            address = run[start:end]
            plain = _plain(address)
            if self._leads_nowhere_new(address):
                said.append(address)
            elif plain != address and self._is_shown(plain):
                # A chat would take more for the address than the model was shown.
                said += [plain, " "]
                end = start + len(plain)
            else:
                said.append(self._named(IGNORED.sub("", host_of(address))) or "…")
                end = len(run) if end - start > LONGEST else end
            at = end
        said.append(run[at:])
        return "".join(said)

    def _named(self, host: str) -> str:
        """Return the name of a host; a stranger's so that no chat makes a link."""
        return host if host in self.hosts else host.replace(".", "[.]")

    def _leads_nowhere_new(self, address: str) -> bool:
        if address.startswith(("mailto:", "tel:")):
            return "?" not in address
        return self._is_shown(address) or self._is_front_page(address)

    def _is_shown(self, address: str) -> bool:
        return not FOREIGN.match(address) and _key(address) in self.shown

    def _is_front_page(self, address: str) -> bool:
        """Return whether it is one of the operator's hosts, and nothing more."""
        return not FOREIGN.match(address) and _key(address) in self.hosts

    def _is_ours(self, host: str) -> bool:
        return any(host == each or host.endswith(f".{each}") for each in self.hosts)


class Pending:
    """Tell how much of an answer holds no way out that may not be finished yet.

    Attributes:
        length: characters that were heard.
    """

    def __init__(self) -> None:
        self.length = 0
        self._ends: deque[int] = deque()
        self._open = ""
        self._opened_at = 0

    def hear(self, piece: str) -> None:
        """Read the next piece of the answer."""
        for char in piece:
            self._take(char)
            self.length += 1
            if char.isspace() and not self._open:
                self._ends.append(self.length)

    def ready(self, at_most: int) -> int:
        """Return where the text can be cut so that all before is finished.

        Args:
            at_most: of the text, in characters. What is behind the last answer is asked
                for in ascending order.
        """
        ready = 0
        while self._ends and self._ends[0] <= at_most:
            ready = self._ends.popleft()
        return ready

    def _take(self, char: str) -> None:
        """Follow a Markdown link: its name, what closes it, its address."""
        if char == "[" or self.length - self._opened_at > LONGEST_LINK:
            self._open, self._opened_at = "[" if char == "[" else "", self.length
        elif self._open == "[":
            self._open = {"]": "]", "\n": ""}.get(char, "[")
        elif self._open == "]":
            self._open = "(" if char == "(" else ""
        elif self._open == "(" and char in ")\n":
            self._open = ""


# A longer one is shown in parts, of which each is defused by itself.
LONGEST_LINK = 4_000


def host_of(address: str) -> str:
    """Return the host that a browser would ask, in lower case; "" for none."""
    # Browsers take a backslash for a slash, and any number of them for two.
    text = LEAD.sub("", address, count=1).replace("\\", "/")
    if (foreign := FOREIGN.match(text)) is not None:
        text = text[foreign.end() :].lstrip("/")
    try:
        return (urlsplit(f"//{text}").hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def unlinked(text: str) -> str:
    """Return *text* as it is, but so that no chat makes a link of anything in it.

    E-mail addresses stay.
    """
    return NAME.sub(_unlinked_name, text.replace("://", "[:]//"))


def _unlinked_name(match: re.Match[str]) -> str:
    name, text = match[0], match.string
    labels = IGNORED.sub("", name).strip(".-").lower().split(".")
    before = text[max(match.start() - 2, 0) : match.start()]
    # Behind a scheme, or two slashes, every name is a host's.
    leads = before.endswith((":", ";", "//", "\\\\", "/\\", "\\/"))
    is_host = len(labels) > 1 and (leads or _is_ending(labels[-1]))
    is_mailbox = before.endswith("@")
    leads_on = text[match.end() : match.end() + 1] in tuple("/?#:")
    if not is_host or (is_mailbox and not leads_on):
        return name
    return DOT.sub("[.]", name)


def hosts_in(text: str) -> set[str]:
    """Return the hosts that a text names."""
    return {host_of(each) for each in addresses_in(text)} - {""}


def addresses_in(text: str) -> set[str]:
    """Return the addresses in a text, plain names of hosts too, to be compared."""
    text = _plainly(text)
    found = {_key(m[3] or m[4] or "") for m in LINK.finditer(text)}
    for run in RUN.findall(text):
        at = 0
        while (place := _next(run, at, bare=True, names=True)) is not None:
            start, at = place
            address = run[start:at]
            unquoted = _unquoted(address)
            found |= {_key(address), _key(_plain(address)), _key(unquoted)}
            at = start + len(unquoted) if unquoted else at
    return set(filter(_is_comparable, found))


def _is_comparable(address: str) -> bool:
    """Return whether an answer may hold *address* and nothing behind it."""
    brackets = sum(map(address.count, "()[]{}"))
    return 0 < len(address) <= LONGEST and brackets <= MOST_BRACKETS


def _by_code(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text, and whether each is code."""
    at = 0
    for code in CODE.finditer(text):
        yield text[at : code.start()], False
        yield code[0], True
        at = code.end()
    yield text[at:], False


def _next(
    run: str, at: int, *, bare: bool, names: bool = False
) -> tuple[int, int] | None:
    """Return where the next address begins and ends, in a text without white space.

    Args:
        at: where to begin.
        bare: a name of a host alone is one, if a chat would make it a link.
        names: any name of a host alone is one.
    """
    first = at  # or a scheme that was left of an address would begin it again
    while (begin := BEGIN.search(run, at)) is not None:
        at = begin.end()
        if begin["mark"] is not None:
            start = _behind_scheme(run, begin, first)
        else:
            start = _named_host(run, begin, bare=bare, names=names)
        if start is not None:
            end = start + len(run[start : _extent(run, start)].rstrip(END))
            if end > (start if begin["mark"] is None else at):
                return start, end
    return None


def _behind_scheme(run: str, mark: re.Match[str], first: int) -> int | None:
    """Return where the address begins that has its scheme or slashes at *mark*.

    Args:
        first: where it can begin at the earliest.
    """
    behind = AUTHORITY.match(run, mark.end())
    if behind is None or not behind[0].strip(END):
        return None
    is_colon = mark["mark"].startswith(":")
    from_ = max(first, mark.start() - LONGEST_SCHEME)
    head = run[from_ : mark.start() + is_colon]
    scheme = SCHEME.search(head)
    if scheme is not None:
        return mark.start() + is_colon - len(scheme[0])
    # A bracket is in no name: what stands behind it is no address without a scheme.
    host = behind[0].rpartition("@")[2].partition("[")[0].strip(".")
    return mark.start() if "." in host or host.startswith("localhost") else None


def _named_host(
    run: str, piece: re.Match[str], *, bare: bool, names: bool
) -> int | None:
    """Return where the address begins that *piece* is the host of, if it is one."""
    name = IGNORED.sub("", piece[0]).strip(".-").lower()
    labels = name.split(".")
    if len(labels) < 2 or not all(labels) or not _is_ending(labels[-1]):
        return None
    start = piece.start() + len(piece[0]) - len(piece[0].lstrip(".-"))
    follows = run[piece.end() : piece.end() + 2]
    if follows[:1] in tuple("/?#\\") and run[piece.end() :].strip(END):
        return start
    if follows[:1] == ":" and follows[1:].isdigit():
        return start
    if run[start - 1 : start] == "@" or follows[:1] == "@":
        return None  # an e-mail address
    is_linked = LINKED.fullmatch(labels[-1]) is not None
    parts = len(labels) - (labels[-2] in SECOND)
    if names or labels[0] == "www" or (bare and is_linked and parts > 2):
        return start
    return None


def _is_ending(label: str) -> bool:
    """Return whether a name of a host may end with *label*."""
    if LINKED.fullmatch(label):
        return True
    is_word = len(label) > 2 and label.isascii() and label.isalpha()
    return is_word and not FILES.fullmatch(label)


def _extent(run: str, start: int) -> int:
    """Return where an address ends: at a bracket that it has not opened, or nowhere.

    One that is too long, or has too many brackets, to be shown ends after these.
    """
    opened: list[str] = []
    longest = min(len(run), start + LONGEST + TOO_LONG)
    for number, bracket in enumerate(BRACKET.finditer(run, start, longest)):
        if number > MOST_BRACKETS:
            return bracket.start()
        opening = CLOSES.get(bracket[0])
        if opening is None:
            opened.append(bracket[0])
        elif not opened or opened.pop() != opening:
            return bracket.start()
    return longest


def _plain(address: str) -> str:
    plain = PLAIN.match(address)
    return plain[0].rstrip(END) if plain else ""


def _unquoted(address: str) -> str:
    """Return an address as far as a quotation mark, as JSON ends it."""
    unquoted = QUOTED.match(address)
    return unquoted[0].rstrip(END) if unquoted else ""


def _key(address: str) -> str:
    """Return an address as it is compared: without what leads to the same place."""
    text = LEAD.sub("", address, count=1)
    host = HOST.match(text)
    end = host.end() if host else 0
    return (text[:end].lower() + text[end:]).removesuffix("/")


def _plainly(text: str) -> str:
    """Return *text* with nothing that Markdown would make a part of an address of.

    What is taken away can leave another escape or entity behind.
    """
    if "\\" not in text and "&" not in text:
        return text  # as nearly always
    for _ in range(NESTED):
        before, text = text, DISGUISED.sub(_undisguised, text)
        if text == before:
            return text
    return DISGUISED.sub(lambda match: match[0].replace("&", "& "), text)


def _undisguised(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    char = html.unescape(match[0])
    return char if IN_ADDRESSES.fullmatch(char) else match[0]
