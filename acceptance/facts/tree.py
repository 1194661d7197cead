"""A part of the server's file tree, fetched once as a tar archive and looked at only in memory."""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from acceptance.errors import UnavailableError
from acceptance.transports.host import Result

_DENIED = re.compile(r"tar: (?P<path>.+): Cannot (?:open|read|stat|savedir|readlink): Permission denied")
_MAX_LINKS = 40


class MissingError(Exception):
    """There is certainly no such file."""


class OutsideError(Exception):
    """The path lies outside what was fetched, or was left out on purpose; the message is the path."""


@dataclass(frozen=True)
class Entry:
    """One member of the archive.

    Attributes:
        content: of a file.
        target: of a symbolic link.
        modified: when the member's content changed, in seconds since the epoch.
        placed: when its content, name, owner or rights changed last (ctime), likewise. A copy that kept its
            modification time tells by this that it is new.
    """

    kind: Literal["file", "directory", "link"]
    content: bytes = b""
    target: str = ""
    modified: float = 0.0
    placed: float = 0.0


@dataclass(frozen=True)
class Located:
    """A path after all links were followed.

    Attributes:
        path: where it really is.
        modified: the newest change of the file or of a link on the way, in seconds since the epoch.
        placed: the newest of their ctimes, likewise.
    """

    path: str
    entry: Entry
    modified: float
    placed: float


@dataclass(frozen=True)
class Tree:
    """Files, directories and links by absolute path.

    Attributes:
        root: directory that was fetched completely; what is not in it does not exist.
        denied: paths that the login user may not read.
        left_out: patterns of file names that are never fetched.
        asked: files and patterns elsewhere that were fetched one by one; what is not there of
            them does not exist either.
    """

    entries: dict[str, Entry]
    root: str
    denied: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()
    asked: frozenset[str] = frozenset()

    def add(self, asked: Iterable[str], entries: dict[str, Entry], denied: Iterable[str]) -> Tree:
        """Return a tree that also holds files that were asked for one by one."""
        return Tree(
            {**self.entries, **entries},
            self.root,
            self.denied | frozenset(denied),
            self.left_out,
            self.asked | frozenset(asked),
        )

    def _inside(self, path: str) -> bool:
        return path == self.root or path.startswith(f"{self.root}/")

    def _require_visible(self, path: str) -> None:
        hidden = [place for place in self.denied if path == place or path.startswith(f"{place}/")]
        if hidden:
            raise UnavailableError(
                f"{hidden[0]} may not be read by the login user", "allow the login user to read it"
            )
        outside = not self._inside(path) and path not in self.asked
        if outside or self.never_fetched(path):
            raise OutsideError(path)

    def never_fetched(self, path: str) -> bool:
        """Tell whether a file is left out by its name: keys and password files."""
        return any(fnmatchcase(posixpath.basename(path), pattern) for pattern in self.left_out)

    def locate(self, path: str) -> Located:
        """Follow every link of a path and return what is there.

        Raises:
            MissingError: nothing is there, or links go in circles.
            OutsideError: it leads out of the tree; the message is where to.
            UnavailableError: the login user may not read it.
        """
        current, pending, passed = "", _parts(path), list[Entry]()
        while pending:
            part = pending.pop(0)
            candidate = posixpath.normpath(f"{current}/{part}")
            entry = self.entries.get(candidate)
            if entry is None or entry.kind != "link":
                current = candidate
                continue
            passed.append(entry)
            if len(passed) > _MAX_LINKS:
                raise MissingError(path)
            if entry.target.startswith("/"):
                current = ""
            pending = _parts(entry.target) + pending
        found = self.entries.get(current)
        if found is None:
            self._require_visible(path)
            if path not in self.asked:
                self._require_visible(current)
            raise MissingError(path)
        passed.append(found)
        return Located(
            path=current,
            entry=found,
            modified=max(entry.modified for entry in passed),
            placed=max(entry.placed for entry in passed),
        )

    def exists(self, path: str) -> bool:
        """Tell whether a path leads to something.

        Raises:
            UnavailableError: it cannot be told.
        """
        try:
            self.locate(path)
        except MissingError:
            return False
        except OutsideError as error:
            raise UnavailableError(f"{path} leads to {error}, which was not fetched") from error
        return True

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Expand a pattern to what it matches, sorted by byte as nginx reads it.

        Raises:
            OutsideError: the pattern reaches out of the tree.
            UnavailableError: a directory on the way may not be read.
        """
        if pattern in self.denied:
            raise UnavailableError(f"{pattern} may not be read by the login user")
        if pattern in self.asked:
            return tuple(sorted(path for path in self.entries if _matches(path, pattern)))
        found = [""]
        for part in _parts(pattern):
            found = [path for base in found for path in self._step(base, part)]
        return tuple(sorted(found))

    def _step(self, base: str, part: str) -> list[str]:
        if not is_pattern(part):
            candidate = f"{base}/{part}"
            above = not self._inside(candidate) and self.root.startswith(f"{candidate}/")
            return [candidate] if above or self._present(candidate) else []
        try:
            directory = self.locate(base)
        except MissingError:
            return []
        if directory.entry.kind != "directory":
            return []
        return [
            f"{base}/{name}"
            for name in self.names(directory.path)
            if fnmatchcase(name, part) and name.startswith(".") <= part.startswith(".")
        ]

    def _present(self, path: str) -> bool:
        if path in self.entries:
            return True
        try:
            self.locate(path)
        except MissingError:
            return False
        return True

    def names(self, directory: str) -> tuple[str, ...]:
        """Return the names of a directory's entries, sorted by byte; the path must hold no link.

        Raises:
            UnavailableError: the login user may not list it.
        """
        if directory in self.denied:
            raise UnavailableError(
                f"{directory} may not be listed by the login user", "allow the login user to read it"
            )
        prefix = f"{directory.rstrip('/')}/"
        known = {path[len(prefix) :] for path in (*self.entries, *self.denied) if path.startswith(prefix)}
        return tuple(sorted(name for name in known if "/" not in name))


def is_pattern(path: str) -> bool:
    """Tell whether nginx would expand it: it holds `*`, `?` or `[`."""
    return any(character in path for character in "*?[")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _matches(path: str, pattern: str) -> bool:
    parts, wanted = _parts(path), _parts(pattern)
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def unpack(archive: bytes) -> dict[str, Entry]:
    """Return the members of a tar archive by absolute path; an empty archive has none.

    Raises:
        UnavailableError: it is not a whole tar archive.
    """
    if not archive:
        return {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
            return {
                posixpath.normpath(member.name): entry
                for member in opened
                if (entry := _entry(opened, member)) is not None
            }
    except (tarfile.TarError, EOFError) as error:
        raise UnavailableError(f"the server's tar archive cannot be read ({error})") from error


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry | None:
    modified, placed = float(member.mtime), _placed(member)
    if member.issym():
        return Entry("link", target=member.linkname, modified=modified, placed=placed)
    if member.isdir():
        return Entry("directory", modified=modified, placed=placed)
    content = archive.extractfile(member) if member.isfile() or member.islnk() else None
    return Entry("file", content=content.read(), modified=modified, placed=placed) if content else None


def _placed(member: tarfile.TarInfo) -> float:
    """Return the ctime that GNU tar's pax format records; the mtime if it is missing."""
    try:
        return float(member.pax_headers["ctime"])
    except (KeyError, ValueError):
        return float(member.mtime)


def denied(result: Result) -> frozenset[str]:
    """Return the paths that tar was not permitted to read.

    Raises:
        UnavailableError: tar failed for another reason, or only in part and without saying where.
    """
    if result.rc == 0:
        return frozenset()
    lines = [line for line in result.stderr.splitlines() if "Exiting with failure status" not in line]
    refused = [_DENIED.fullmatch(line.strip()) for line in lines]
    if result.rc != 2 or not lines or not all(refused) or result.truncated or result.timed_out:
        result.answered()
    return frozenset(match["path"].rstrip("/") for match in refused if match)
