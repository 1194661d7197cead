"""Do the four services run, from the right images, with the right ports, volumes and variables?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.containers import Containers
from acceptance.facts.env_file import EnvFile
from acceptance.facts.registry import Registry
from acceptance.target import Target


@pytest.mark.item("containers.running")
def test_running(containers: Containers, target: Target) -> None:
    """Each declared service runs as exactly one container. Nobody sees a stopped worker for hours."""
    names = target.compose.names
    troubles = containers.troubles(names)
    verify(
        not troubles,
        expected=f"one running container, not unhealthy, for each of {', '.join(names)}",
        seen="; ".join(troubles) or containers.summary(names),
        source=containers.source,
    )
    verify(
        containers.settled(names),
        expected="every health check has answered",
        seen=containers.summary(names),
        source=containers.source,
    )


@pytest.mark.item("containers.stable")
def test_never_restarted(containers: Containers, target: Target) -> None:
    """The engine restarted nothing since the start. A crash loop looks healthy between two crashes."""
    restarted = containers.restarted(target.compose.names)
    verify(
        not restarted,
        expected="restart count 0 for every service",
        seen="; ".join(restarted) or "0 everywhere",
        source=containers.source,
    )


@pytest.mark.item("containers.stable")
def test_stable_while_watched(containers: Containers, target: Target) -> None:
    """Nothing restarts while the suite looks. What restarts now has no count yet when it was recreated."""
    changed = containers.changed(target.compose.names)
    verify(
        not changed,
        expected="the same containers, states and start times in two looks",
        seen="; ".join(changed) or f"no change from {containers.at} to {containers.looked_again_at}",
        source=containers.source,
    )


@pytest.mark.item("containers.images")
def test_image_references(containers: Containers, target: Target) -> None:
    """Each service was made from its declared image reference. Another one may be another product."""
    others = containers.other_references(target.compose.services)
    verify(
        not others,
        expected=", ".join(service.image for service in target.compose.services),
        seen="; ".join(others) or "as expected",
        source=containers.source,
    )


@pytest.mark.item("containers.images")
def test_images_of_one_commit(containers: Containers, registry: Registry, target: Target) -> None:
    """App and worker come from one commit. A worker of yesterday writes jobs that the app cannot read."""
    tagged = registry.tagged(target.compose.commit)
    revisions = containers.revisions(target.compose.built_names, tagged)
    wanted = target.compose.commit or next(iter(revisions.values()))
    verify(
        set(revisions.values()) == {wanted},
        expected=f"commit {wanted} for {', '.join(revisions)}",
        seen=", ".join(f"{service} {revision}" for service, revision in revisions.items()),
        source=containers.source,
    )


@pytest.mark.item("containers.images")
@pytest.mark.parametrize("kind", ["app", "worker"])
def test_image_is_the_registrys(
    containers: Containers, registry: Registry, target: Target, kind: str
) -> None:
    """What runs is what the registry serves now. A name like `latest` stays on an old image until a pull."""
    service = target.compose.of_kind(kind)
    digest, pulled = registry.digest(service), containers.digests_of(service.name)
    verify(
        digest in pulled,
        expected=f"{digest}, to which {service.image} points in the registry",
        seen=", ".join(pulled),
        source=containers.source_of(service.name),
    )


@pytest.mark.item("containers.port")
def test_port(containers: Containers, target: Target) -> None:
    """The declared port is published and no other. It is where nginx sends every request."""
    undeclared = containers.undeclared(target.compose.services)
    verify(
        not undeclared,
        expected=f"nothing but {', '.join(target.compose.published)}",
        seen="; ".join(undeclared) or "nothing else",
        source=containers.source,
    )
    unpublished = containers.unpublished(target.compose.services)
    verify(
        not unpublished,
        expected=", ".join(target.compose.published),
        seen="; ".join(unpublished) or "as expected",
        source=containers.source,
    )


@pytest.mark.item("containers.port-private")
def test_port_is_private(containers: Containers, target: Target) -> None:
    """Ports are bound to loopback, IPv4 and IPv6. Docker opens the firewall for any other address."""
    exposed = containers.exposed(target.compose.services)
    verify(
        not exposed,
        expected="bound to 127.0.0.0/8 or ::1 only",
        seen="; ".join(exposed) or "loopback only",
        source=containers.source,
    )


@pytest.mark.item("containers.volumes")
def test_volumes(containers: Containers, target: Target) -> None:
    """The named volumes hold the data. What is in an anonymous volume is gone with the container."""
    unmounted = containers.unmounted(target.compose.services)
    verify(
        not unmounted,
        expected=", ".join(target.compose.mounted),
        seen="; ".join(unmounted) or "as expected",
        source=containers.source,
    )


@pytest.mark.item("containers.env-current")
def test_environment_is_current(containers: Containers, env_file: EnvFile, target: Target) -> None:
    """The containers hold the values of the .env file. Editing it has no effect on them."""
    wanted = env_file.expected_in_containers(target.compose.interpolation_only)
    assumed = target.is_assumed("compose.services.env_file")
    stale = containers.stale(target.compose.services, wanted, assumed=assumed)
    verify(
        not stale,
        expected=f"the {len(wanted)} variables of {env_file.path}, with equal values",
        seen=f"other values or missing: {'; '.join(stale)}" if stale else "equal",
        source=containers.source,
    )
