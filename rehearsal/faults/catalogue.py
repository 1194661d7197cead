"""Every fault that the rehearsal can inject."""

from __future__ import annotations

from types import ModuleType

from rehearsal.faults import (
    api,
    containers,
    health,
    logs,
    nginx,
    pages,
    realtime,
    schema,
    sources,
    storage,
    tls,
    worker,
)
from rehearsal.faults.base import Fault

_MODULES: tuple[ModuleType, ...] = (
    nginx,
    tls,
    containers,
    health,
    realtime,
    logs,
    schema,
    api,
    pages,
    sources,
    storage,
    worker,
)

FAULTS = {
    value.name: value for module in _MODULES for value in vars(module).values() if isinstance(value, Fault)
}
"""Every fault by its name."""
