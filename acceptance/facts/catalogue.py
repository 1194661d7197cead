"""Every noun the suite can look at."""

from __future__ import annotations

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
