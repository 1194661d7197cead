"""What the stand-in knows: written by the rehearsal and its faults, read again whenever it changed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Token:
    """An access token's owner and scopes."""

    owner: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """A commit's newest status in one context."""

    context: str
    status: str
    description: str = ""


@dataclass(frozen=True)
class Task:
    """An attempt at a job that was given to a runner."""

    name: str
    head_sha: str
    run_number: int
    status: str
    head_branch: str = "main"
    event: str = "push"
    workflow_id: str = "build.yml"


@dataclass(frozen=True)
class Commit:
    """A commit: its statuses and the text of its files by path."""

    statuses: tuple[Status, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """Everything.

    Attributes:
        owner: of the repository; only its owner may list runs.
        private: whether strangers are told that the repository does not exist.
        accounts: passwords by name. tokens: by their values.
        branches: the newest commit of each. tasks: the newest first.
        gone: True for a server whose API was switched off.
    """

    version: str
    repository: str
    owner: str
    private: bool = True
    gone: bool = False
    accounts: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, Token] = field(default_factory=dict)
    branches: Mapping[str, str] = field(default_factory=dict)
    commits: Mapping[str, Commit] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()

    def with_head(self, sha: str, commit: Commit, branch: str = "main") -> State:
        """Return it with one more commit, the branch's newest."""
        return replace(self, branches={**self.branches, branch: sha}, commits={**self.commits, sha: commit})

    def with_commit(self, sha: str, **changes: Any) -> State:  # noqa: ANN401 - a commit's fields
        """Return it with a commit changed."""
        return replace(self, commits={**self.commits, sha: replace(self.commits[sha], **changes)})


def save(state: State, path: Path) -> None:
    """Write it in one step, with the owner and mode of what was there; the file must exist.

    Raises:
        OSError: it cannot be written.
    """
    before = path.stat()
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=0o600)
    os.chown(fresh, before.st_uid, before.st_gid)
    fresh.write_text(json.dumps(asdict(state)), encoding="utf-8")
    fresh.replace(path)


def load(path: Path) -> State:
    """Read it.

    Raises:
        OSError: it cannot be read.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    document["tokens"] = {value: _token(token) for value, token in document["tokens"].items()}
    document["commits"] = {sha: _commit(commit) for sha, commit in document["commits"].items()}
    document["tasks"] = tuple(Task(**task) for task in document["tasks"])
    return State(**document)


def _token(document: Mapping[str, Any]) -> Token:
    return Token(document["owner"], tuple(document["scopes"]))


def _commit(document: Mapping[str, Any]) -> Commit:
    return Commit(tuple(Status(**status) for status in document["statuses"]), document["files"])


class Current:
    """The state as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._state: State | None = None

    def get(self) -> State:
        """Return it.

        Raises:
            OSError: it cannot be read.
        """
        found = self._path.stat()
        seen = (found.st_mtime_ns, found.st_ino)
        if self._state is None or seen != self._seen:
            self._state, self._seen = load(self._path), seen
        return self._state
