"""Does realtime work through nginx, as a websocket and not by falling back to polling?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.realtime import Join, Realtime
from acceptance.target import Target


@pytest.mark.item("realtime.upgrade")
def test_websocket_opens(realtime: Realtime, target: Target) -> None:
    """A raw websocket handshake gets 101 and a valid Engine.IO open packet.

    A Socket.IO client falls back to polling when nginx lacks the Upgrade headers, so the pages seem to
    work while every update costs a request. And a server answers 101 even to a protocol it does not
    speak: only the open packet proves that it is Engine.IO.
    """
    opening = realtime.opened(target.realtime, path_assumed=target.is_assumed("realtime.path"))
    verify(
        opening.opened,
        expected="HTTP 101 and an Engine.IO open packet",
        seen=opening.summary,
        source=realtime.source,
    )


@pytest.mark.item("realtime.namespace")
def test_namespace_answers_strangers(realtime: Realtime, target: Target) -> None:
    """Without a session the namespace is joined only where the target says that none is needed.

    Realtime events carry customers' data; a namespace that anybody may join leaks them.
    """
    assumed = target.is_assumed("realtime.namespace")
    joining = realtime.joined(signed_in=False, namespace_assumed=assumed)
    due = Join.JOINED if target.realtime.auth == "none" else Join.REFUSED
    verify(
        joining.outcome is due,
        expected=f"joining without a session: {due.value}",
        seen=joining.summary,
        source=realtime.source,
    )


@pytest.mark.item("realtime.namespace")
def test_namespace_is_joined_with_a_session(realtime: Realtime, target: Target) -> None:
    """After signing in the namespace is joined.

    A refusal alone could also come from a server that refuses everybody.
    """
    assumed = target.is_assumed("realtime.namespace")
    joining = realtime.joined(signed_in=target.realtime.auth == "session", namespace_assumed=assumed)
    verify(
        joining.outcome is Join.JOINED,
        expected="joining: joined",
        seen=joining.summary,
        source=realtime.source,
    )


@pytest.mark.item("realtime.probe")
def test_polling_session_upgrades(realtime: Realtime, target: Target) -> None:
    """A session that began by polling becomes a websocket.

    Browsers begin by polling; if the upgrade of a running session fails they stay there.
    """
    upgrading = realtime.upgraded(target.realtime, path_assumed=target.is_assumed("realtime.path"))
    verify(
        upgrading.probed,
        expected="polling HTTP 200 and the probe answered with 3probe",
        seen=upgrading.summary,
        source=realtime.source,
    )


@pytest.mark.item("realtime.heartbeat")
def test_connection_outlives_a_heartbeat(realtime: Realtime) -> None:
    """The connection outlives one ping/pong interval.

    A proxy that cuts idle connections sooner than the server pings makes every client reconnect for ever.
    """
    heartbeat = known(realtime.heartbeat)
    verify(
        heartbeat.pinged_after_s is not None and heartbeat.alive_after,
        expected="a ping within its interval, and the connection still open after our answer",
        seen=heartbeat.detail or f"ping after {heartbeat.pinged_after_s:g} s, still open",
        source=realtime.source,
    )
