"""What of the facts differs between two looks though nothing has changed: declared, and compared apart.

A pattern is a path below the fact's value. `*` stands for one step (a name, or an element of a list), `**`
for any number of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

VOLATILE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "containers": ("at", "again.value.at"),
        "deliveries": ("seen.**",),
        "health": ("latencies_ms.**",),
        "inquiry": ("marker",),
        "logs": tuple(f"services.*.value.{name}" for name in ("lines", "bytes", "first", "last")),
        "machine": (
            "filesystems.value.all.*.free_bytes",
            "filesystems.value.all.*.inodes_free",
            "memory_available_mb.value",
        ),
        "nginx": ("**.line", "running.value.workers.*.started"),
        "queues": (
            "at",
            *(f"all.*.{name}" for name in ("waiting", "prioritized", "delayed", "active", "oldest")),
            "all.*.active_jobs.**",
            "all.*.stalled_check_ms",
            "all.*.consumers.*.idle_s",
            "all.*.consumers.*.blocked",
        ),
        "realtime": ("heartbeat.value.pinged_after_s",),
        "schema": tuple(
            f"last_change.value.{name}"
            for name in (
                "newest_age",
                "horizon_age",
                "checkpoint_at",
                "checkpoint_next_age",
                "checkpoint_active_age",
            )
        ),
        "ssh_login": ("clock.value.**",),
        "storage": ("sample.value.seed", "sample.value.files.*"),
        "tls": ("looked_at",),
        "visits": ("lines", "last", "found.**"),
        "watch": ("begun", "until", "samples.**", "logs.*.value.lines"),
    }
)
"""By fact. Of the storage sample the choice of files is volatile, what is seen of a file is not. The start of
nginx's workers is reckoned anew at each look; that they are others is told by their process ids."""

_MOMENT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_INSIDE_TEXT = re.compile(rf"{_MOMENT}|\bacceptance-[0-9a-f]{{16}}\b")
"""Moments, and the names that a run makes up."""


def is_volatile(fact: str, path: Sequence[str]) -> bool:
    """Tell whether a place of a fact is declared volatile."""
    return any(_matches(pattern.split("."), path) for pattern in VOLATILE.get(fact, ()))


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return bool(path) and pattern[0] in ("*", path[0]) and _matches(pattern[1:], path[1:])


def steady(text: str) -> str:
    """Return a text without the moments and made-up names inside it; a text that is one moment stays."""
    return text if _INSIDE_TEXT.fullmatch(text) else _INSIDE_TEXT.sub("…", text)
