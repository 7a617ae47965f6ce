"""Files of the kinds that customers have: PDFs with and without text, Word, CSV."""

import io
import zipfile

HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
# Glyph numbers, and nothing that says which characters they are.
UNMAPPED = (
    b"<</Type/Font/Subtype/Type0/BaseFont/Own/Encoding/Identity-H/DescendantFonts"
    b"[<</Type/Font/Subtype/CIDFontType2/BaseFont/Own/CIDToGIDMap/Identity"
    b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>]>>"
)
PICTURE = (
    b"<</Type/XObject/Subtype/Image/Width 1/Height 1/BitsPerComponent 8"
    b"/ColorSpace/DeviceGray/Length 1>>stream\n\x80\nendstream"
)
OVER_THE_PAGE = b"q 600 0 0 800 0 0 cm /I1 Do Q "
LOGO = b"q 60 0 0 60 500 700 cm /I1 Do Q "


def written(text):
    return f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode()


def glyphs(count=40):
    numbers = "".join(f"{7 + n % 90:04x}" for n in range(count))
    return f"BT /F2 12 Tf 50 700 Td <{numbers}> Tj ET".encode()


def pdf(*pages):
    """A PDF of pages, each given as what paints it."""
    kids = " ".join(f"{6 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        HELVETICA,
        UNMAPPED,
        PICTURE,
    ]
    for number, painted in enumerate(pages):
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font"
            b"<</F1 3 0 R/F2 4 0 R>>/XObject<</I1 5 0 R>>>>"
            + f"/Contents {7 + 2 * number} 0 R>>".encode(),
            f"<</Length {len(painted)}>>stream\n".encode() + painted + b"\nendstream",
        ]
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


WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.'
    'openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/>'
    "</Relationships>"
)
STYLES = (
    f'<w:styles xmlns:w="{WORDS}"><w:style w:type="paragraph" w:styleId="H1"><w:name '
    'w:val="heading 1"/></w:style><w:style w:type="paragraph" w:styleId="H2"><w:name '
    'w:val="heading 2"/></w:style></w:styles>'
)
OF_DOCUMENT = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>'
)


def docx(*paragraphs, **parts):
    """A Word file of paragraphs: texts, or (style, text) with H1 or H2.

    Args:
        parts: further files, by name with __ for /.
    """
    told = [one if isinstance(one, tuple) else ("", one) for one in paragraphs]
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r>'
        "</w:p>"
        for style, text in told
    )
    files = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": RELATIONS,
        "word/_rels/document.xml.rels": OF_DOCUMENT,
        "word/styles.xml": STYLES,
        "word/document.xml": f'<w:document xmlns:w="{WORDS}"><w:body>{body}</w:body>'
        "</w:document>",
        **{name.replace("__", "/"): text for name, text in parts.items()},
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


# The documents of tests/cases/20.
CASE = {
    "manual.pdf": pdf(OVER_THE_PAGE + written("DRAFT")),
    "cid.pdf": pdf(glyphs()),
    "price-list.pdf": pdf(OVER_THE_PAGE),
    "terms.docx": docx(("H1", "Terms"), "Parcels may be returned within thirty days."),
    "prices.csv": b"Article,Price\nTeapot,12.50 euros\nKettle,30 euros\n",
}
