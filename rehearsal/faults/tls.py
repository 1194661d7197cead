"""What goes wrong with certificates and TLS."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import pki
from rehearsal.site import HOSTNAME

if TYPE_CHECKING:
    from rehearsal.services.pki import Issued
    from rehearsal.stack import Stack

_OVER_TLS = ("certificates", "tls", "health", "api", "realtime", "redirect", "nginx", "pages")


def _served(stack: Stack, issued: Issued) -> Course:
    pki.install(stack.site, issued)
    tools.reload_nginx(stack)
    yield
    pki.withdraw(stack.site)
    tools.reload_nginx(stack)


@fault(
    "tls-self-signed",
    notice="browsers warn and refuse",
    reddens=("tls.trusted",),
    touches=_OVER_TLS,
)
def self_signed(stack: Stack) -> Course:
    """Serve a self-signed certificate."""
    yield from _served(stack, pki.issue(stack.site, [HOSTNAME], days_left=88, issuer="self"))


@fault(
    "tls-wrong-name",
    notice="browsers warn that the certificate is another site's",
    reddens=("tls.trusted", "tls.served-is-current"),
    touches=_OVER_TLS,
)
def wrong_name(stack: Stack) -> Course:
    """Serve the template's certificate."""
    with tools.vhost(stack, f"/live/{HOSTNAME}/", f"/live/{pki.TEMPLATE_NAME}/"):
        yield


@fault(
    "tls-intermediate-missing",
    notice="most browsers are content, programs and some phones refuse",
    reddens=("tls.trusted",),
    touches=_OVER_TLS,
)
def intermediate_missing(stack: Stack) -> Course:
    """Serve the leaf alone."""
    issued = pki.issue(stack.site, [HOSTNAME], days_left=88)
    yield from _served(stack, issued._replace(chain_pem=""))


@fault(
    "tls-expires-soon",
    notice="nothing for five days, then every browser refuses",
    reddens=("tls.expiry",),
    touches=_OVER_TLS,
)
def expires_soon(stack: Stack) -> Course:
    """Serve a certificate with five days left."""
    yield from _served(stack, pki.issue(stack.site, [HOSTNAME], days_left=5))


@fault(
    "tls-1.0-accepted",
    notice="nothing; a security scan fails",
    reddens=("tls.protocols",),
    touches=("tls", "nginx"),
)
def old_protocol(stack: Stack) -> Course:
    """Accept TLS 1.0 and the ciphers it needs."""
    options = stack.site.letsencrypt / "options-ssl-nginx.conf"
    text = options.read_text(encoding="utf-8")
    kept = [
        line
        for line in text.splitlines()
        if not line.startswith(("ssl_protocols", "ssl_ciphers", "DHE", "ECDHE"))
    ]
    old = 'ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;\nssl_ciphers "ALL:@SECLEVEL=0";\n'
    with tools.replaced(options, "\n".join([*kept, old])):
        tools.reload_nginx(stack)
        yield
    tools.reload_nginx(stack)


@fault(
    "tls-renewed-not-reloaded",
    notice="nothing, until the old certificate that nginx still serves expires",
    reddens=("tls.served-is-current",),
    touches=("certificates", "tls"),
)
def renewed_not_reloaded(stack: Stack) -> Course:
    """Renew the certificate without telling nginx."""
    pki.renew(stack.site)
    yield
    pki.withdraw(stack.site)


@fault(
    "tls-renewal-missing",
    notice="nothing, until the certificate is not renewed",
    reddens=("tls.renewal",),
    touches=("certificates",),
)
def renewal_missing(stack: Stack) -> Course:
    """Take certbot's renewal configuration away."""
    with tools.moved_away(pki.renewal_file(stack.site)):
        yield


@fault(
    "tls-renewal-of-another-lineage",
    notice="nothing: certbot renews a second certificate for the name, which nginx does not serve",
    reddens=("tls.renewal",),
    touches=("certificates",),
)
def renewal_of_another_lineage(stack: Stack) -> Course:
    """Get a newer certificate in a lineage of its own, and drop the renewal of the one that is served."""
    site, other = stack.site, f"{HOSTNAME}-0001"
    pki.install(site, pki.issue(site, [HOSTNAME], days_left=90), name=other)
    pki.write_renewal(site, other)
    with tools.moved_away(pki.renewal_file(site)):
        yield
    pki.renewal_file(site, other).unlink()
    for kind in ("archive", "live"):
        shutil.rmtree(site.letsencrypt / kind / other)


@fault(
    "tls-renewal-staging",
    notice="nothing, until the renewal brings a certificate that nobody trusts",
    reddens=("tls.renewal",),
    touches=("certificates",),
)
def renewal_staging(stack: Stack) -> Course:
    """Renew from the authority's staging server."""
    with tools.edited(pki.renewal_file(stack.site), "acme-v02.api", "acme-staging-v02.api"):
        yield


@fault(
    "tls-hsts-missing",
    notice="nothing; a first visit by http can be hijacked",
    reddens=("tls.hsts",),
    touches=("tls", "redirect", "nginx"),
)
def hsts_missing(stack: Stack) -> Course:
    """Do not send Strict-Transport-Security."""
    line = '    add_header Strict-Transport-Security "max-age=31536000" always;\n'
    with tools.vhost(stack, line, ""):
        yield
