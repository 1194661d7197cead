"""nginx with a tree like Debian's /etc/nginx and vhosts as `certbot --nginx` leaves them."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from rehearsal.runtime.spec import Program
from rehearsal.services import outside
from rehearsal.services.files import accepts, make_directory, write
from rehearsal.services.pki import TEMPLATE_NAME
from rehearsal.site import (
    DOCUMENSO_NAME,
    GITEA_NAME,
    HOSTNAME,
    NOCODB_NAME,
    REGISTRY_NAME,
    STORAGE_NAME,
    WEBSITE_NAME,
    Site,
)

VHOST = "crm_portnimara.conf"
TEMPLATE = "portnimara_dev.conf"
DEFAULT = "default"
STORAGE = "s3.conf"
REGISTRY = "registry.conf"
GITEA = "gitea.conf"
WEBSITE = "portnimara.conf"
NOCODB = "nocodb.conf"
DOCUMENSO = "documenso.conf"
APP_PORT = 7100
"""The port that crm-app publishes on the server."""
WEBSITE_PORT = 7200
"""The port that the website publishes there."""
DOCUMENSO_PORT = 3020
"""The port that Documenso publishes there."""

_MIME_TYPES = (Path("/etc/nginx/mime.types"), Path("/opt/homebrew/etc/nginx/mime.types"))

_MAIN = """\
{user}worker_processes auto;
pid {host}/run/nginx.pid;
error_log {host}/var/log/nginx/error.log;
include {root}/modules-enabled/*.conf;

events {{
	worker_connections 768;
	# multi_accept on;
}}

http {{

	##
	# Basic Settings
	##

	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	# server_tokens off;

	include {root}/mime.types;
	default_type application/octet-stream;

	client_body_temp_path {host}/var/lib/nginx/body;
	proxy_temp_path {host}/var/lib/nginx/proxy;
	fastcgi_temp_path {host}/var/lib/nginx/fastcgi;
	uwsgi_temp_path {host}/var/lib/nginx/uwsgi;
	scgi_temp_path {host}/var/lib/nginx/scgi;

	##
	# SSL Settings
	##

	ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; # Dropping SSLv3, ref: POODLE
	ssl_prefer_server_ciphers on;

	##
	# Logging Settings
	##

	access_log {host}/var/log/nginx/access.log;

	##
	# Gzip Settings
	##

	gzip on;

	##
	# Virtual Host Configs
	##

	include {root}/conf.d/*.conf;
	include {root}/sites-enabled/*;
}}
"""

_MANAGED = """\
    listen {address}:{https_port} ssl; # managed by Certbot
    ssl_certificate {letsencrypt}/live/{name}/fullchain.pem; # managed by Certbot
    ssl_certificate_key {letsencrypt}/live/{name}/privkey.pem; # managed by Certbot
    include {letsencrypt}/options-ssl-nginx.conf; # managed by Certbot
    ssl_dhparam {letsencrypt}/ssl-dhparams.pem; # managed by Certbot
"""

_REDIRECT = """
}}
server {{
    if ($host = {name}) {{
        return 301 https://$host$request_uri;
    }} # managed by Certbot


    listen {address}:{http_port};
    server_name {name};
    return 404; # managed by Certbot


}}"""

_VHOST = (
    """\
server {{
    server_name {name};

    client_max_body_size 64M;
    add_header Strict-Transport-Security "max-age=31536000" always;

    location /.well-known/acme-challenge/ {{
        root {host}/var/www/html;
    }}
{denied}
    location / {{
        proxy_pass http://{upstream};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header CF-Connecting-IP $http_cf_connecting_ip;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_read_timeout 300;
        proxy_send_timeout 300;
        proxy_buffering off;
    }}

"""
    + _MANAGED
    + _REDIRECT
)

_DENIED = """
    location /__rehearsal/ {
        return 404;
    }
"""

_DEFAULT = """\
server {{
    listen {server}:{http_port} default_server;
    server_name _;
    root {host}/var/www/html;
}}
"""
"""Debian's own site: on a real server every site listens on every address, the server's own among them."""

_STORAGE = (
    """\
map $args $presigned {{
    default 0;
    "~*(^|&)X-Amz-(Signature|Credential)=" 1;
}}
map $http_authorization$presigned $unsigned {{
    default 0;
    "0" 1;
}}
server {{
    server_name {name};

    client_max_body_size 64M;

    location / {{
        if ($unsigned) {{
            return 403;
        }}
        proxy_pass http://{upstream};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header Connection "";
        proxy_buffering off;
        proxy_request_buffering off;
    }}

"""
    + _MANAGED
    + _REDIRECT
)

_TOKENS = """
    location = /v2/token {{
        proxy_pass http://{tokens};
        proxy_set_header Host $http_host;
    }}
"""

_REGISTRY = (
    """\
server {{
    server_name {name};

    client_max_body_size 0;
{denied}
    location / {{
        proxy_pass http://{upstream};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto https;
        proxy_request_buffering off;
        proxy_read_timeout 300;
    }}

"""
    + _MANAGED
    + _REDIRECT
)


_SITE = (
    """\
server {{
    server_name {name};

    location / {{
        proxy_pass http://{upstream};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Connection "";
    }}

"""
    + _MANAGED
    + _REDIRECT
)


def access_log(site: Site) -> Path:
    """Return the log of every request."""
    return site.host / "var" / "log" / "nginx" / "access.log"


def binary() -> str:
    """Return nginx's absolute path.

    Raises:
        OSError: nginx is not installed.
    """
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        raise OSError("nginx is not installed; `make rehearsal` installs it")
    return found


def config(site: Site) -> Path:
    """Return the main configuration file."""
    return site.nginx / "nginx.conf"


def vhost(site: Site, name: str = VHOST) -> Path:
    """Return a vhost's file in sites-available."""
    return site.nginx / "sites-available" / name


def enable(site: Site, name: str = VHOST) -> None:
    """Link a vhost into sites-enabled.

    Raises:
        OSError: the link cannot be made.
    """
    link = site.nginx / "sites-enabled" / name
    link.unlink(missing_ok=True)
    link.symlink_to(vhost(site, name))


def prepare(site: Site) -> None:
    """Write the configuration tree and make the directories that it names.

    The certificates must exist before nginx starts (`pki.create`).

    Raises:
        OSError: a file cannot be written, or no mime.types is found on this machine.
    """
    for name in ("conf.d", "modules-enabled", "modules-available", "sites-available", "sites-enabled"):
        make_directory(site.nginx / name)
    for name in ("run", "var/log/nginx", "var/lib/nginx", "var/www/html/.well-known/acme-challenge"):
        make_directory(site.host / name)
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        make_directory(site.host / "var/lib/nginx" / name, mode=0o700, account=site.account("nginx"))
    write(site.nginx / "mime.types", _mime_types())
    user = "user www-data;\n" if site.as_root else ""
    write(config(site), _MAIN.format(user=user, root=site.nginx, host=site.host))
    for name, text in _vhosts(site).items():
        write(vhost(site, name), text)
        enable(site, name)


def program(site: Site) -> Program:
    """Return the server as a program; the master runs as root where there is one."""
    account = site.account("root")
    return Program(
        name="nginx",
        argv=(binary(), "-c", str(config(site)), "-g", "daemon off;"),
        account=account,
        log=site.host / "var/log/nginx/stderr.log",
        ready=lambda: accepts(site.address("public"), site.https_port),
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        unit="nginx",
        reload=signal.SIGHUP,
    )


def _vhosts(site: Site) -> dict[str, str]:
    app, gitea = f"{site.address('server')}:{APP_PORT}", f"{site.address('gitea')}:3000"
    return {
        VHOST: _render(site, _VHOST, HOSTNAME, app, denied=_DENIED),
        TEMPLATE: _render(site, _VHOST, TEMPLATE_NAME, f"{site.address('server')}:7000"),
        DEFAULT: _DEFAULT.format(server=site.address("server"), http_port=site.http_port, host=site.host),
        STORAGE: _render(site, _STORAGE, STORAGE_NAME, f"{site.address('s3')}:9000"),
        REGISTRY: _render(
            site,
            _REGISTRY,
            REGISTRY_NAME,
            f"{site.address('registry')}:5000",
            denied=_TOKENS.format(tokens=gitea),
        ),
        GITEA: _render(site, _REGISTRY, GITEA_NAME, gitea),
        WEBSITE: _render(site, _SITE, WEBSITE_NAME, f"{site.address('server')}:{WEBSITE_PORT}"),
        DOCUMENSO: _render(site, _SITE, DOCUMENSO_NAME, f"{site.address('server')}:{DOCUMENSO_PORT}"),
        NOCODB: _render(site, _SITE, NOCODB_NAME, f"{site.address('outside')}:{outside.PORT}"),
    }


def _render(site: Site, template: str, name: str, upstream: str, *, denied: str = "") -> str:
    return template.format(
        name=name,
        upstream=upstream,
        denied=denied,
        host=site.host,
        letsencrypt=site.letsencrypt,
        address=site.address("public"),
        http_port=site.http_port,
        https_port=site.https_port,
    )


def _mime_types() -> bytes:
    for path in _MIME_TYPES:
        if path.is_file():
            return path.read_bytes()
    raise OSError("no nginx/mime.types on this machine; reinstall nginx")
