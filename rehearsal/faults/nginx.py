"""What goes wrong with the reverse proxy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import nginx, pki
from rehearsal.site import APP

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_PUBLIC = ("health", "api", "realtime", "redirect", "tls", "pages")


@fault(
    "nginx-not-linked",
    notice="the vhost was written but never linked into sites-enabled; the next reload drops the site",
    reddens=("nginx.enabled",),
    touches=("nginx",),
)
def not_linked(stack: Stack) -> Course:
    """Take the link away without a reload, so that the running nginx does not show it yet."""
    with tools.moved_away(stack.site.nginx / "sites-enabled" / nginx.VHOST):
        yield
    tools.reload_nginx(stack)


@fault(
    "nginx-syntax-error",
    notice="somebody saved a half-finished edit; nginx runs on, until it is restarted",
    reddens=("nginx.valid", "nginx.loaded", "host.nginx-ready"),
    touches=("nginx",),
)
def syntax_error(stack: Stack) -> Course:
    """Leave a directive without its semicolon."""
    with tools.unloaded(stack, "proxy_buffering off;", "proxy_buffering off"):
        yield


@fault(
    "nginx-certificate-missing",
    notice="the vhost names a certificate that was deleted; nginx runs on, until it is restarted",
    reddens=("nginx.valid", "nginx.loaded", "host.nginx-ready"),
    touches=("nginx",),
)
def certificate_missing(stack: Stack) -> Course:
    """Let the vhost name a file that does not exist."""
    with tools.unloaded(stack, "fullchain.pem", "fullchain-old.pem"):
        yield


@fault(
    "nginx-not-reloaded",
    notice="the vhost was corrected but nginx was not reloaded, so the correction is not in force",
    reddens=("nginx.loaded",),
    touches=("nginx",),
)
def not_reloaded(stack: Stack) -> Course:
    """Edit the vhost without a reload."""
    with tools.unloaded(stack, "    client_max_body_size", "    # corrected\n    client_max_body_size"):
        yield


@fault(
    "nginx-replaced-unnoticed",
    notice="nothing: a vhost came by `cp -p` or `rsync -a` with an old date, and nginx was not reloaded",
    touches=("nginx",),
    blinds=True,
)
def replaced_unnoticed(stack: Stack) -> Course:
    """Replace the vhost's content under its old modification time, without a reload."""
    path = nginx.vhost(stack.site)
    with tools.unloaded(stack, "    client_max_body_size", "    # corrected\n    client_max_body_size"):
        os.utime(path, (0, 0))
        yield


@fault(
    "nginx-stopped",
    notice="nothing answers on ports 80 and 443",
    reddens=("nginx.loaded", "host.nginx-ready"),
    touches=("nginx", "registry", *_PUBLIC),
)
def stopped(stack: Stack) -> Course:
    """Stop nginx."""
    stack.program("nginx").stop()
    yield
    stack.program("nginx").start()


@fault(
    "nginx-redirect-elsewhere",
    notice="typing the address without https ends on another site",
    reddens=("nginx.redirect",),
    touches=("nginx", "redirect"),
)
def redirect_elsewhere(stack: Stack) -> Course:
    """Redirect port 80 to the template's name."""
    with tools.vhost(stack, "https://$host$request_uri", f"https://{pki.TEMPLATE_NAME}$request_uri"):
        yield


@fault(
    "nginx-redirect-drops-query",
    notice="links with a query lose it on the way to https",
    reddens=("nginx.redirect",),
    touches=("nginx", "redirect"),
)
def redirect_drops_query(stack: Stack) -> Course:
    """Redirect to the path only."""
    with tools.vhost(stack, "https://$host$request_uri", "https://$host$uri"):
        yield


@fault(
    "nginx-acme-not-served",
    notice="nothing, until the certificate cannot be renewed: webroot renewal, but its location redirects",
    reddens=("nginx.redirect",),
    touches=("certificates", "redirect"),
)
def acme_not_served(stack: Stack) -> Course:
    """Say that the webroot authenticator renews, while port 80 redirects the ACME location."""
    with tools.edited(
        pki.renewal_file(stack.site),
        "authenticator = nginx",
        "authenticator = webroot\nwebroot_path = /var/www/html,",
    ):
        yield


@fault(
    "nginx-wrong-upstream",
    notice="502 Bad Gateway on every page",
    reddens=(
        "nginx.upstream",
        "health.public",
        "health.authenticated",
        "api.berths",
        "realtime.upgrade",
        "realtime.probe",
        "pages.login",
        "pages.branding",
        "pages.berths",
        "pages.deal",
        "cutover.1-ready",
    ),
    touches=("nginx", *_PUBLIC),
)
def wrong_upstream(stack: Stack) -> Course:
    """Proxy to a port on which nobody listens."""
    with tools.vhost(stack, f":{nginx.APP_PORT}", f":{nginx.APP_PORT + 1}"):
        yield


@fault(
    "nginx-header-missing",
    notice="every visitor has the proxy's address, so one visitor's rate limit locks everybody out",
    reddens=("nginx.headers",),
    touches=("nginx",),
)
def header_missing(stack: Stack) -> Course:
    """Do not pass X-Forwarded-For on."""
    line = "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
    with tools.vhost(stack, line, ""):
        yield


@fault(
    "nginx-headers-shadowed",
    notice="the headers are in the server block, and one proxy_set_header in the location drops them all",
    reddens=("nginx.headers",),
    touches=("nginx",),
)
def headers_shadowed(stack: Stack) -> Course:
    """Move the header block up to the server level, but leave the websocket lines in the location."""
    lines = (
        "        proxy_set_header Host $host;\n"
        "        proxy_set_header X-Real-IP $remote_addr;\n"
        "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
        "        proxy_set_header X-Forwarded-Proto $scheme;\n"
        "        proxy_set_header CF-Connecting-IP $http_cf_connecting_ip;\n"
    )
    path = nginx.vhost(stack.site)
    text = path.read_text(encoding="utf-8")
    moved = text.replace(lines, "").replace(
        "client_max_body_size 64M;\n", f"client_max_body_size 64M;\n{lines}", 1
    )
    with tools.replaced(path, moved):
        tools.reload_nginx(stack)
        yield
    tools.reload_nginx(stack)


_UPGRADE = '        proxy_set_header Upgrade $http_upgrade;\n        proxy_set_header Connection "upgrade";\n'


@fault(
    "nginx-upgrade-missing",
    notice="nothing at first: clients fall back to polling, and every update costs a request",
    reddens=("nginx.websocket", "realtime.upgrade", "realtime.probe"),
    touches=("nginx", "realtime"),
)
def upgrade_missing(stack: Stack) -> Course:
    """Drop the Upgrade and Connection headers."""
    with tools.vhost(stack, _UPGRADE, ""):
        yield


@fault(
    "nginx-http-1.0",
    notice="nothing on this version of nginx; websockets towards another upstream would break",
    reddens=("nginx.websocket",),
    touches=("nginx", "realtime"),
)
def http_1_0(stack: Stack) -> Course:
    """Leave the protocol towards the app at nginx's default."""
    with tools.vhost(stack, "        proxy_http_version 1.1;\n", "        proxy_http_version 1.0;\n"):
        yield


@fault(
    "nginx-body-limit",
    notice="uploads over one megabyte fail with 413",
    reddens=("nginx.limits",),
    touches=("nginx",),
)
def body_limit(stack: Stack) -> Course:
    """Leave the body size at nginx's default of 1 MB."""
    with tools.vhost(stack, "    client_max_body_size 64M;\n", ""):
        yield


@fault(
    "nginx-buffering",
    notice="streamed answers arrive in one piece at the end",
    reddens=("nginx.limits",),
    touches=("nginx",),
)
def buffering(stack: Stack) -> Course:
    """Leave buffering at nginx's default, which is on."""
    with tools.vhost(stack, "        proxy_buffering off;\n", ""):
        yield


@fault(
    "nginx-cuts-idle",
    notice="realtime connections break and reconnect for ever",
    reddens=("nginx.limits", "realtime.heartbeat"),
    touches=("nginx", "realtime"),
)
def cuts_idle(stack: Stack) -> Course:
    """Cut idle connections sooner than the app's heartbeat comes, but later than a slow answer does."""
    with (
        tools.knob(stack, APP, ping_s=8),
        tools.vhost(stack, "proxy_read_timeout 300;", "proxy_read_timeout 4;"),
    ):
        yield
