"""Attachments of every kind that contacts send (docs/chatwoot/payloads.md#attachments).

A stored file has links into the file store; a location, a contact card or somebody
else's post has only what the channel said about it.
"""

import base64
from typing import Any

from .files import Blob, FileStore
from .wire import Json

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
VOICE = b"OggS\x00\x02" + bytes(58)
CLIP = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(40)
FILES: dict[str, tuple[str, str, bytes]] = {
    "image": ("parcel.png", "image/png", PIXEL),
    "audio": ("voice.ogg", "audio/ogg", VOICE),
    "video": ("clip.mp4", "video/mp4", CLIP),
    "file": ("invoice.pdf", "application/pdf", PDF),
}
META_URL = "https://lookaside.example.com/ig_messaging_cdn/?asset_id=1"
OTHERS: dict[str, Json] = {
    "location": {
        "coordinates_lat": 52.520008,
        "coordinates_long": 13.404954,
        "fallback_title": "Acme Pickup Point, Example Street 1",
        "data_url": "https://maps.example.com/pickup",
    },
    "contact": {
        "fallback_title": "+15550100144",
        # PostgreSQL puts shorter keys first.
        "meta": {"lastName": "Lee", "firstName": "Dana"},
    },
    "fallback": {
        "fallback_title": "A page",
        "data_url": "https://shop.example.com/page",
    },
    "embed": {"data_url": "https://video.example.com/embed/1"},
    "share": {"data_url": META_URL, "thumb_url": ""},
    "story_mention": {"data_url": META_URL, "thumb_url": ""},
    "ig_reel": {"data_url": META_URL, "thumb_url": ""},
    "ig_post": {"data_url": META_URL, "thumb_url": ""},
    "ig_story": {"data_url": META_URL, "thumb_url": ""},
}
KINDS = (*FILES, *OTHERS)


def sample(
    files: FileStore,
    kind: str,
    *,
    name: str | None = None,
    content: bytes | None = None,
    **differs: Any,
) -> Json:
    """Return an attachment of *kind*, stored where that kind is.

    Args:
        files: Where stored files are kept.
        kind: One of `KINDS`.
        name: The file's name; it decides the type.
        content: The file itself.
        differs: Keys that are unlike those of the sample.
    """
    if kind in OTHERS:
        return {"file_type": kind} | OTHERS[kind] | differs
    if kind not in FILES:
        raise ValueError(f"no attachment {kind!r}; there are {', '.join(KINDS)}")
    usual_name, usual_type, usual_content = FILES[kind]
    blob = files.keep(
        name or usual_name,
        usual_content if content is None else content,
        None if name else usual_type,
    )
    return stored(files, blob, kind) | differs


def stored(files: FileStore, blob: Blob, kind: str | None = None) -> Json:
    """Return the attachment for a stored file; its type decides the kind."""
    main = blob.content_type.partition("/")[0]
    kind = kind or (main if main in ("image", "audio", "video") else "file")
    url = files.data_url(blob)
    return {
        "file_type": kind,
        "extension": blob.extension,
        "content_type": blob.content_type,
        "data_url": f"{url}?disposition=inline" if kind == "audio" else url,
        "thumb_url": files.thumb_url(blob) if kind == "image" else "",
        "file_size": len(blob.content),
        "width": None,
        "height": None,
    } | ({"transcribed_text": ""} if kind == "audio" else {})
