"""The server behind SSH: one login, at most two kept shells, tunnels over the same connection."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
import shlex
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.commands import Call
from acceptance.guard.deeds import LOGIN, ROOT, TUNNEL
from acceptance.ledger import Ledger
from acceptance.target import Server
from acceptance.transports import helper
from acceptance.transports.batch import Deliver, RemoteShell, check, preamble
from acceptance.transports.host import Result
from acceptance.transports.identity import can_sign
from acceptance.transports.rounds import Batcher
from acceptance.transports.ssh_client import (
    Client,
    LoginError,
    PrivilegeError,
    explain_login,
    host_key_name,
    login_arguments,
    says_no,
    shared_arguments,
)

T = TypeVar("T")

_PLAIN_LAUNCHER = "exec env LC_ALL=C /bin/sh"

_CHECK_RIGHTS = "check server.privilege (method, password) in the target file and the account's rights"

_LONGEST_SOCKET_DIRECTORY = 60
"""A Unix socket's whole path must stay below 104 bytes, and ssh appends to it while it binds."""


class _Once(Generic[T]):
    """Something that is made on first need and then kept, be it a value or an error."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._task: asyncio.Future[T] | None = None

    async def get(self) -> T:
        if self._task is None:
            self._task = asyncio.ensure_future(self._make())
        return await asyncio.shield(self._task)

    async def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class SshHost:
    """The server, as collectors, tunnels and testinfra use it. Logs in on first need.

    Args:
        server: where it is, whose key it has, and the way up to root; its time limit is for the
            login and for becoming root (every command declares its own).
        password: resolves the password for su or sudo when it is needed; empty if there is none.
        authorise: refuses a call that is not declared (RefusedError) or not approved
            (UnavailableError), before anything is sent.
        ledger: told of the login and of every call.

    Attributes:
        logins: how often the server accepted a login.
    """

    def __init__(
        self,
        server: Server,
        *,
        password: Callable[[], str],
        authorise: Callable[[Call], object],
        ledger: Ledger | None = None,
    ) -> None:
        self.server = server
        self.logins = 0
        self._password = password
        self._authorise = authorise
        self._ledger = ledger
        self._nonce = secrets.token_hex(16)
        self._batcher = Batcher(self._send)
        self._directory: Path | None = None
        self._clients: list[Client] = []
        self._plain = _Once(self._log_in)
        self._root = _Once(self._become_root)
        self._tunnels: dict[tuple[str, int], _Once[Path]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def round_trips(self) -> int:
        """How many batches were sent; both shells' parts of one batch count as one, a watch's as none."""
        return self._batcher.round_trips

    @property
    def samples(self) -> int:
        """How many batches were sent for a watch."""
        return self._batcher.samples

    def collector(self) -> AbstractAsyncContextManager[None]:
        """Register the caller as a collector while the block lasts: see `Batcher`."""
        return self._batcher.collector()

    def done(self) -> None:
        """Tell that the calling collector will run nothing more: see `Batcher`."""
        self._batcher.done()

    def forget(self) -> None:
        """Forget all results, so that equal calls are sent again."""
        self._batcher.forget()

    async def run(self, *calls: Call) -> tuple[Result, ...]:
        """Run declared calls and return their results in order: see `Host.run`.

        Raises:
            RefusedError: a call is not declared; nothing was sent.
            UnavailableError: not approved, no login, no privilege, or the connection broke.
        """
        for call in calls:
            check(call)
            self._authorise(call)
        return await self._batcher.run(calls)

    async def can_be_root(self) -> bool:
        """Tell whether there is a shell of root's for privileged commands; False if none is declared."""
        if self.server.privilege.method == "none" or self.server.privilege.helper:
            return False
        try:
            await self._root.get()
        except UnavailableError:
            return False
        return True

    async def forward(self, address: str, port: int, name: str = "") -> Path:
        """Open a tunnel and return the local Unix socket (0600, in a private directory) it begins at.

        A tunnel to the same address and port is opened once. That it is open does not mean that
        anything answers: see `tunnel_trouble`.

        Args:
            address: as the server sees it.
            port: likewise.
            name: the socket's file name; by default the one that PostgreSQL's clients look for.

        Raises:
            RefusedError: the address is none.
            UnavailableError: no login, or the tunnel was refused.
        """
        if not re.fullmatch(r"[0-9A-Za-z.:-]+", address):
            raise self.refuse(TUNNEL.name, repr(address))
        if (address, port) not in self._tunnels:
            self._tunnels[address, port] = _Once(
                lambda: self._open_tunnel(address, port, name or f".s.PGSQL.{port}")
            )
        return await self._tunnels[address, port].get()

    def refuse(self, name: str, what: str) -> RefusedError:
        """Write down that something was refused and return the error to raise."""
        why = "not declared in acceptance/guard"
        if self._ledger is not None:
            self._ledger.record("ssh", name, kind="refused", detail=what, result=why)
        return RefusedError(f"{name}: {what} is {why}; nothing was sent")

    def tunnel_trouble(self) -> str:
        """Return why the server could not connect a tunnel last time; empty if it always could."""
        said = self._clients[0].stderr if self._clients else ""
        found = re.findall(r"^channel \d+: open failed: (.*)$", said, re.MULTILINE)
        return found[-1] if found else ""

    async def close(self) -> None:
        """End the login and everything of ours; a second call does nothing."""
        await self._batcher.close()
        await asyncio.gather(*(tunnel.cancel() for tunnel in self._tunnels.values()))
        await asyncio.gather(self._root.cancel(), self._plain.cancel())
        clients, self._clients = self._clients, []
        # the last one first: the login's own client waits for those that share it
        for client in reversed(clients):
            await client.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    async def _send(self, calls: Sequence[Call], deliver: Deliver) -> None:
        privilege = self.server.privilege
        if privilege.helper:
            await self._send_with_helper(privilege.helper, calls, deliver)
            return
        with_root = privilege.method != "none"
        plain: list[int] = []
        privileged: list[int] = []
        for index in _timed_first(calls):
            (privileged if with_root and calls[index].command.privileged else plain).append(index)
        await asyncio.gather(
            self._send_over(self._plain, calls, plain, deliver),
            self._send_as_root(calls, privileged, deliver),
        )

    async def _send_as_root(self, calls: Sequence[Call], chosen: Sequence[int], deliver: Deliver) -> None:
        """Send to root's shell; if there is none, what can do without goes to the login's."""
        if chosen and not await self.can_be_root():
            plain = [index for index in chosen if calls[index].command.plain_too]
            await self._send_over(self._plain, calls, plain, deliver)
            chosen = [index for index in chosen if index not in plain]
        await self._send_over(self._root, calls, chosen, deliver)

    async def _send_with_helper(self, path: str, calls: Sequence[Call], deliver: Deliver) -> None:
        """Send everything to the login's shell; sudo runs the helper for what is privileged.

        What can do without root is sent once more, plainly, if the helper did not run it.
        """
        sudo = self.server.tools.sudo
        helped = [call.command.privileged and not call.command.any_file for call in calls]
        sent = [
            helper.through(sudo, path, call) if through else call
            for call, through in zip(calls, helped, strict=True)
        ]
        plain: list[int] = []

        def hand_over(index: int, outcome: Result | UnavailableError) -> None:
            if isinstance(outcome, Result) and helped[index]:
                outcome = helper.answered(calls[index], outcome)
            if isinstance(outcome, UnavailableError) and calls[index].command.plain_too:
                plain.append(index)
            else:
                deliver(index, outcome)

        await self._send_over(self._plain, sent, _timed_first(sent), hand_over)
        await self._send_over(self._plain, calls, plain, deliver)

    async def _send_over(
        self, kept: _Once[RemoteShell], calls: Sequence[Call], chosen: Sequence[int], deliver: Deliver
    ) -> None:
        if not chosen:
            return
        try:
            shell = await kept.get()
        except UnavailableError as error:
            for index in chosen:
                deliver(index, error)
            return
        await shell.run([calls[index] for index in chosen], lambda at, outcome: deliver(chosen[at], outcome))

    async def _log_in(self) -> RemoteShell:
        begun = time.monotonic()
        result = "failed"
        try:
            client = await self._login_client()
            result = "logged in"
        finally:
            self._note(Call(LOGIN, (self.server.user,)), time.monotonic() - begun, result)
        self.logins += 1
        return RemoteShell(client.lines, client.write, self._nonce, self._note, client.last_line)

    async def _login_client(self) -> Client:
        server = self.server
        _require_identity(server)
        directory = self._directory = _private_directory()
        arguments = login_arguments(server, directory / "c", self._known_hosts(directory))
        client = await Client.start([*arguments, _PLAIN_LAUNCHER])
        self._clients.append(client)
        client.write(preamble(self._nonce) + f"printf '\\n{self._nonce} ready\\n'\n".encode())
        limit = 2 * server.timeout_s
        try:
            async with asyncio.timeout(limit):
                await _marker(client, f"{self._nonce} ready")
        except TimeoutError as error:
            raise LoginError(
                f"no SSH login: not finished within {limit:g} s", "try the login by hand with ssh -v"
            ) from error
        except EOFError as error:
            stderr = await client.last_words()
            trouble = explain_login(server, stderr, await client.wait(1))
            raise await _unless_locked(server, trouble) from error
        client.forget_words()
        return client

    def _known_hosts(self, directory: Path) -> Path:
        if self.server.host_key is None:
            return Path(self.server.known_hosts).expanduser()
        pinned = directory / "known_hosts"
        pinned.write_text(f"{host_key_name(self.server)} {self.server.host_key}\n", encoding="utf-8")
        return pinned

    async def _become_root(self) -> RemoteShell:
        await self._plain.get()
        password = self._password()
        if "\n" in password or "\0" in password:
            raise UnavailableError("no root privilege: the password holds a line break", "correct the secret")
        begun = time.monotonic()
        result = "failed"
        try:
            client = await self._root_client(password)
            result = "became root"
        finally:
            self._note(Call(ROOT, (self.server.privilege.method,)), time.monotonic() - begun, result)
        return RemoteShell(client.lines, client.write, self._nonce, self._note, client.last_line)

    async def _root_client(self, password: str) -> Client:
        prompt = f"{self._nonce}: "

        def give_up_when_asked_again(client: Client) -> None:
            if client.stderr.count(prompt) > 1:
                client.end_input()

        launcher = _root_launcher(self.server, self._nonce, prompt, bool(password))
        client = await Client.start(
            [*shared_arguments(self._control), f"exec env LC_ALL=C /bin/sh -c {shlex.quote(launcher)}"],
            give_up_when_asked_again,
        )
        self._clients.append(client)
        if password:
            client.write(password.encode() + b"\n")
        limit = self.server.timeout_s
        try:
            async with asyncio.timeout(limit):
                uid = await _behind(client, f"{self._nonce}-")
        except (TimeoutError, EOFError) as error:
            late = isinstance(error, TimeoutError)
            why = f"no answer within {limit:g} s" if late else await client.last_line(prompt)
            await client.stop()
            raise PrivilegeError(
                f"no root privilege: {why or 'no message'}", _CHECK_RIGHTS, says_no(why)
            ) from error
        if uid != "0":
            await client.stop()
            raise PrivilegeError(
                f"no root privilege: the way up leads to uid {uid}", _CHECK_RIGHTS, refused=True
            )
        client.forget_words()
        client.write(f"{self._nonce}-go\n".encode() + preamble(self._nonce))
        return client

    async def _open_tunnel(self, address: str, port: int, name: str) -> Path:
        await self._plain.get()
        begun = time.monotonic()
        result = "failed"
        socket = Path(tempfile.mkdtemp(prefix="t", dir=self._directory)) / name
        client = await Client.start(
            shared_arguments(self._control, "-O", "forward", "-L", f"{socket}:{_bracketed(address)}:{port}")
        )
        try:
            if await client.wait(self.server.timeout_s) != 0:
                raise UnavailableError(
                    f"no tunnel to {address}:{port}: {await client.last_line() or 'no answer'}",
                    "check that the server's sshd allows TCP forwarding",
                )
            result = "open"
        finally:
            await client.stop()
            self._note(Call(TUNNEL, (address, str(port))), time.monotonic() - begun, result)
        return socket

    @property
    def _control(self) -> Path:
        if self._directory is None:
            raise UnavailableError("the connection was closed")
        return self._directory / "c"

    def _note(self, call: Call, seconds: float, result: str) -> None:
        if self._ledger is not None:
            self._ledger.record(
                "ssh",
                call.command.name,
                detail=shlex.join(call.arguments),
                kind="mutation" if call.command.action else "read",
                seconds=seconds,
                result=result,
            )


def _root_launcher(server: Server, nonce: str, prompt: str, password: bool) -> str:
    """Return what becomes root and proves it by printing `NONCE-0`.

    The root shell drops every line until `NONCE-go`: a password that su or sudo did not ask for
    (uid 0 already, NOPASSWD) never reaches it as a command.
    """
    inner = (
        f'printf "%s-%s\\n" {nonce} "$(id -u)"; '
        f'while IFS= read -r line; do if [ "$line" = {nonce}-go ]; then exec /bin/sh; fi; done'
    )
    shell = f"/bin/sh -c {shlex.quote(inner)}"
    tools = server.tools
    if server.privilege.method == "sudo":
        how = f"-S -k -p {shlex.quote(prompt)}" if password else "-n"
        rise = f"exec {shlex.quote(tools.sudo)} {how} -- {shell}"
    elif password:
        rise = f"exec {shlex.quote(tools.su)} root -c {shlex.quote('exec ' + shell)}"
    else:
        rise = "echo 'su: the target file names no password' >&2; exit 1"
    return f'if [ "$(id -u)" = 0 ]; then exec {shell}; else {rise}; fi'


def _require_identity(server: Server) -> None:
    if not Path(server.identity).expanduser().is_file():
        raise UnavailableError(
            f"no SSH login: there is no key file {server.identity}",
            "put it there, or correct server.identity in the target file",
        )


async def _unless_locked(server: Server, trouble: LoginError) -> LoginError:
    """Return the trouble; it is not the server's answer if the key could not be used at all."""
    if trouble.trouble != "key-refused" or await can_sign(server.identity):
        return trouble
    return LoginError(
        f"no SSH login: the key {server.identity} has a passphrase and is not in the agent",
        f"run: ssh-add {server.identity}",
    )


def _timed_first(calls: Sequence[Call]) -> list[int]:
    return sorted(range(len(calls)), key=lambda index: not calls[index].command.timed)


async def _behind(client: Client, prefix: str) -> str:
    """Return the rest of the first line that begins so."""
    while not (line := await client.lines.next()).startswith(prefix.encode()):
        pass
    return line.decode("ascii", errors="replace").removeprefix(prefix)


async def _marker(client: Client, marker: str) -> None:
    while await client.lines.next() != marker.encode():
        pass


def _private_directory() -> Path:
    """Return a new directory (0700) whose path is short enough for sockets."""
    usual = tempfile.gettempdir()
    parent = usual if len(usual) <= _LONGEST_SOCKET_DIRECTORY else "/tmp"  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="acceptance-", dir=parent))


def _bracketed(address: str) -> str:
    try:
        return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        return address
