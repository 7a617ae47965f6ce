"""What a file is, by what it begins with; names and headers only claim."""

import codecs
import re

# What models take as a picture.
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
# What transcription servers take, and the name that each of them wants to see.
AUDIO = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/webm": "webm",
}
PDF = "application/pdf"
# Bytes of a file that tell what it is.
HEAD = 65_536
TEXT = "text/plain"
UNKNOWN = "application/octet-stream"

BEGINNINGS = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"ID3|\xff[\xe2\xe3\xf2-\xf5\xfa-\xfd]"), "audio/mpeg"),
    (re.compile(rb"fLaC"), "audio/flac"),
    # Also a picture of an iPhone, which no model takes.
    (re.compile(rb".{4}ftyp(?!heic|heix|mif1|msf1|avif)", re.DOTALL), "audio/mp4"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "audio/webm"),
    # Some printers write a few bytes before it.
    (re.compile(rb"\A.{0,1019}%PDF-", re.DOTALL), PDF),
    # An error or a login where a file should be; a saved page is no loss.
    (
        re.compile(rb"(?i)\A\s*+(?:\xef\xbb\xbf)?+\s*+<(?:!doctype html|html)"),
        "text/html",
    ),
)
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def kind_of(data: bytes) -> str:
    """Return the media type of *data*; `UNKNOWN` for an unsupported type.

    No more than the first `HEAD` bytes are looked at, however large the file is.
    """
    head = data[:HEAD]
    for beginning, kind in BEGINNINGS:
        if beginning.match(head):
            return kind
    return TEXT if text_of(data, most=HEAD) is not None else UNKNOWN


def text_of(data: bytes, *, most: int | None = None) -> str | None:
    """Return *data* as text, or None when it is none.

    UTF-8, UTF-16 with its mark, or what Windows once wrote in Western Europe.

    Args:
        most: bytes to decode; a character that is cut there is left out.
    """
    head = data[:most]
    names = ["utf-16"] if data[:2] in UTF_16 else ["utf-8-sig", "cp1252"]
    for name in names:
        decoder = codecs.getincrementaldecoder(name)()
        try:
            text = decoder.decode(head, final=len(head) == len(data))
        except UnicodeError:
            continue
        return None if CONTROL.search(text) else text
    return None
