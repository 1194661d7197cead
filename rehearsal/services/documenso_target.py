"""The section `documenso` of a rehearsal's target file."""

from __future__ import annotations

from collections.abc import Mapping

from rehearsal.instances import Instance
from rehearsal.services import documenso, postgres, s3, target
from rehearsal.site import DOCUMENSO_NAME, STORAGE_NAME, Site


def section(site: Site, instance: Instance, secrets: Mapping[str, str]) -> dict[str, object]:
    """Return what the target file says of an instance.

    Args:
        site: of the rehearsal.
        instance: the Documenso.
        secrets: references by the credentials' names.
    """
    return {
        "version": instance.version,
        "public": _public(site, instance),
        "compose": _compose(site, instance),
        "environment": {"container": documenso.container_name(instance)},
        "database": {
            "major": postgres.major(),
            "database": documenso.DATABASE,
            "user": documenso.READER,
            "password": secrets["documenso_reader_password"],
        },
        "storage": {
            "endpoint": f"https://{STORAGE_NAME}",
            "connect": target.endpoint(site.address("public"), site.https_port),
            "ca_file": str(site.ca_file),
            "region": s3.REGION,
            "bucket": documenso.bucket(instance),
            "access_key": secrets["s3_access_key"],
            "secret_key": secrets["s3_secret_key"],
        },
        "api_token": secrets["documenso_api_key"],
        "webhook": {"url": documenso.WEBHOOK_URL, "secret": secrets["documenso_webhook_secret"]},
        "certificate": {
            "path": str(documenso.certificate_file(site)),
            "passphrase": secrets["documenso_passphrase"],
            "uid": site.account("app").uid,
        },
        "sign_in": {"email": secrets["admin_email"], "password": secrets["documenso_password"]},
    }


def _public(site: Site, instance: Instance) -> Mapping[str, object]:
    if not instance.clone:
        return target.public(site, DOCUMENSO_NAME)
    return {
        "name": f"localhost:{documenso.CLONE_PORT}",
        "plain": True,
        "connect_http": target.endpoint(site.address("server"), documenso.CLONE_PORT),
    }


def _compose(site: Site, instance: Instance) -> Mapping[str, object]:
    own = documenso.project(instance)
    return {
        "project": own.name,
        "directory": str(site.project(own.name)),
        "services": [
            {
                "name": documenso.SERVICE,
                "kind": "app",
                "image": documenso.reference(instance.version),
                "env_file": True,
                "ports": [{"container": documenso.PORT, "host": documenso.published(instance)}],
            },
            {
                "name": documenso.DATABASE_SERVICE,
                "kind": "postgres",
                "image": documenso.DATABASE_REFERENCE,
                "volumes": [{"name": documenso.cluster(instance).volume, "destination": postgres.DATA}],
            },
        ],
    }
