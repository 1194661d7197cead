"""Every fault that the rehearsal can inject."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from rehearsal import faults
from rehearsal.faults.base import Fault


def _faults() -> Iterator[Fault]:
    for found in pkgutil.iter_modules(faults.__path__):
        if found.name != __name__.rpartition(".")[2]:
            module = importlib.import_module(f"{faults.__name__}.{found.name}")
            yield from (value for value in vars(module).values() if isinstance(value, Fault))


def _by_name(found: Iterator[Fault]) -> dict[str, Fault]:
    named: dict[str, Fault] = {}
    for fault in found:
        if fault.name in named:
            raise ValueError(f"two faults are named {fault.name}")
        named[fault.name] = fault
    return named


FAULTS = _by_name(_faults())
"""Every fault by its name: each `Fault` in a module of rehearsal/faults."""
