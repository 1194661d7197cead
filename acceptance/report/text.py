"""Text from elsewhere, made safe to show: nothing in it can act on a terminal, a parser or the eye."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, bidirectional
    "\ud800-\udfff\ufffe\uffff"  # not allowed in XML 1.0
    "\U000e0000-\U000e007f"  # invisible tags
    "]"
)


def visible(text: str) -> str:
    r"""Return the text with every character that acts or hides shown as an escape such as `\x1b`.

    Tabs and line feeds stay. What is left is allowed in XML 1.0, is printed by a terminal as it stands,
    and reads in the order in which it is stored.
    """
    return _HIDDEN.sub(_escape, text)


def one_line(text: str) -> str:
    """Return the visible text with line breaks and runs of blanks as single blanks."""
    return " ".join(visible(text).split())


def cells(text: str) -> int:
    """Return how many columns of a terminal the text takes: wide characters two, combining ones none."""
    return sum(_cells(character) for character in text)


def wrap(text: str, width: int) -> list[str]:
    """Break visible text into lines of at most `width` columns, at blanks where there are any.

    Line breaks of the text are kept; a word longer than a line is cut. At least one line is returned.
    """
    lines: list[str] = []
    for paragraph in visible(text).split("\n"):
        line = ""
        for word in paragraph.split():
            if line and cells(line) + 1 + cells(word) <= width:
                line += f" {word}"
                continue
            if line:
                lines.append(line)
            *full, line = _cut(word, width)
            lines.extend(full)
        lines.append(line)
    return lines


def _cut(word: str, width: int) -> list[str]:
    pieces = [""]
    used = 0
    for character in word:
        size = _cells(character)
        if used + size > width:
            pieces.append("")
            used = 0
        pieces[-1] += character
        used += size
    return pieces


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
