"""Every noun the suite can look at."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator

from acceptance import facts
from acceptance.facts.base import Noun


def _nouns() -> Iterator[tuple[str, Noun]]:
    for found in pkgutil.walk_packages(facts.__path__, f"{facts.__name__}."):
        if found.name != __name__:
            noun = getattr(importlib.import_module(found.name), "NOUN", None)
            if noun is not None:
                yield noun.name, noun


NOUNS: dict[str, Noun] = dict(_nouns())
"""Every noun by its name: the `NOUN` of each module in acceptance/facts and below."""


def actions_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return what looking for these nouns, and for what they need, would do beyond reading."""
    nouns = [NOUNS[name] for name in names]
    own = {action for noun in nouns for action in noun.actions}
    return tuple(sorted(own.union(*(actions_of(noun.needs) for noun in nouns))))
