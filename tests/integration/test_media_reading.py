"""Files of strangers become text, or a reason why not."""

import asyncio
import contextlib
import io
import subprocess
import sys
import time

import psutil
import pypdf
import pytest

from chatwoot_bot.errors import MediaError
from chatwoot_bot.media import pdf, reading
from chatwoot_bot.media.reading import CUT, MAX_CHARS, FileReader

pytestmark = pytest.mark.anyio


def make_pdf(*pages):
    """A PDF with one line of text on each page."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, text in enumerate(pages):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]"
            b"/Resources<</Font<</F1 3 0 R>>>>"
            + f"/Contents {5 + 2 * number} 0 R>>".encode()
        )
        stream = f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode()
        objects.append(
            f"<</Length {len(stream)}>>stream\n".encode() + stream + b"\nendstream"
        )
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    out += f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\n".encode()
    return bytes(out + f"startxref\n{start}\n%%EOF\n".encode())


def locked(data):
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


async def problem(data):
    with pytest.raises(MediaError) as caught:
        await FileReader().read(data)
    assert not caught.value.retryable
    return str(caught.value)


async def test_text_of_a_pdf():
    """An invoice can be asked about."""
    text = await FileReader().read(make_pdf("Invoice 4711", "Total 12.50"))

    assert text == "Invoice 4711\n\nTotal 12.50"


async def test_long_pdf_is_cut():
    """A manual would fill the model's memory; only its beginning is even read."""
    pages = ["word " * 400] * 200

    text = await FileReader().read(make_pdf(*pages))

    assert len(text) > MAX_CHARS - 100
    assert len(text) <= MAX_CHARS + len(CUT)
    assert text.endswith(CUT)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (make_pdf(""), "it holds no text"),  # a scan
        (locked(make_pdf("secret")), "it needs a password"),
        (b"%PDF-1.7\nnothing of the kind", "it is damaged"),
        (b"%PDF-", "it is damaged"),
        (b"\xff\xd8\xff\xe0", "files of this kind are not read here"),
        (b"PK\x03\x04\x00", "files of this kind are not read here"),
        (b"<!doctype html><form>Password", "files of this kind are not read here"),
        (b" \r\n\t ", "it holds no text"),
        (b"", "it holds no text"),
    ],
    ids=["scan", "locked", "broken", "head", "jpeg", "zip", "html", "blank", "empty"],
)
async def test_file_that_cannot_be_read_says_why(data, why):
    """The bot can ask for another one, instead of guessing what is in it."""
    assert await problem(data) == why


async def test_text_file_is_tidied():
    """Tabs and empty lines cost tokens and say nothing."""
    text = await FileReader().read(
        b"\xef\xbb\xbfname\t\tprice\r\n\r\n\r\n\r\na  1 \x1b\r\n"
    )

    assert text == "name price\n\na 1"


async def test_long_text_is_cut():
    text = await FileReader().read(b"x" * (MAX_CHARS + 1))

    assert text == "x" * MAX_CHARS + CUT


@pytest.mark.parametrize(
    "data",
    [b" " * 10_000_000, b"\n" * 10_000_000, b"\r\n\t " * 2_500_000, b"a " * 5_000_000],
    ids=["blanks", "lines", "mixed", "words"],
)
async def test_large_text_does_not_hold_up_the_service(data):
    """Whatever is in it: only its beginning is read, and not in the event loop."""
    begun = time.thread_time()
    with contextlib.suppress(MediaError):
        await FileReader().read(data)

    assert time.thread_time() - begun < 0.05


@pytest.mark.parametrize("blanks", [" " * 200_000, "\\n" * 50_000])
async def test_pdf_of_blanks_is_read_in_time(blanks):
    """A page of layout and nothing else."""
    assert await problem(make_pdf(blanks)) == "it holds no text"


async def test_pdf_of_one_long_page_is_cut():
    """A page is not read to its end because it has no other after it."""
    text = await FileReader(max_chars=100).read(make_pdf("word " * 40_000))

    assert text.endswith(CUT)
    assert len(text) <= 100 + len(CUT)


async def test_pdf_that_takes_for_ever_is_stopped(monkeypatch, tmp_path):
    """And leaves no process behind."""
    program = tmp_path / "slow.py"
    program.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(reading, "PDF_PROGRAM", program)
    monkeypatch.setattr(reading, "PDF_S", 0.2)
    before = psutil.Process().children()

    assert await problem(make_pdf("x")) == "it takes too long to read"
    assert psutil.Process().children() == before


async def test_interrupted_turn_stops_reading(monkeypatch, tmp_path):
    program = tmp_path / "slow.py"
    program.write_text(
        f"open({str(tmp_path / 'on')!r}, 'w')\nimport time; time.sleep(60)"
    )
    monkeypatch.setattr(reading, "PDF_PROGRAM", program)
    before = psutil.Process().children()
    task = asyncio.create_task(FileReader().read(make_pdf("x")))
    async with asyncio.timeout(10):
        while not (tmp_path / "on").exists():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert psutil.Process().children() == before


async def test_pdf_that_kills_its_reader_is_too_complicated(monkeypatch, tmp_path):
    """The limits of memory and time end the process, not the service."""
    program = tmp_path / "dies.py"
    program.write_text("import os; os.abort()")
    monkeypatch.setattr(reading, "PDF_PROGRAM", program)

    assert await problem(make_pdf("x")) == "it is too complicated"


async def test_reader_of_pdfs_gets_no_secrets(monkeypatch, tmp_path):
    """It works on a stranger's file."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    program = tmp_path / "tells.py"
    program.write_text("import os, json; print(json.dumps({'text': str(os.environ)}))")
    monkeypatch.setattr(reading, "PDF_PROGRAM", program)

    assert "sk-secret" not in await FileReader().read(make_pdf("x"))


def test_memory_of_the_reader_is_limited():
    """A small file can unfold to gigabytes."""
    load = f"import runpy; m = runpy.run_path({pdf.__file__!r})"
    code = f"{load}; m['limit'](); b'x' * 2**30"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "MemoryError" in done.stderr


def test_service_does_not_import_pypdf():
    """It costs 15 MB that most installations never need."""
    code = "import sys, chatwoot_bot.app; print('pypdf' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.strip() == "False", done.stderr
