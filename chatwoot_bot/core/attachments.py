"""What came with a message besides its text, in words and as stored.

Each attachment has a line in the message's text, such as ``[location: Main Street 1,
52.520008, 13.404954]``: the page and a model without eyes read that. When more
becomes known, such as the words of a voice note, the line says more.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from .conversation import Attachment, Message

# Longer than any signed URL that a store of files gives out.
MAX_URL = 4_096
# A link that is worth reading; longer ones are addresses of a CDN.
MAX_LINK = 200
MAX_NAME = 100
# Of what Chatwoot says of one; a transcript of ten minutes fits.
MAX_SAID = 10_000
# Chatwoot takes fifteen.
MAX_ATTACHMENTS = 50
# What is worth fetching; the rest says all it has in its line.
FETCHED = ("image", "audio", "file")
# Chatwoot's `file_type` (`app/models/attachment.rb`) where it is no plain word.
WORDS = {
    "fallback": "link",
    "share": "shared post",
    "embed": "embedded page",
    "story_mention": "mention in a story",
    "ig_story": "Instagram story",
    "ig_reel": "Instagram reel",
    "ig_post": "Instagram post",
}


def read(items: Sequence[Mapping[str, Any]]) -> tuple[Attachment, ...]:
    """Return a payload's attachments in their order; rare channels leave things out."""
    return tuple(_read(item) for item in items[:MAX_ATTACHMENTS])


def _read(item: Mapping[str, Any]) -> Attachment:
    kind = _text(item.get("file_type")) or "file"
    url = _url(item.get("data_url"))
    spoken = _text(item.get("transcribed_text")) or None
    title = spoken or ", ".join(part for part in _details(kind, item, url) if part)
    size = item.get("file_size")
    return Attachment(
        kind=kind,
        line=_line(WORDS.get(kind, kind), title),
        url=url if kind in FETCHED else None,
        size=size if isinstance(size, int) and 0 <= size < 2**63 else None,
        text=spoken,
    )


def _details(kind: str, item: Mapping[str, Any], url: str | None) -> Sequence[str]:
    """Return what Chatwoot says of the attachment itself."""
    title = _text(item.get("fallback_title"))
    match kind:
        case "location":
            return title, _place(item)
        case "contact":
            return _person(item.get("meta")), title
        case "file":
            return (title or _name(url),)
        case "fallback" | "share" | "embed":
            return title, url if url and len(url) <= MAX_LINK else ""
        case _:
            return (title,)


def _place(item: Mapping[str, Any]) -> str:
    """Return the coordinates; 0, 0 is Chatwoot's way of having none."""
    parts = [item.get(f"coordinates_{name}") for name in ("lat", "long")]
    known = [
        part
        for part in parts
        if isinstance(part, int | float)
        and not isinstance(part, bool)
        and -180 <= part <= 180
    ]
    if len(known) < len(parts) or not any(known):
        return ""
    return ", ".join(f"{part:.6f}".rstrip("0").rstrip(".") for part in known)


def _person(meta: Any) -> str:
    if not isinstance(meta, dict):
        return ""
    names = (_text(meta.get(key)) for key in ("firstName", "lastName"))
    return " ".join(name for name in names if name)


def _name(url: str | None) -> str:
    """Return the file's name, the last part of Chatwoot's `data_url`."""
    name = unquote(urlsplit(url).path.rpartition("/")[2]) if url else ""
    return "".join(c for c in name if c.isprintable()).strip()[:MAX_NAME]


def _url(value: Any) -> str | None:
    url = _text(value)
    if not url.startswith(("http://", "https://")) or len(url) > MAX_URL:
        return None
    try:
        return url if urlsplit(url).hostname else None
    except ValueError:
        return None


def _line(word: str, title: str) -> str:
    return f"[{word}: {title}]" if title else f"[{word}]"


def _text(value: Any) -> str:
    return value[:MAX_SAID].strip() if isinstance(value, str) else ""


def with_words(attachment: Attachment, words: str) -> Attachment:
    """Return a voice note that has been understood; its words are the contact's."""
    line = _line(WORDS.get(attachment.kind, attachment.kind), words)
    return dataclasses.replace(attachment, text=words, line=line)


def with_problem(attachment: Attachment, problem: str) -> Attachment:
    """Return an attachment that nobody can read; *problem* goes on "because …"."""
    line = f"{attachment.line[:-1]}, not readable because {problem}]"
    return dataclasses.replace(attachment, problem=problem, line=line)


def replaced(message: Message, attachments: Sequence[Attachment]) -> Message:
    """Return *message* with *attachments* for its own, and their lines in its text.

    A text that no longer ends with the old lines has been edited, and stays.
    """
    content = message.content
    before = lines(message.attachments)
    if content is not None and content.endswith(before):
        content = content.removesuffix(before) + lines(attachments)
    return dataclasses.replace(message, content=content, attachments=tuple(attachments))


def lines(attachments: Sequence[Attachment]) -> str:
    """Return the lines of *attachments*, as they end their message's text."""
    return "\n".join(attachment.line for attachment in attachments)


STORED = ("kind", "line", "url", "size", "text", "problem")


def dump(attachments: Sequence[Attachment]) -> str | None:
    """Return *attachments* as stored: JSON, or None for none; never a picture."""
    if not attachments:
        return None
    rows = [
        {name: value for name in STORED if (value := getattr(a, name)) is not None}
        for a in attachments
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def load(stored: str) -> tuple[Attachment, ...]:
    """Return what `dump` has stored; keys of a later release are left out."""
    return tuple(
        Attachment(**{name: row.get(name) for name in STORED})
        for row in json.loads(stored)
    )
