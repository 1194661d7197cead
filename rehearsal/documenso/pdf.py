"""Small PDF files that every reader opens: pages of text, with a title."""

from __future__ import annotations

from collections.abc import Sequence

_PAGE = "[0 0 595 842]"
_ESCAPED = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})


def document(title: str, pages: Sequence[Sequence[str]]) -> bytes:
    """Return a PDF 1.7 file in A4.

    Args:
        title: stands in the file's information; any Unicode.
        pages: the lines of each page; what Windows-1252 does not have becomes a question mark.
    """
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        content = _content(lines)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox {_PAGE} /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    objects.append(b"<< /Title <%s> >>" % ("\ufeff" + title).encode("utf-16-be").hex().upper().encode())
    return _file(objects)


def _content(lines: Sequence[str]) -> bytes:
    shown = " T*\n".join(f"({line.translate(_ESCAPED)}) Tj" for line in lines)
    return f"BT\n/F1 11 Tf\n14 TL\n72 770 Td\n{shown}\nET".encode("cp1252", "replace")


def _file(objects: Sequence[bytes]) -> bytes:
    """Number the objects, the last being the information, and write the table of where each stands."""
    written = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(written)
    size = len(objects) + 1
    written += b"xref\n0 %d\n0000000000 65535 f \n" % size
    written += b"".join(b"%010d 00000 n \n" % place for place in places)
    written += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (size, size - 1)
    written += b"startxref\n%d\n%%%%EOF\n" % table
    return bytes(written)
