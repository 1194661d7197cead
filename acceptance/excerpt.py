"""Beginnings of remote text that end with a whole word: half a secret would not be known as one."""

from __future__ import annotations

import re

_WORD = r"[^\s\"'<>(){}\[\],;|]*"
_CUT_END = re.compile(rf"{_WORD}\Z")
_CUT_START = re.compile(rf"\A{_WORD}")


def cut(text: str, limit: int) -> str:
    """Return the text, or its beginning of at most `limit` characters that ends with a whole word and `…`."""
    if len(text) <= limit:
        return text
    return _CUT_END.sub("", text[: limit - 1]).rstrip() + "…"


def around(text: str, start: int, limit: int) -> str:
    """Return at most `limit` characters from `start` on; where something is left out stands `…`."""
    if start == 0:
        return cut(text, limit)
    rest = _CUT_START.sub("", text[start + 1 :]).lstrip()
    return cut(f"…{rest}", limit)


def beginning(body: bytes | bytearray, limit: int) -> str:
    """Return the beginning of a document on one line."""
    considered = body[: 32 * limit]
    text = " ".join(considered.decode("utf-8", errors="replace").split())
    return cut(text, limit if len(considered) == len(body) else min(limit, len(text) - 1))
