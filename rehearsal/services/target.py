"""The rehearsal described as a target file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rehearsal.apps.crm import branding
from rehearsal.instances import Instance
from rehearsal.services import documents, gitea, nginx, pki, postgres, redis, registry, resolver, s3, sshd
from rehearsal.services.files import make_directory, write
from rehearsal.site import DOCUMENSO_NAME, GITEA_NAME, HOSTNAME, PROJECT, STORAGE_NAME, WEBSITE_NAME, Site

_Value = str | int | bool | Mapping[str, object] | list[Mapping[str, object]] | list[str]


def document(site: Site, stage: int, documenso: Instance | None = None) -> str:
    """Write the secrets below `site.secrets` and return the target file, which refers to them.

    Raises:
        OSError: a secret cannot be written, the host key was not generated, or a program is missing.
    """
    secrets = _write_secrets(site)
    sections: dict[str, Mapping[str, object]] = {
        "server": _server(site, secrets),
        "host": {"capacity": {"disk_free_mb": 16, "inodes_free": 1000, "memory_available_mb": 16}},
        "outside": {"control": site.http_port},
        "public": public(site, HOSTNAME),
        "nginx": {
            "root": str(site.nginx),
            "config": str(nginx.config(site)),
            "vhost": nginx.VHOST,
            "template": nginx.TEMPLATE,
            "listen_http": site.http_port,
            "listen_https": site.https_port,
            "upstream": endpoint(site.address("server"), nginx.APP_PORT),
            "access_log": str(nginx.access_log(site)),
        },
        "tls": {"letsencrypt": str(site.letsencrypt)},
        "compose": {"project": PROJECT, "directory": str(site.deploy), "services": _services()},
        "deploy": {"staging": str(site.staging)},
        "registry": {
            "connect": endpoint(site.address("public"), site.https_port),
            "ca_file": str(site.ca_file),
            "username": gitea.READER,
            "password": secrets["registry_token"],
            "server_config": str(registry.login_file(site)),
        },
        "gitea": _gitea(site, secrets),
        "dns": {
            "resolver": endpoint(site.address("resolver"), resolver.PORT),
            "addresses": [site.address("public")],
            "documenso": DOCUMENSO_NAME,
        },
        "health": {"secret": secrets["intake_secret"]},
        "realtime": {"auth": "session"},
        "sign_in": {"email": secrets["admin_email"], "password": secrets["admin_password"]},
        "pages": {
            "title": branding.TITLE,
            "brand_colour": branding.COLOUR,
            "berth_rows": "tr[data-berth]",
            "deal": "/deals/1",
            "deal_proof": "article[data-deal]",
        },
        "postgres": {
            "major": postgres.major(),
            "database": postgres.DATABASE,
            "user": postgres.READER,
            "password": secrets["postgres_reader_password"],
        },
        "database_schema": {"manifest": str(postgres.manifest(site))},
        "redis": {"password": secrets["redis_password"]},
        "storage": _storage(site, secrets),
        "website": _website(site, secrets),
        "watch": {"duration": "2s", "interval": "0.3s", "burst": 10},
    }
    if documenso is not None:
        from rehearsal.services.documenso_target import section  # noqa: PLC0415 - loads what seals PDFs

        sections["documenso"] = section(site, documenso, secrets)
    head = 'target_version = 1\nname = "rehearsal"\nrehearsal = true\n' + f"stage = {stage}\n"
    head += f"documents = {_inline(documents.prepare(site))}\n"
    return head + "".join(f"\n[{name}]\n{_lines(values)}" for name, values in sections.items())


def _server(site: Site, secrets: Mapping[str, str]) -> Mapping[str, _Value]:
    privilege: dict[str, object] = {"method": "none"}
    if site.as_root:
        privilege = {"method": "su", "password": secrets["root_password"]}
    tools = {
        "docker": str(site.host / "usr/bin/docker"),
        "systemctl": str(site.host / "usr/bin/systemctl"),
        "nginx": nginx.binary(),
        "certbot": str(pki.certbot(site)),
    }
    return {
        "address": site.address("server"),
        "port": sshd.PORT,
        "user": sshd.login(site),
        "identity": str(site.secrets / sshd.IDENTITY),
        "host_key": sshd.host_key(site),
        "privilege": privilege,
        "tools": tools,
    }


def public(site: Site, name: str) -> Mapping[str, _Value]:
    """Return where a public name is."""
    address = site.address("public")
    return {
        "name": name,
        "connect_http": endpoint(address, site.http_port),
        "connect_https": endpoint(address, site.https_port),
        "ca_file": str(site.ca_file),
    }


def _gitea(site: Site, secrets: Mapping[str, str]) -> Mapping[str, _Value]:
    return {
        "name": GITEA_NAME,
        "connect_http": endpoint(site.address("public"), site.http_port),
        "connect_https": endpoint(site.address("public"), site.https_port),
        "ca_file": str(site.ca_file),
        "token": secrets["gitea_token"],
        "repository": gitea.REPOSITORY,
        "version": gitea.VERSION,
        "jobs": list(gitea.JOBS),
    }


def _storage(site: Site, secrets: Mapping[str, str]) -> Mapping[str, _Value]:
    return {
        "endpoint": f"https://{STORAGE_NAME}",
        "connect": endpoint(site.address("public"), site.https_port),
        "ca_file": str(site.ca_file),
        "region": s3.REGION,
        "bucket": s3.BUCKET,
        "access_key": secrets["s3_access_key"],
        "secret_key": secrets["s3_secret_key"],
    }


def _website(site: Site, secrets: Mapping[str, str]) -> Mapping[str, _Value]:
    return {
        "public": public(site, WEBSITE_NAME),
        "environment": {"container": "website-website-1"},
        "logs": "website-website-1",
        "inquiry": {"token": secrets["recaptcha_token"], "wait_s": 3},
    }


def _services() -> list[Mapping[str, object]]:
    return [
        {
            "name": "postgres",
            "kind": "postgres",
            "image": postgres.reference(),
            "volumes": [{"name": "pgdata", "destination": postgres.DATA}],
        },
        {
            "name": "redis",
            "kind": "redis",
            "image": redis.reference(),
            "volumes": [{"name": "redisdata", "destination": redis.DATA}],
        },
        {
            "name": "crm-app",
            "kind": "app",
            "image": registry.reference("crm-app"),
            "built": True,
            "env_file": True,
            "ports": [{"container": 3000, "host": nginx.APP_PORT}],
        },
        {
            "name": "crm-worker",
            "kind": "worker",
            "image": registry.reference("crm-worker"),
            "built": True,
            "env_file": True,
        },
    ]


def endpoint(address: str, port: int) -> Mapping[str, object]:
    """Return an address and a port."""
    return {"address": address, "port": port}


def _write_secrets(site: Site) -> dict[str, str]:
    make_directory(site.secrets, mode=0o700)
    names = (
        "root_password",
        "intake_secret",
        "admin_email",
        "admin_password",
        "postgres_reader_password",
        "redis_password",
        "gitea_token",
        "registry_token",
        "s3_access_key",
        "s3_secret_key",
        "recaptcha_token",
        "documenso_api_key",
        "documenso_webhook_secret",
        "documenso_reader_password",
        "documenso_passphrase",
        "documenso_password",
    )
    return {name: _write_secret(site.secrets / name, getattr(site.credentials, name)) for name in names}


def _write_secret(path: Path, value: str) -> str:
    write(path, value, mode=0o600)
    return f"file:{path}"


def _lines(values: Mapping[str, object]) -> str:
    return "".join(f"{key} = {_inline(value)}\n" for key, value in values.items())


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)
