"""What the first bytes of a file say about its type."""

from __future__ import annotations

GENERIC = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""Media types that say nothing: what S3 gives to an object that was stored without one."""

HTML, S3_ERROR = "text/html", "an S3 error message"
_ERROR_PAGES = frozenset({HTML, S3_ERROR})

_SYNONYMS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "application/x-pdf": "application/pdf",
    "application/x-zip-compressed": "application/zip",
    "application/x-gzip": "application/gzip",
    "application/xhtml+xml": "text/html",
}
_ZIPPED = ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.")
_MARKS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_RECOGNISABLE = frozenset({kind for _, kind in _MARKS} | {"application/pdf", "image/webp", "image/svg+xml"})
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body")


def essence(media_type: str) -> str:
    """Return a media type in lower case, without parameters, by its usual name."""
    plain = media_type.partition(";")[0].strip().lower()
    return _SYNONYMS.get(plain, plain)


def recognised(first: bytes) -> str:
    """Return the media type that a file's first bytes (1024 of them) show, empty if they tell nothing.

    Only types whose mark is unmistakable, and the pages that stand in a file's place when something went
    wrong.
    """
    for mark, kind in _MARKS:
        if first.startswith(mark):
            return kind
    if first.startswith(b"RIFF") and first[8:12] == b"WEBP":
        return "image/webp"
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_HTML_STARTS):
        return HTML
    if text.startswith((b"<?xml", b"<error>")) and b"<error>" in text:
        return S3_ERROR
    if b"%pdf-" in text:
        return "application/pdf"
    return "image/svg+xml" if text.startswith(b"<") and b"<svg" in text else ""


def contradicts(seen: str, recorded: str) -> bool:
    """Tell whether a file's first bytes cannot be those of the recorded type.

    Args:
        seen: what `recognised` said.
        recorded: the recorded media type.
    """
    wanted = essence(recorded)
    if wanted.startswith(_ZIPPED):
        wanted = "application/zip"
    if wanted in _RECOGNISABLE:
        return seen != wanted
    return seen in _ERROR_PAGES and seen != wanted
