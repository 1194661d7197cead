"""A container's log, kept as Docker's json-file driver keeps it."""

from __future__ import annotations

import json
import os
import selectors
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rehearsal.runtime import clock

_LONGEST_LINE = 16 * 1024


@dataclass(frozen=True)
class Entry:
    """One entry: a line with its newline, or a 16 KiB piece of a longer one (Docker splits there)."""

    time_ns: int
    stream: str
    text: bytes


class Log(Protocol):
    """Where a container's output goes."""

    def append(self, entry: Entry) -> None:
        """Keep one entry."""


class JsonFile:
    """The json-file driver: one JSON object per line."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def append(self, entry: Entry) -> None:
        """Keep one entry; undecodable bytes are replaced, as Docker does."""
        text = entry.text.decode("utf-8", errors="replace")
        line = json.dumps(
            {"log": text, "stream": entry.stream, "time": clock.short(entry.time_ns)}, ensure_ascii=False
        )
        with self._lock:
            if not self._file.closed:
                self._file.write(line + "\n")
                self._file.flush()

    def entries(self) -> Iterator[Entry]:
        """Read the log from its beginning."""
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                yield Entry(clock.parse(record["time"], 0), record["stream"], record["log"].encode())

    def close(self) -> None:
        """Close the file; later entries are dropped."""
        with self._lock:
            self._file.close()


class NoLog:
    """The driver `none`: nothing is kept."""

    def append(self, entry: Entry) -> None:
        """Drop the entry."""


class _Stream:
    def __init__(self, name: str, log: Log) -> None:
        self.name = name
        self.log = log
        self._rest = b""

    def feed(self, data: bytes) -> None:
        now = clock.now()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._append(now, line + b"\n")
        while len(self._rest) >= _LONGEST_LINE:
            self._append(now, self._rest[:_LONGEST_LINE])
            self._rest = self._rest[_LONGEST_LINE:]

    def _append(self, now: int, line: bytes) -> None:
        for start in range(0, len(line), _LONGEST_LINE):
            self.log.append(Entry(now, self.name, line[start : start + _LONGEST_LINE]))

    def finish(self) -> None:
        if self._rest:
            self._append(clock.now(), self._rest)


class Pump:
    """One thread that moves the output of all containers into their logs."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._wake, self._waker = os.pipe()
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        threading.Thread(target=self._run, name="log-pump", daemon=True).start()

    def pipe(self, name: str, log: Log) -> int:
        """Return the writing end of a new pipe whose lines go to `log` as stream `name`.

        The caller closes it after handing it to a process.
        """
        reading, writing = os.pipe()
        with self._lock:
            self._selector.register(reading, selectors.EVENT_READ, _Stream(name, log))
        os.write(self._waker, b"+")
        return writing

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                data = os.read(key.fd, 65536)
                stream: _Stream | None = key.data
                if stream is None:
                    continue
                if data:
                    stream.feed(data)
                    continue
                stream.finish()
                with self._lock:
                    self._selector.unregister(key.fd)
                os.close(key.fd)
