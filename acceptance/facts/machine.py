"""What is left of the server's disks and memory."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Literal

from acceptance.errors import UnavailableError
from acceptance.facts.asked import ask
from acceptance.facts.base import Attempt, Fact, Noun, Source
from acceptance.guard.commands import CAPACITY, MEMORY, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.host import Result

Holds = Literal["system", "deploy", "docker"]

_DATA_ROOT = "docker's data root"
_NOT_TOLD = "docker does not name it"
_MIB = 1024 * 1024


class Filesystem(Fact):
    """The file system below one place that the deployment writes to.

    Attributes:
        holds: what the place is for; `docker` is the engine's data root.
        path: the place; what does not exist yet will be made there.
        mount: where the file system is mounted.
        free_bytes: what is left for others than root.
        inodes_free: None on a file system without a limit.
    """

    holds: Holds
    path: str
    mount: str
    free_bytes: int
    inodes_free: int | None

    @property
    def free_mb(self) -> int:
        """What is left, in MiB."""
        return self.free_bytes // _MIB

    @property
    def space(self) -> str:
        """What is left, for people."""
        return f"{self.path} (on {self.mount}) {self.free_mb} MB"

    @property
    def inodes(self) -> str:
        """How many inodes are left, for people."""
        left = "without limit" if self.inodes_free is None else str(self.inodes_free)
        return f"{self.path} (on {self.mount}) {left}"


class Filesystems(Fact):
    """All of them.

    Attributes:
        unseen: why one of them could not be measured, for each.
    """

    all: tuple[Filesystem, ...]
    unseen: tuple[str, ...]

    @property
    def source(self) -> Source:
        """Where it was seen."""
        places = " ".join(one.path for one in self.all)
        return Source(where="df on the server", again=f"on the server: df -h {places}; df -i {places}")

    def short_of_space(self, floor_mb: int) -> tuple[str, ...]:
        """Return each that has less left.

        Raises:
            UnavailableError: none of those that were measured, but not all were.
        """
        return self._all_seen([one.space for one in self.all if one.free_mb < floor_mb])

    def short_of_inodes(self, floor: int) -> tuple[str, ...]:
        """Return each that has fewer left.

        Raises:
            UnavailableError: none of those that were measured, but not all were.
        """
        return self._all_seen(
            [one.inodes for one in self.all if one.inodes_free is not None and one.inodes_free < floor]
        )

    def _all_seen(self, short: list[str]) -> tuple[str, ...]:
        if self.unseen and not short:
            raise UnavailableError(self.unseen[0])
        return tuple(short)


class Machine(Fact):
    """The server's resources.

    Attributes:
        memory_available_mb: what programs could still take without swapping (MemAvailable).
    """

    filesystems: Attempt[Filesystems]
    memory_available_mb: Attempt[int]

    @property
    def memory_source(self) -> Source:
        """Where the memory was seen."""
        return Source(where="/proc/meminfo", again="on the server: grep MemAvailable /proc/meminfo")


def read_filesystems(result: Result) -> Filesystems:
    """Return what `df` says.

    Raises:
        UnavailableError: nothing was answered.
    """
    found: list[Filesystem] = []
    unseen: list[str] = []
    for line in result.answered().text.splitlines():
        state, holds, path, told = line.split("|", 3)
        columns = re.fullmatch(r"\s*(\d+)\s+(\d+|-)\s+(\d+|-)\s+(/.*)", told)
        if state != "found" or columns is None:
            unseen.append(f"{path or _DATA_ROOT} was not measured: {told.strip() or _NOT_TOLD}")
            continue
        limited = columns[2].isdigit() and int(columns[2]) > 0
        found.append(
            Filesystem.model_validate(
                {
                    "holds": holds,
                    "path": path,
                    "mount": columns[4],
                    "free_bytes": int(columns[1]),
                    "inodes_free": int(columns[3]) if limited and columns[3].isdigit() else None,
                }
            )
        )
    if not found:
        raise UnavailableError(unseen[0] if unseen else f"{result.call.command.name}: no answer")
    return Filesystems(all=tuple(found), unseen=tuple(unseen))


def read_memory(result: Result) -> int:
    """Return MemAvailable in MiB; Linux tells it since 3.14.

    Raises:
        UnavailableError: it is not told.
    """
    told = re.search(r"^MemAvailable:\s+(\d+) kB$", result.answered().text, re.MULTILINE)
    if told is None:
        raise UnavailableError("/proc/meminfo has no MemAvailable")
    return int(told[1]) // 1024


async def collect(access: Access) -> Machine:
    """Ask for what is left."""
    target = access.target
    filesystems, memory = await asyncio.gather(
        ask(access, call(CAPACITY, target.server.tools.docker, target.compose.directory), read_filesystems),
        ask(access, call(MEMORY), read_memory),
    )
    return Machine(filesystems=filesystems, memory_available_mb=memory)


NOUN = Noun("machine", Machine, collect, sources=("engine",), host=True)
