"""Are the images there, and can the server pull them?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.release import Release
from acceptance.facts.server_login import ServerLogin
from acceptance.target import Target


@pytest.mark.item("registry.images")
@pytest.mark.parametrize("kind", ["app", "worker"])
def test_image_is_of_the_commit(release: Release, target: Target, kind: str) -> None:
    """The tag that the server pulls and the commit's are one image. Else something else is deployed."""
    service = target.compose.of_kind(kind)
    image, source = release.image(service), release.source_of(service)
    verify(image.exists, expected=f"a manifest {service.image}", seen=image.digest, source=source)
    verify(
        image.digest_of_commit == image.digest,
        expected=f"one digest under {service.image} and under the tag {known(release.commit).id}",
        seen=f"{image.digest} and {image.digest_of_commit}; {known(release.commit)}",
        source=source,
    )


@pytest.mark.item("registry.server-can-read")
@pytest.mark.parametrize("kind", ["app", "worker"])
def test_server_can_read(server_login: ServerLogin, target: Target, kind: str) -> None:
    """The server's own login reads the image. An expired one is noticed when the old containers are gone."""
    service = target.compose.of_kind(kind)
    verify(
        server_login.of(service) is not None,
        expected=f"a login for the registry of {service.image}",
        seen="a login" if server_login.of(service) else "none",
        source=server_login.source,
    )
    reading = server_login.reading(service)
    verify(
        not reading.is_refused,
        expected=f"{service.image} read with the server's login",
        seen=reading,
        source=server_login.source_of(service),
    )


@pytest.mark.item("registry.token-not-password")
@pytest.mark.parametrize("kind", ["app", "worker"])
def test_login_is_a_token(server_login: ServerLogin, target: Target, kind: str) -> None:
    """The stored login is a token. Whoever reads a password there can do what its owner can do in Gitea."""
    login = server_login.stored(target.compose.of_kind(kind))
    verify(
        login.is_token,
        expected="an access token by its shape",
        seen=login,
        source=server_login.source,
    )
