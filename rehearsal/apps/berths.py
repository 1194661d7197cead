"""The port's berths: the CRM's, which are migrated, and NocoDB's, which nobody keeps up to date any more."""

from __future__ import annotations

from typing import NamedTuple

STATUSES = ("available", "under_offer", "sold")


class Berth(NamedTuple):
    """A berth; lengths in metres, the price in euros."""

    name: str
    status: str
    length: float
    width: float
    draft: float
    price: int


BERTHS = tuple(
    Berth(f"{pier}{number}", STATUSES[number % 3], 10 + 2 * number, 4 + number, 2.5, 90000 * number)
    for pier in "ABC"
    for number in range(1, 5)
)

_NEW_IN_CRM = "C4"
_SINCE_CHANGED = {"A1": "available", "B2": "available"}

OLD_BERTHS = tuple(
    berth._replace(status=_SINCE_CHANGED.get(berth.name, berth.status))
    for berth in BERTHS
    if berth.name != _NEW_IN_CRM
)
"""One is missing and two have an older status, so that a list tells where it came from."""
