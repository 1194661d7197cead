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
        """Append one action. `detail` and `result` may hold remote text; they are redacted here."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "transport": transport,
            "kind": kind,
            "name": name,
            "detail": self._redactor.clean(detail),
            "seconds": round(seconds, 3),
            "result": self._redactor.clean(result),
        }
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._file.flush()

    def close(self) -> None:
        """Close the file; later actions are not recorded because there are none."""
        with self._lock:
            self._file.close()
