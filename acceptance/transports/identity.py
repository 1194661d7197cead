"""Whether the operator's SSH key can be used at all: without a passphrase, or unlocked in the agent."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import struct
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

_MAGIC = b"openssh-key-v1\0"
_PATIENCE_S = 5


async def can_sign(file: str) -> bool:
    """Tell whether OpenSSH could have signed with a private key.

    A key with a passphrase that no agent holds ends in the same `Permission denied` as one that the server
    refuses. True where it cannot be told otherwise.
    """
    locked, public = await asyncio.to_thread(_read, file)
    return not locked or (bool(public) and public in await _held_by_agent())


def _read(file: str) -> tuple[bool, str]:
    """Return whether a private key has a passphrase, and its public half in base64; empty if unknown."""
    identity = Path(file).expanduser()
    try:
        text = identity.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False, ""
    lines = [line for line in text.splitlines() if line and not line.startswith("-----")]
    try:
        content = base64.b64decode("".join(lines), validate=True)
    except binascii.Error:
        content = b""
    if not content.startswith(_MAGIC):
        return "ENCRYPTED" in text, _beside(identity)
    cipher, rest = _string(content[len(_MAGIC) :])
    for _ in ("kdf", "its options"):
        _, rest = _string(rest)
    public, _ = _string(rest[4:])
    return cipher != b"none", base64.b64encode(public).decode()


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Split off a string as SSH encodes it."""
    (length,) = struct.unpack("!I", data[:4].ljust(4, b"\0"))
    return data[4 : 4 + length], data[4 + length :]


def _beside(identity: Path) -> str:
    try:
        words = identity.with_name(f"{identity.name}.pub").read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return ""
    return words[1] if len(words) > 1 else ""


async def _held_by_agent() -> set[str]:
    """Return the public keys that the agent holds, in base64; none if there is no agent."""
    if "SSH_AUTH_SOCK" not in os.environ:
        return set()
    try:
        agent = await asyncio.create_subprocess_exec(
            "ssh-add", "-L", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
    except OSError:
        return set()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            listed, _ = await agent.communicate()
    except TimeoutError:
        agent.kill()
        await agent.wait()
        return set()
    return {
        words[1] for line in listed.decode(errors="replace").splitlines() if len(words := line.split()) > 1
    }
