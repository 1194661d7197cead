"""Every noun the suite can look at."""

from __future__ import annotations

from collections.abc import Iterable

from acceptance.facts import (
    api,
    certificates,
    containers,
    database_settings,
    env_file,
    health,
    logs,
    nginx,
    origin,
    pages,
    queues,
    realtime,
    redirect,
    registry,
    schema,
    session,
    storage,
    tls,
)

NOUNS = {
    module.NOUN.name: module.NOUN
    for module in (
        api,
        certificates,
        containers,
        database_settings,
        env_file,
        health,
        logs,
        nginx,
        origin,
        pages,
        queues,
        realtime,
        redirect,
        registry,
        schema,
        session,
        storage,
        tls,
    )
}


def actions_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return what looking for these nouns, and for what they need, would do beyond reading."""
    nouns = [NOUNS[name] for name in names]
    own = {action for noun in nouns for action in noun.actions}
    return tuple(sorted(own.union(*(actions_of(noun.needs) for noun in nouns))))
