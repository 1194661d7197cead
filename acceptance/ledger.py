"""Everything done to the target, in order, written and flushed as it happens."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

from acceptance.secrets import Redactor

Kind = Literal["read", "mutation", "refused", "approval"]


class Ledger:
    """An append-only file of JSON lines.

    A line is `at` (UTC), `transport`, `kind`, `name` (of the declaration), `detail` (arguments, redacted),
    `seconds` and `result`.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._path = path
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._redactor = redactor
        self._lock = threading.Lock()

    def record(
        self,
        transport: str,
        name: str,
        *,
        detail: str = "",
        kind: Kind = "read",
        seconds: float = 0.0,
        result: str = "",
    ) -> None:
        """Append one action. What it says may hold remote text; it is redacted here."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "transport": transport,
            "kind": kind,
            "name": self._redactor.clean(name),
            "detail": self._redactor.clean(detail),
            "seconds": round(seconds, 3),
            "result": self._redactor.clean(result),
        }
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._file.flush()

    def close(self) -> None:
        """Close the file; later actions are not recorded because there are none.

        What became known as a secret after its line was written is taken out of it now.
        """
        with self._lock:
            if self._file.closed:
                return
            self._file.close()
            lines = self._path.read_text(encoding="utf-8").splitlines()
            cleaned = [self._cleaned(line) for line in lines]
            if cleaned != lines:
                partial = self._path.with_name(f".{self._path.name}.part")
                partial.write_text("".join(f"{line}\n" for line in cleaned), encoding="utf-8")
                partial.replace(self._path)

    def _cleaned(self, line: str) -> str:
        entry = json.loads(line)
        clean = {name: self._redactor.clean(entry[name]) for name in ("name", "detail", "result")}
        return json.dumps(entry | clean, ensure_ascii=False)
