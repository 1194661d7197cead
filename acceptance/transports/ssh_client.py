"""The OpenSSH client: its options, its processes, and what its messages mean."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from acceptance.errors import UnavailableError
from acceptance.target import Server
from acceptance.transports.batch import Lines

STDERR_BYTES = 64 * 1024

_SILENCE_S = 5
_SILENCES = 3

_ENVIRONMENT = ("HOME", "LOGNAME", "PATH", "SSH_AUTH_SOCK", "TMPDIR", "USER")

_COMMON = {
    "BatchMode": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RequestTTY": "no",
    "Tunnel": "no",
}


def _quoted(path: Path) -> str:
    """Return a path for an option's value, where `%` starts a token and blanks separate values."""
    return '"' + str(path).replace("%", "%%") + '"'


def host_key_name(server: Server) -> str:
    """Return the name under which the server's key stands in a known_hosts file."""
    return server.address if server.port == 22 else f"[{server.address}]:{server.port}"


def login_arguments(server: Server, control: Path, known_hosts: Path) -> list[str]:
    """Return the arguments that log in once and offer the connection to others at `control`."""
    options = _COMMON | {
        "ControlMaster": "yes",
        "ControlPersist": "no",
        "ControlPath": _quoted(control),
        "UserKnownHostsFile": _quoted(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
        "HostKeyAlias": host_key_name(server),
        "IdentitiesOnly": "yes",
        "IdentityFile": _quoted(Path(server.identity).expanduser()),
        "PreferredAuthentications": "publickey",
        "AddKeysToAgent": "no",
        "CanonicalizeHostname": "no",
        "ConnectTimeout": str(math.ceil(server.timeout_s)),
        "ServerAliveInterval": str(_SILENCE_S),
        "ServerAliveCountMax": str(_SILENCES),
        "StreamLocalBindMask": "0177",
        # INFO tells why a tunnel's connection failed
        "LogLevel": "INFO",
    }
    endpoint = server.endpoint
    return [*_options(options), "-T", "-p", str(endpoint.port), "-l", server.user, "--", endpoint.address]


def shared_arguments(control: Path, *extra: str) -> list[str]:
    """Return the arguments that use the connection at `control` and never log in anew.

    Over MaxSessions, or with the connection gone, OpenSSH 9.2 would silently make a login of its own.
    """
    options = _COMMON | {
        "ControlMaster": "no",
        "ControlPath": _quoted(control),
        "ProxyCommand": "false",
        "LogLevel": "ERROR",
    }
    return [*_options(options), "-T", *extra, "--", "shared"]


def _options(options: dict[str, str]) -> list[str]:
    return ["-F", "none", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]


class Client:
    """A running OpenSSH client of ours.

    Attributes:
        lines: its standard output.
    """

    def __init__(self, process: Process, watch: Callable[[Client], None] | None) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the process was started without pipes")
        self.lines = Lines(process.stdout)
        self._stdin = process.stdin
        self._process = process
        self._stderr = bytearray()
        self._listener = asyncio.create_task(self._listen(process.stderr, watch))

    @classmethod
    async def start(cls, arguments: list[str], watch: Callable[[Client], None] | None = None) -> Client:
        """Start `ssh` with these arguments, apart from the terminal's Ctrl-C.

        Args:
            arguments: never hold a secret.
            watch: called whenever standard error grew.

        Raises:
            UnavailableError: there is no OpenSSH client.
        """
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"LC_ALL": "C", "SHELL": "/bin/sh"}
        try:
            process = await asyncio.create_subprocess_exec(
                "ssh",
                *arguments,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise UnavailableError(
                f"the OpenSSH client cannot be started: {error.strerror}",
                "install it (Debian: openssh-client)",
            ) from error
        return cls(process, watch)

    async def _listen(self, stderr: asyncio.StreamReader, watch: Callable[[Client], None] | None) -> None:
        while chunk := await stderr.read(STDERR_BYTES):
            self._stderr += chunk
            del self._stderr[:-STDERR_BYTES]
            if watch is not None:
                watch(self)

    @property
    def stderr(self) -> str:
        """The end of what it has written to standard error so far."""
        return self._stderr.decode("utf-8", errors="replace").replace("\r", "")

    def write(self, data: bytes) -> None:
        """Append to its standard input; a client that is gone shows by its output's end."""
        if not self._stdin.is_closing():
            self._stdin.write(data)

    def end_input(self) -> None:
        """Close its standard input, which ends the remote shell."""
        self._stdin.close()

    def forget_words(self) -> None:
        """Forget what standard error said so far: banners, prompts."""
        self._stderr.clear()

    async def last_words(self, patience_s: float = 2) -> str:
        """Return standard error after the client's end, or after `patience_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await asyncio.shield(self._listener)
        return self.stderr

    async def last_line(self, prompt: str = "") -> str:
        """Return the last line of that, without password prompts; empty if there is none."""
        words = await self.last_words()
        if refused := re.search(
            r"^mux_client_request_session: session request failed: (.*)$", words, re.MULTILINE
        ):
            return f"{refused[1]} (MaxSessions of the server's sshd?)"
        for said in (prompt, "Password: "):
            words = words.replace(said, "\n") if said else words
        return last_line(words)

    async def wait(self, patience_s: float) -> int | None:
        """Wait for its end and return its exit code, or None if it still runs."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                return await self._process.wait()
        return None

    async def stop(self, patience_s: float = 0.5) -> None:
        """End it: by itself if it does so in time, else by signal."""
        self.end_input()
        for end in (self._process.terminate, self._process.kill):
            if await self.wait(patience_s) is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                end()
        await self._process.wait()
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener
        with contextlib.suppress(OSError):
            await self._stdin.wait_closed()


Trouble = Literal[
    "host-key-changed", "host-key-unknown", "port-closed", "key-refused", "no-shell", "unreachable", "other"
]
"""What stood in the way of a login. Only the first five are the server's own answer."""


class LoginError(UnavailableError):
    """There is no login.

    Attributes:
        trouble: what stood in the way.
        presented: fingerprint of the host key that the server showed instead; empty if OpenSSH does not tell.
    """

    def __init__(
        self, reason: str, remedy: str = "", trouble: Trouble = "other", presented: str = ""
    ) -> None:
        super().__init__(reason, remedy)
        self.trouble = trouble
        self.presented = presented


_MEANINGS: tuple[tuple[str, Trouble, str, str], ...] = (
    (
        r"^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED",
        "host-key-changed",
        "the host key of {place} is not the pinned one",
        "compare the key on the server's console; if it was really replaced, correct {pin}; "
        "otherwise somebody may be in between",
    ),
    (
        r"^No \S+ host key is known for",
        "host-key-unknown",
        "the host key of {place} is not known",
        "compare the key on the server's console and add it: {pin}",
    ),
    (
        r"^Host key verification failed",
        "other",
        "the host key of {place} could not be verified",
        "check {pin}",
    ),
    (
        r"^ssh: connect to host .*: Connection refused",
        "port-closed",
        "{place} refused the connection",
        "check that sshd runs there, and the address and port",
    ),
    (
        r"^ssh: connect to host .*: (Connection|Operation) timed out|^Connection timed out|"
        r"^Connection to .* timed out",
        "unreachable",
        "no answer from {place} within {timeout:g} s",
        "check the address, the port and the firewalls in between",
    ),
    (
        r"^ssh: connect to host .*: (No route to host|Network is unreachable|Host is down)",
        "unreachable",
        "there is no route to {place}",
        "check the network and the VPN",
    ),
    (
        r"^ssh: Could not resolve hostname",
        "unreachable",
        "the name {address} cannot be resolved",
        "check the name and the resolver",
    ),
    (
        r"^Received disconnect from .*: Too many authentication failures",
        "key-refused",
        "the server refused the login after too many keys",
        "check server.identity and the server's MaxAuthTries",
    ),
    (
        r"^(Permissions .* are too open|Bad permissions|.*bad permissions)",
        "other",
        "the key file {identity} may be read by others, so ssh ignores it",
        "run: chmod 600 {identity}",
    ),
    (
        r"^Load key .*: (invalid format|error in libcrypto|Permission denied)",
        "other",
        "the key file {identity} cannot be read",
        "check that it is a private key that you may read",
    ),
    (
        r"^\S+: Permission denied \(",
        "key-refused",
        "the server refused the key {identity} for {user}",
        "check server.user and the server's authorized_keys; put a key with a passphrase into the agent",
    ),
    (
        r"^Unable to negotiate",
        "other",
        "{place} and the OpenSSH client have no algorithm in common",
        "update the older side",
    ),
    (
        r"^(kex_exchange_identification|banner exchange|Connection closed by|Connection reset by|"
        r"ssh_exchange_identification)",
        "other",
        "{place} closed the connection before the login",
        "look into the server's authentication log; it may be limiting connections (MaxStartups, fail2ban)",
    ),
)

_PRESENTED = re.compile(
    r"^The fingerprint for the \S+ key sent by the remote host is\s+(\S+?)\.?$", re.MULTILINE
)


def explain_login(server: Server, stderr: str, rc: int | None) -> LoginError:
    """Turn the end of a client that did not log in into a reason and a remedy.

    The messages are those of OpenSSH 9.2.
    """
    endpoint = server.endpoint
    words = {
        "place": f"{endpoint.address}:{endpoint.port}",
        "address": endpoint.address,
        "identity": server.identity,
        "user": server.user,
        "timeout": server.timeout_s,
        "pin": "server.host_key in the target file" if server.host_key else server.known_hosts,
    }
    for pattern, trouble, reason, remedy in _MEANINGS:
        if re.search(pattern, stderr, re.MULTILINE):
            shown = _PRESENTED.search(stderr)
            return LoginError(
                f"no SSH login: {reason.format(**words)}",
                remedy.format(**words),
                trouble,
                shown[1] if shown else "",
            )
    said = last_line(stderr) or "no message"
    if rc is not None and rc != 255:
        return LoginError(
            f"no SSH login: {server.user} gets no shell that runs commands (exit code {rc}, {said})",
            "give the account a login shell",
            "no-shell",
        )
    return LoginError(f"no SSH login: {said}", "try the login by hand with ssh -v")


class PrivilegeError(UnavailableError):
    """There is no root.

    Attributes:
        refused: True if su or sudo said no; False if it could not be told.
    """

    def __init__(self, reason: str, remedy: str = "", refused: bool = False) -> None:
        super().__init__(reason, remedy)
        self.refused = refused


_REFUSALS = re.compile(
    r"\bsu: (Authentication failure|Permission denied|User account has expired|user \S+ does not exist)"
    r"|\bsudo: (\d+ incorrect password attempt|no password was provided|a password is required)"
    r"|^Sorry, (try again|user \S+ (is not allowed|may not run))|\bis not in the sudoers file",
    re.MULTILINE,
)


def says_no(words: str) -> bool:
    """Tell whether su or sudo refused; its other failures leave open whether it would let one up.

    The messages are those of util-linux su 2.38 and sudo 1.9.13 in the C locale.
    """
    return _REFUSALS.search(words) is not None


def last_line(text: str) -> str:
    """Return the last line that is not blank, or nothing."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
