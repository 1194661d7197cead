"""Detached signatures over a manifest, made and checked by `ssh-keygen -Y`."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from acceptance.errors import UsageError
from acceptance.evidence import manifest

BUNDLE_NAMESPACE = "acceptance-bundle"
"""What a bundle's signature is for; an allowed_signers file can name it in `namespaces=`."""

DECISION_NAMESPACE = "acceptance-decision"
"""The same of a decision, so that who may sign bundles need not be allowed to sign decisions."""

_ARMOUR = re.compile(
    r"-----BEGIN SSH SIGNATURE-----\n(.+)\n-----END SSH SIGNATURE-----\n", re.DOTALL | re.ASCII
)
_ARMOUR_WIDTH = 70
_GOOD = re.compile(r'Good "[^"]*" signature (?:for (?P<who>.+) )?with (?P<key>\S+ key \S+)')


class BadSignatureError(Exception):
    """A signature that does not fit; the message says why."""


@dataclass(frozen=True)
class Trust:
    """Whose signatures count.

    Attributes:
        allowed_signers: a file as ssh-keygen(1) describes under ALLOWED SIGNERS.
        identity: the one principal that must have signed; any of the file if empty.
    """

    allowed_signers: Path
    identity: str = ""


def is_available() -> bool:
    """Tell whether ssh-keygen is installed."""
    return shutil.which("ssh-keygen") is not None


def sign(directory: Path, key: Path, namespace: str) -> Path:
    """Sign a directory's manifest and return the signature's path.

    A passphrase is asked for by ssh-keygen on the terminal. With a public key as `key`, ssh-keygen signs by
    the agent.

    Raises:
        UsageError: there is a signature already, or ssh-keygen is missing or could not sign.
    """
    path = directory / manifest.SIGNATURE
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path}: it is signed already; move this file away to sign it anew.")
    if not key.is_file():
        raise UsageError(
            f"--key {key}: there is no such file; give a private key, or a public one of the agent."
        )
    done = _ssh_keygen(directory, "sign", "-n", namespace, "-f", str(key))
    if done.returncode != 0 or not done.stdout:
        raise UsageError(f"--key {key}: ssh-keygen could not sign with it ({_last_line(done)}).")
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(done.stdout)
    partial.replace(path)
    return path


def check(directory: Path, namespace: str, trust: Trust | None) -> str:
    """Check the signature of a directory's manifest and say whose it is.

    Args:
        directory: holds the manifest and its signature.
        namespace: what it must have been made for.
        trust: whose signatures count; without it only that the signature fits its own key is checked.

    Raises:
        BadSignatureError: it does not fit, or it is not by one of those who count.
        UsageError: ssh-keygen or the file of allowed signers is missing.
    """
    signature = directory / manifest.SIGNATURE
    if not _is_as_written(signature):
        raise BadSignatureError("it is not in the form in which ssh-keygen writes it")
    named = ("-n", namespace, "-s", str(signature))
    if trust is None:
        signer = _told(_ssh_keygen(directory, "check-novalidate", *named))
        return f"{signer}, not compared with allowed signers"
    if not trust.allowed_signers.is_file():
        raise UsageError(f"--allowed-signers {trust.allowed_signers}: there is no such file.")
    allowed = ("-f", str(trust.allowed_signers))
    problem = BadSignatureError(f"its key is not in {trust.allowed_signers}")
    for principal in [trust.identity] if trust.identity else _principals(directory, *allowed, *named):
        try:
            return _told(_ssh_keygen(directory, "verify", *allowed, "-I", principal, *named))
        except BadSignatureError as error:
            problem = error
    raise problem


def _principals(directory: Path, *arguments: str) -> list[str]:
    found = _ssh_keygen(directory, "find-principals", *arguments)
    lines = found.stdout.decode(errors="replace").splitlines() if found.returncode == 0 else []
    return [name for line in lines for name in line.split(",") if name and not name.startswith("!")]


def _is_as_written(signature: Path) -> bool:
    try:
        body = _ARMOUR.fullmatch(signature.read_bytes().decode("ascii"))
        raw = base64.b64decode(body[1].replace("\n", ""), validate=True) if body else b""
    except ValueError:
        return False
    encoded = base64.b64encode(raw).decode()
    lines = [encoded[start : start + _ARMOUR_WIDTH] for start in range(0, len(encoded), _ARMOUR_WIDTH)]
    return body is not None and body[1] == "\n".join(lines)


def _told(done: subprocess.CompletedProcess[bytes]) -> str:
    good = _GOOD.search(done.stdout.decode(errors="replace"))
    if done.returncode != 0 or good is None:
        raise BadSignatureError(_last_line(done))
    return f"{good['who']} with {good['key']}" if good["who"] else good["key"]


def _ssh_keygen(directory: Path, operation: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UsageError(
            "ssh-keygen is not installed; install the OpenSSH client to sign and to check signatures."
        )
    with (directory / manifest.NAME).open("rb") as message:
        return subprocess.run(
            [program, "-Y", operation, *arguments], stdin=message, capture_output=True, check=False
        )


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"ssh-keygen ended with exit code {done.returncode}"
