"""Passwords as better-auth stores them: `salt:hash` in hexadecimal, scrypt.

Seen on better-auth 1.7.25 (161 characters): N 16384, r 16, p 1, 64 bytes; the salt is its own
hexadecimal text.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata

_N, _R, _P, _LENGTH = 16384, 16, 1, 64


def _scrypt(password: str, salt: str) -> str:
    normalized = unicodedata.normalize("NFKC", password).encode()
    key = hashlib.scrypt(
        normalized, salt=salt.encode(), n=_N, r=_R, p=_P, maxmem=256 * _N * _R, dklen=_LENGTH
    )
    return key.hex()


def hashed(password: str) -> str:
    """Return a fresh `salt:hash` of the password."""
    salt = secrets.token_hex(16)
    return f"{salt}:{_scrypt(password, salt)}"


def matches(password: str, stored: str) -> bool:
    """Tell whether the password is the one that `salt:hash` was made of; takes some 50 ms of CPU."""
    salt, _, key = stored.partition(":")
    return hmac.compare_digest(_scrypt(password, salt), key)
