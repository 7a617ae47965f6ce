"""What a file is, whatever it is called."""

import pytest

from chatwoot_bot.media import kinds

SAMPLES = {
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "image/gif": b"GIF89a\x01\x00\x01\x00",
    "image/webp": b"RIFF\x0a\x00\x00\x00WEBPVP8 ",
    "audio/wav": b"RIFF\x0a\x00\x00\x00WAVEfmt ",
    "audio/ogg": b"OggS\x00\x02\x00\x00OpusHead",
    "audio/mpeg": b"ID3\x04\x00\x00",
    "audio/flac": b"fLaC\x00\x00\x00\x22",
    "audio/mp4": b"\x00\x00\x00\x20ftypM4A \x00",
    "audio/webm": b"\x1a\x45\xdf\xa3\x9fB\x86",
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3",
    "text/html": b"\n<!DOCTYPE html><title>Sign in</title>",
    "text/plain": b"Dear team,\r\n\tmy order \xc3\xa4 1",
}


@pytest.mark.parametrize(("kind", "data"), SAMPLES.items(), ids=SAMPLES)
def test_kind_is_read_from_the_bytes(kind, data):
    """A name and a header only claim."""
    assert kinds.kind_of(data) == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xfb\x90\x64\x00", "audio/mpeg"),
        (b"\x1b%-12345X@PJL\r\n%PDF-1.4", "application/pdf"),
        (b"<HTML><body>", "text/html"),
        (b"\xef\xbb\xbfname;price\n", "text/plain"),
        ("Grüße".encode("utf-16"), "text/plain"),
        ("Grüße".encode("cp1252"), "text/plain"),
        (b"", "text/plain"),
        (b"\x00\x00\x00\x18ftypheic\x00", kinds.UNKNOWN),  # an iPhone's photo
        (b"PK\x03\x04\x14\x00\x06\x00", kinds.UNKNOWN),  # a Word file
        (b"#!AMR\n\x00\x04", kinds.UNKNOWN),
        (b"MZ\x90\x00\x03", kinds.UNKNOWN),
        (b"\xff\xfe\x00", kinds.UNKNOWN),
    ],
)
def test_rarer_beginnings(data, kind):
    assert kinds.kind_of(data) == kind


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfab", "ab"),
        ("Grüße 😀".encode(), "Grüße 😀"),
        ("Grüße".encode("utf-16"), "Grüße"),
        ("10 €".encode("cp1252"), "10 €"),
        (b"a\x00b", None),
        (b"\x81\x8d", None),
    ],
)
def test_text_is_decoded(data, text):
    """Files from an old Windows are read too."""
    assert kinds.text_of(data) == text
