"""The brand: name, colour and a logo drawn at import."""

from __future__ import annotations

import struct
import zlib

TITLE = "Port Nimara CRM"
COLOUR = "#0b3d5c"
LOGO_PATH = "/brand/logo.png"
LOGO_WIDTH, LOGO_HEIGHT = 240, 64

_SEA = bytes.fromhex(COLOUR[1:])
_SAND = bytes.fromhex("f2e8d5")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _sail(y: int) -> bytes:
    width = LOGO_HEIGHT - y
    left = LOGO_HEIGHT // 2
    return b"\0" + _SEA * left + _SAND * width + _SEA * (LOGO_WIDTH - left - width)


LOGO = _png(LOGO_WIDTH, LOGO_HEIGHT, b"".join(_sail(y) for y in range(LOGO_HEIGHT, 0, -1)))
"""A PNG of LOGO_WIDTH by LOGO_HEIGHT pixels."""

PIXEL = _png(1, 1, b"\0" + _SEA)
"""A PNG of one pixel: a picture that loads and shows nothing."""
