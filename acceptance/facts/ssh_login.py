"""The way onto the server: its host key, the login, the way up to root, and the server's clock."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts.asked import answer, read_from
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.guard.commands import ACCOUNT, CLOCK, ROOT_IDENTITY, call
from acceptance.transports.ssh_client import LoginError, PrivilegeError

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Server
    from acceptance.transports.host import Result

ROOT_BY_ANOTHER_NAME = "docker"
"""Who is in this group starts a container that mounts the whole disk."""


MOST_APART_S = 5
"""How far the clocks may differ."""


class HostKey(Fact):
    """The server's SSH host key.

    Attributes:
        pin: where the expected key stands.
        expected: its fingerprint; empty if it stands in the operator's known_hosts file.
        presented: fingerprint of the one that was shown instead; empty if OpenSSH does not tell.
    """

    matches: bool
    pin: str
    expected: str
    presented: str = ""

    @property
    def seen(self) -> str:
        """What was presented, in a few words."""
        if self.matches:
            return f"the key of {self.pin}"
        return f"another key, {self.presented}" if self.presented else "another key"


class Entry(Fact):
    """How the login went.

    Attributes:
        refused_connection: True if the port was closed: that is the server's answer only if another port of
            it was open.
        seen: what happened.
    """

    accepted: bool
    refused_connection: bool = False
    seen: str


class Account(Fact):
    """The account that logs in."""

    uid: int
    name: str
    groups: tuple[str, ...]


class WayUp(Fact):
    """How becoming root went.

    Attributes:
        uid: what it led to; None if su or sudo refused.
        seen: what happened.
    """

    uid: int | None
    seen: str


class Clock(Fact):
    """The server's clock, compared with this machine's.

    Attributes:
        at: what the server said.
        ahead_least_s, ahead_most_s: how far it is ahead at least and at most, in seconds. Between them lies
            the time of the way there and back (Cristian's method).
    """

    at: datetime
    ahead_least_s: float
    ahead_most_s: float

    @property
    def agrees(self) -> bool:
        """Whether the clocks differ by less than `MOST_APART_S`.

        Raises:
            UnavailableError: the way there and back took so long that both is possible.
        """
        if max(abs(self.ahead_least_s), abs(self.ahead_most_s)) < MOST_APART_S:
            return True
        if self.ahead_least_s >= MOST_APART_S or self.ahead_most_s <= -MOST_APART_S:
            return False
        raise UnavailableError(
            f"the server's clock is ahead by {self.shown}, which leaves open whether it is {MOST_APART_S} s",
            "run again over a faster connection",
        )

    @property
    def shown(self) -> str:
        """How far the server is ahead, for people."""
        return f"{self.ahead_least_s:+.3f} to {self.ahead_most_s:+.3f} s"


class SshLogin(Fact):
    """The run's one login.

    Attributes:
        place: address and port that were connected to.
        method: the way up to root.
        own_account: False in the rehearsal of an ordinary user, who logs in as himself.
    """

    place: str
    user: str
    method: str
    own_account: bool
    host_key: Attempt[HostKey]
    entry: Attempt[Entry]
    account: Attempt[Account]
    root: Attempt[WayUp]
    clock: Attempt[Clock]

    @property
    def source(self) -> Source:
        """Where the login was seen."""
        return Source(where=f"SSH at {self.place}", again=self._again("true"))

    @property
    def account_source(self) -> Source:
        """Where the account was seen."""
        return Source(where=f"SSH at {self.place}", again=self._again("id"))

    @property
    def root_source(self) -> Source:
        """Where becoming root was seen."""
        how = "sudo id -u" if self.method == "sudo" else "su root -c 'id -u'"
        return Source(where=f"{self.method} at {self.place}", again=self._again(how))

    def _again(self, command: str) -> str:
        address, _, port = self.place.rpartition(":")
        return f'ssh -t -p {port} {self.user}@{address} "{command}"'

    @property
    def key_source(self) -> Source:
        """Where the host key was seen."""
        address, _, port = self.place.rpartition(":")
        again = f"ssh-keyscan -p {port} {address} | ssh-keygen -lf -"
        return Source(where=f"SSH at {self.place}", again=again)

    @property
    def clock_source(self) -> Source:
        """Where the clock was read."""
        return Source(where=f"the clock of {self.place}", again="on both machines: date -u +%s.%N")

    def accepted(self, *, others_answer: bool) -> Entry:
        """Return how the login went.

        Args:
            others_answer: whether another port of the server is open.

        Raises:
            UnavailableError: the server could not be asked; a closed port alone does not tell.
        """
        entry = known(self.entry)
        if entry.refused_connection and not others_answer:
            raise UnavailableError(
                f"{entry.seen}, but no other port of the server answers either",
                "check that the server can be reached from here",
            )
        return entry

    @property
    def unprivileged(self) -> Account:
        """The account that logs in.

        Raises:
            NotApplicableError: the rehearsal has no account of its own.
            UnavailableError: there was no login.
        """
        if not self.own_account:
            raise NotApplicableError("a rehearsal that an ordinary user runs logs that user in")
        return known(self.account)

    @property
    def way_up(self) -> WayUp:
        """How becoming root went.

        Raises:
            NotApplicableError: the target declares no way up.
            UnavailableError: it could not be tried.
        """
        if self.method == "none":
            raise NotApplicableError("server.privilege.method is none: the login itself does everything")
        return known(self.root)


def fingerprint(public_key: str) -> str:
    """Return the fingerprint of `ssh-ed25519 AAAA…` as OpenSSH writes it; empty if it is no key."""
    words = public_key.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        return ""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def _host_key(server: Server, failure: UnavailableError | None) -> Known[HostKey] | Unavailable:
    """Return what the login tells of the host key, which OpenSSH checks before it offers a key."""
    expected = fingerprint(server.host_key) if server.host_key else ""
    pin = "server.host_key in the target file" if server.host_key else server.known_hosts
    matching = HostKey(matches=True, pin=pin, expected=expected, presented=expected)
    if failure is None:
        return Known(value=matching)
    if not isinstance(failure, LoginError):
        return Unavailable.of(failure)
    if failure.trouble in ("key-refused", "no-shell"):
        return Known(value=matching)
    if failure.trouble == "host-key-changed" or (failure.trouble == "host-key-unknown" and server.host_key):
        return Known(value=HostKey(matches=False, pin=pin, expected=expected, presented=failure.presented))
    return Unavailable.of(failure)


def _entry(failure: UnavailableError | None) -> Known[Entry] | Unavailable:
    if failure is None:
        return Known(value=Entry(accepted=True, seen="accepted"))
    if isinstance(failure, LoginError) and failure.trouble in ("key-refused", "no-shell", "port-closed"):
        closed = failure.trouble == "port-closed"
        seen = failure.reason.removeprefix("no SSH login: ")
        return Known(value=Entry(accepted=False, refused_connection=closed, seen=seen))
    return Unavailable.of(failure)


def read_account(result: Result) -> Account:
    """Return who logs in.

    Raises:
        UnavailableError: the answer is not understood.
    """
    lines = result.answered().text.splitlines()
    if len(lines) != 3 or not lines[0].isdigit():
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood")
    return Account(uid=int(lines[0]), name=lines[1], groups=tuple(sorted(lines[2].split())))


def read_clock(result: Result) -> Clock:
    """Compare the server's clock with ours.

    The server read its clock after the command had left here and before the answer came.

    Raises:
        UnavailableError: the answer is not understood.
    """
    try:
        told = float(result.answered().text)
    except ValueError as error:
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood") from error
    return Clock(
        at=datetime.fromtimestamp(told, tz=UTC),
        ahead_least_s=round(told - (result.sent + result.seconds), 3),
        ahead_most_s=round(told - result.sent, 3),
    )


def read_root(result: Result) -> WayUp:
    """Return where the way up leads.

    Raises:
        UnavailableError: the answer is not understood.
    """
    told = result.answered().text.strip()
    if not told.isdigit():
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood")
    return WayUp(uid=int(told), seen=f"uid {told}")


def _root(answered: Result | UnavailableError) -> Known[WayUp] | Unavailable:
    if isinstance(answered, PrivilegeError) and answered.refused:
        return Known(value=WayUp(uid=None, seen=answered.reason))
    return read_from(answered, read_root)


async def collect(access: Access) -> SshLogin:
    """Log in, and ask who that is, who root is, and what time it is."""
    server, host = access.target.server, access.host
    account, clock, root = await asyncio.gather(
        answer(access, call(ACCOUNT)), answer(access, call(CLOCK)), answer(access, call(ROOT_IDENTITY))
    )
    failure = account if isinstance(account, UnavailableError) and not host.logins else None
    endpoint = server.endpoint
    return SshLogin(
        place=f"{endpoint.address}:{endpoint.port}",
        user=server.user,
        method=server.privilege.method,
        own_account=not access.target.rehearsal or server.privilege.method != "none",
        host_key=_host_key(server, failure),
        entry=_entry(failure),
        account=read_from(account, read_account),
        root=_root(root),
        clock=read_from(clock, read_clock),
    )


NOUN = Noun("ssh_login", SshLogin, collect, sources=("root",), host=True)
