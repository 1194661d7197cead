"""Do the files that the CRM is deployed from say what the plan says?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.deploy import Deploy
from acceptance.target import Target


@pytest.mark.item("deploy.files")
def test_files_are_there(deploy: Deploy) -> None:
    """Both files are where `docker compose` is started. Without .env it starts with empty variables."""
    place = deploy.place
    verify(
        deploy.is_the_place and place.is_complete,
        expected=f"compose file and .env in {deploy.said_of_place}",
        seen="; ".join(f"{file.path}: {file.kind}" for file in (place.compose_file, place.env_file)),
        source=place.compose_file.source,
    )


@pytest.mark.item("deploy.files")
def test_env_file_is_private(deploy: Deploy, target: Target) -> None:
    """Only its owner and group have a right to .env: it holds every password of the CRM."""
    file = deploy.place.env_file
    owners = ("root", target.server.user)
    verify(
        deploy.is_the_place and file.is_there and file.is_private and file.owner in owners,
        expected=f"a .env of {' or '.join(owners)} without any right for others",
        seen=f"{file.path}: {file}",
        source=file.source,
    )


@pytest.mark.item("deploy.compose")
def test_services(deploy: Deploy, target: Target) -> None:
    """Exactly the declared services, each once. One more is software that nobody has planned to run."""
    wrong = known(deploy.compose).other_services(target.compose.names)
    verify(
        not wrong,
        expected=f"exactly {', '.join(target.compose.names)}",
        seen="; ".join(wrong) or "these",
        source=deploy.source,
    )


@pytest.mark.item("deploy.compose")
def test_images(deploy: Deploy, target: Target) -> None:
    """Each service has the declared image. Another PostgreSQL major would not open the data directory."""
    wrong = known(deploy.compose).other_images(target.compose.services)
    verify(
        not wrong,
        expected=", ".join(service.image for service in target.compose.services),
        seen="; ".join(wrong) or "these",
        source=deploy.source,
    )


@pytest.mark.item("deploy.compose")
def test_ports(deploy: Deploy, target: Target) -> None:
    """Exactly the declared ports are published: the vhost expects one, and any other is a way in."""
    wrong = known(deploy.compose).other_ports(target.compose.services)
    verify(
        not wrong,
        expected=f"exactly {', '.join(target.compose.published) or 'no port'}",
        seen="; ".join(wrong) or "these",
        source=deploy.source,
    )


@pytest.mark.item("deploy.compose")
def test_no_database_is_published(deploy: Deploy, target: Target) -> None:
    """Neither database is published. The server's last one was, and was under attack within days."""
    opened = known(deploy.compose).public_databases(target)
    verify(
        not opened,
        expected="no port of PostgreSQL or Redis published",
        seen="; ".join(opened) or "none",
        source=deploy.source,
    )


@pytest.mark.item("deploy.compose")
def test_volumes(deploy: Deploy, target: Target) -> None:
    """Exactly the declared volumes, where the images keep their data. All else goes with the container."""
    wrong = known(deploy.compose).other_volumes(target)
    verify(
        not wrong,
        expected=f"exactly {', '.join(target.compose.mounted) or 'no volume'}",
        seen="; ".join(wrong) or "these",
        source=deploy.source,
    )


@pytest.mark.item("deploy.compose")
def test_no_storage_of_its_own(deploy: Deploy) -> None:
    """No MinIO among the services: the CRM uses the existing one, and files in a second are in no backup."""
    found = known(deploy.compose).storage_services()
    verify(not found, expected="no service with MinIO", seen=", ".join(found) or "none", source=deploy.source)


@pytest.mark.item("deploy.compose")
def test_env_file_is_given(deploy: Deploy, target: Target) -> None:
    """App and worker get the .env file. Without it they start with the image's own defaults."""
    lacking = known(deploy.compose).without_env_file(target)
    verify(
        not lacking,
        expected=f"env_file {target.compose.env_file} for app and worker",
        seen=f"none for {', '.join(lacking)}" if lacking else "given",
        source=deploy.source,
    )


@pytest.mark.item("deploy.compose")
def test_nothing_is_left_open(deploy: Deploy) -> None:
    """All of this can be told from the file and .env alone; what other files add could be anything."""
    verify(
        deploy.is_the_place and known(deploy.compose).is_clear,
        expected="a compose file that needs nothing but .env",
        seen=f"one, in {deploy.said_of_place}",
        source=deploy.source,
    )
