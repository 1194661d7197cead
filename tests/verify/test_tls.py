"""Phase 1, step 2: the certificate and how it is served."""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.certificates import Certificates
from acceptance.facts.tls import OLD, Tls, hsts_seconds
from acceptance.target import Target


@pytest.mark.item("tls.trusted")
def test_trusted(tls: Tls) -> None:
    """A client that checks everything accepts the certificate: chain, name and dates.

    Browsers fetch a missing intermediate by themselves, so the page looks fine; webhooks, mail programs and
    other servers do not, and fail.
    """
    trust = known(tls.trust)
    verify(
        trust.trusted,
        expected=f"a chain that validates for {tls.name}, intermediate included",
        seen="validated" if trust.trusted else trust.reason,
        source=tls.source("-verify_return_error", "-verify_hostname", tls.name),
    )


@pytest.mark.item("tls.expiry")
def test_not_about_to_expire(tls: Tls, target: Target) -> None:
    """The certificate holds for weeks to come.

    Certbot renews 30 days before the end; less than the declared rest means that renewal has been failing.
    """
    verify(
        tls.days_left > target.tls.min_days,
        expected=f"more than {target.tls.min_days} days left",
        seen=f"{tls.days_left:.1f} days left, until {tls.leaf.not_after:%Y-%m-%d %H:%M} UTC",
        source=tls.source(),
    )


@pytest.mark.item("tls.protocols")
def test_no_old_protocol(tls: Tls) -> None:
    """TLS 1.0 and 1.1 are refused.

    They are broken, forbidden by every audit, and come back with one stale line in nginx.conf.
    """
    verify(
        not tls.accepted & frozenset(OLD),
        expected="TLS 1.2 and 1.3 only",
        seen=tls.offers_seen,
        source=tls.source("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
    )


@pytest.mark.item("tls.served-is-current")
def test_newest_certificate_is_served(tls: Tls, certificates: Certificates) -> None:
    """The server serves the newest certificate of its lineage on the disk.

    A renewed certificate that nginx was not told of helps nobody: the old one expires while certbot
    reports success.
    """
    newest = certificates.newest(tls.name, tls.leaf.fingerprint)
    verify(
        newest is not None and newest.certificate.fingerprint == tls.leaf.fingerprint,
        expected=f"{newest.path}: {newest.certificate.summary}"
        if newest
        else f"a certificate for {tls.name} in {certificates.directory}",
        seen=f"served: {tls.leaf.summary}",
        source=tls.source(),
    )


@pytest.mark.item("tls.renewal")
def test_renewal_is_configured(tls: Tls, certificates: Certificates, target: Target) -> None:
    """Certbot knows how to renew the certificate that is served.

    A certificate without renewal settings works for 90 days and then takes the site down.
    """
    renewals = certificates.renewals(target.public.name, tls.leaf.fingerprint)
    verify(
        bool(renewals),
        expected=f"a file in {certificates.directory}/renewal for {target.public.name}",
        seen=", ".join(one.file for one in renewals) or "none",
        source=certificates.renewal_source,
    )


@pytest.mark.item("tls.renewal")
def test_renewal_asks_the_real_authority(tls: Tls, certificates: Certificates, target: Target) -> None:
    """The next renewal asks the production certificate authority.

    The staging one issues certificates that no browser trusts.
    """
    renewals = certificates.renewals(target.public.name, tls.leaf.fingerprint)
    servers = [one.server for one in renewals]
    verify(
        not any("staging" in server for server in servers),
        expected="no staging server",
        seen=", ".join(servers) or "no renewal settings",
        source=certificates.renewal_source,
    )


@pytest.mark.item("tls.hsts")
def test_hsts(tls: Tls) -> None:
    """Browsers are told to use https only.

    Without it the first request of every visit may still be intercepted.
    """
    header = known(tls.hsts)
    verify(
        hsts_seconds(header) > 0,
        expected="Strict-Transport-Security with a max-age",
        seen=header or "not sent",
        source=tls.hsts_source,
    )
