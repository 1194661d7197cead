"""TLS is judged by real handshakes with real servers, certificates by real files."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from acceptance.access import Access
from acceptance.check import CheckFailedError
from acceptance.errors import UnavailableError
from acceptance.facts import certificates as certificate_facts
from acceptance.facts import redirect as redirect_facts
from acceptance.facts import tls as tls_facts
from acceptance.facts.base import Known, Unavailable, known
from acceptance.facts.certificates import Certificates, read_certificate
from acceptance.facts.redirect import PlainAnswer, Redirect
from acceptance.facts.tls import Tls, hsts_seconds
from acceptance.ledger import Ledger
from acceptance.secrets import Redactor
from acceptance.sections.public import Public
from acceptance.transports import tls as transport
from acceptance.transports.http import HttpAnswer
from acceptance.transports.tls import PROTOCOLS, Offer, Protocol, can_offer
from selftest.local_host import LocalHost, access, target_for
from tests.verify import test_nginx as nginx_checks
from tests.verify import test_tls as checks

NAME = "crm.example.test"
ADDRESS = "127.79.4.1"


class Authority:
    """A throwaway certificate authority with an intermediate."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "intermediate")}
        self.root = self._sign("root", "root", self._keys["root"].public_key(), ca=True)
        self.intermediate = self._sign(
            "intermediate", "root", self._keys["intermediate"].public_key(), ca=True
        )
        self.ca_file = directory / "root.pem"
        self.ca_file.write_bytes(pem(self.root))

    def _sign(
        self,
        subject: str,
        issuer: str,
        key: ec.EllipticCurvePublicKey,
        *,
        ca: bool = False,
        days_left: float = 60,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days_left))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._keys[issuer].public_key()),
                critical=False,
            )
        )
        if not ca:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False
            )
        return builder.sign(self._keys[issuer], hashes.SHA256())

    def issue(
        self,
        name: str = NAME,
        *,
        days_left: float = 60,
        issuer: Literal["intermediate", "self"] = "intermediate",
        chain: bool = True,
    ) -> tuple[x509.Certificate, Path]:
        """Return a certificate, and the file with it, its key and its chain."""
        key = ec.generate_private_key(ec.SECP256R1())
        if issuer == "self":
            self._keys[name] = key
        signer = name if issuer == "self" else issuer
        certificate = self._sign(name, signer, key.public_key(), days_left=days_left)
        file = self.directory / f"{certificate.serial_number:x}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        more = pem(self.intermediate) if chain and issuer != "self" else b""
        file.write_bytes(pem(certificate) + more + private)
        return certificate, file


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A fresh authority."""
    return Authority(tmp_path)


@contextlib.contextmanager
def serving(file: Path, *versions: Protocol) -> Iterator[int]:
    """Serve handshakes with OpenSSL at security level 0; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        chosen = [PROTOCOLS[one] for one in versions or ("TLS 1.2", "TLS 1.3")]
        context.minimum_version, context.maximum_version = min(chosen), max(chosen)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(file)
    with socket.create_server((ADDRESS, 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, context))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _answer(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        plain.settimeout(5)
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
            secured.recv(1)


def client(port: int, ca_file: Path, directory: Path, timeout_s: float = 5) -> transport.Tls:
    public = Public.model_validate(
        {
            "name": NAME,
            "connect_https": {"address": ADDRESS, "port": port},
            "ca_file": str(ca_file),
            "timeout_s": timeout_s,
        }
    )
    return transport.Tls(public, Ledger(directory / "ledger.jsonl", Redactor()))


class Answers:
    """Stands in for HTTP: one answer for every request, or none."""

    def __init__(self, headers: dict[str, str] | None) -> None:
        self._headers = headers

    async def send(self, name: str, *, path: str, secure: bool = True) -> HttpAnswer:
        del name
        if self._headers is None:
            raise UnavailableError("no answer")
        return HttpAnswer(
            status=301,
            headers=self._headers,
            body=b"",
            truncated=False,
            seconds=0.0,
            url=f"http{'s' if secure else ''}://{NAME}{path}",
        )


def look(port: int, authority: Authority, headers: dict[str, str] | None = None) -> Tls:
    """Collect the noun from a server."""
    stand_in: Any = SimpleNamespace(
        target=target_for(Path("/nowhere")),
        tls=client(port, authority.ca_file, authority.directory),
        http=Answers(headers),
    )
    model = asyncio.run(tls_facts.collect(cast("Access", stand_in)))
    assert Tls.model_validate_json(model.model_dump_json()) == model
    return model


def test_healthy_server_passes(authority: Authority) -> None:
    certificate, file = authority.issue()
    with serving(file) as port:
        seen = look(port, authority, {"strict-transport-security": "max-age=31536000"})
    checks.test_trusted(seen)
    checks.test_not_about_to_expire(seen, target_for(Path("/nowhere")))
    checks.test_no_old_protocol(seen)
    checks.test_hsts(seen)
    assert seen.leaf == read_certificate(certificate)
    assert seen.leaf.names == (NAME,)
    assert [offer.outcome for offer in seen.offers] == ["refused", "refused", "accepted", "accepted"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"issuer": "self"}, "self-signed certificate"),
        ({"name": "dev.example.test"}, "Hostname mismatch"),
        ({"chain": False}, "unable to get local issuer certificate"),
        ({"days_left": -1}, "certificate has expired"),
    ],
)
def test_untrusted_certificates_fail_with_openssl_s_reason(
    authority: Authority, how: dict[str, Any], reason: str
) -> None:
    _, file = authority.issue(**how)
    with serving(file) as port:
        seen = look(port, authority)
    with pytest.raises(CheckFailedError, match=reason):
        checks.test_trusted(seen)
    checks.test_no_old_protocol(seen)


def test_five_days_left_fail(authority: Authority) -> None:
    _, file = authority.issue(days_left=5)
    with serving(file) as port:
        seen = look(port, authority)
    checks.test_trusted(seen)
    with pytest.raises(CheckFailedError, match=r"(4\.9|5\.0) days left"):
        checks.test_not_about_to_expire(seen, target_for(Path("/nowhere")))


@pytest.mark.parametrize("oldest", ["TLS 1.0", "TLS 1.1"])
def test_old_protocol_fails(authority: Authority, oldest: Protocol) -> None:
    _, file = authority.issue()
    with serving(file, oldest, "TLS 1.3") as port:
        seen = look(port, authority)
    assert oldest in seen.accepted
    with pytest.raises(CheckFailedError, match=rf"{oldest} accepted"):
        checks.test_no_old_protocol(seen)


def test_this_machine_can_offer_every_version() -> None:
    assert all(can_offer(protocol) for protocol in PROTOCOLS)


def offers(**outcomes: str) -> tuple[Offer, ...]:
    return tuple(
        Offer.model_validate(
            {
                "protocol": protocol,
                "outcome": outcomes.get(f"v{number}", "accepted" if number > 1 else "refused"),
                "detail": "",
                "offerable": outcomes.get("able") != protocol,
            }
        )
        for number, protocol in enumerate(PROTOCOLS)
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"able": "TLS 1.0"},
        {"v0": "inconclusive"},
        {"v2": "refused", "v3": "refused"},
    ],
)
def test_refusals_that_prove_nothing_are_unknown(authority: Authority, changed: dict[str, str]) -> None:
    _, file = authority.issue()
    with serving(file) as port:
        seen = look(port, authority).model_copy(update={"offers": offers(**changed)})
    with pytest.raises(UnavailableError):
        checks.test_no_old_protocol(seen)


def test_silent_server_is_unknown(authority: Authority) -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        silent = client(listener.getsockname()[1], authority.ca_file, authority.directory, timeout_s=0.2)
        assert asyncio.run(silent.offer("TLS 1.0")).outcome == "inconclusive"
        with pytest.raises(UnavailableError, match="no TLS handshake"):
            asyncio.run(silent.leaf())
        with pytest.raises(UnavailableError, match="no TLS handshake"):
            asyncio.run(silent.trust())


def test_closed_port_is_unknown(authority: Authority) -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        port = listener.getsockname()[1]
    closed = client(port, authority.ca_file, authority.directory)
    assert asyncio.run(closed.offer("TLS 1.2")).outcome == "inconclusive"
    with pytest.raises(UnavailableError, match="no connection"):
        asyncio.run(closed.leaf())


def test_unreadable_authority_is_unknown(authority: Authority) -> None:
    with pytest.raises(UnavailableError, match="cannot be used"):
        asyncio.run(client(1, authority.directory / "gone.pem", authority.directory).trust())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("max-age=63072000; includeSubDomains", 63072000),
        ('includeSubDomains; MAX-AGE="10"', 10),
        ("max-age=0", 0),
        ("includeSubDomains", 0),
        ("", 0),
    ],
)
def test_hsts_header(header: str, seconds: int) -> None:
    assert hsts_seconds(header) == seconds


def test_hsts_is_unknown_without_an_answer(authority: Authority) -> None:
    _, file = authority.issue()
    with serving(file) as port:
        unasked, unsent = look(port, authority), look(port, authority, {})
    with pytest.raises(UnavailableError):
        checks.test_hsts(unasked)
    with pytest.raises(CheckFailedError, match="not sent"):
        checks.test_hsts(unsent)


RENEWAL = """\
# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/crm.example.test

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef0123456789abcdef
server = https://acme-v02.api.letsencrypt.org/directory
authenticator = nginx
installer = nginx
key_type = ecdsa
"""


class Certbot:
    """A tree like certbot's."""

    def __init__(self, root: Path, authority: Authority) -> None:
        self.directory = root / "letsencrypt"
        self.authority = authority
        for name in ("accounts", "csr", "keys", "renewal"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "keys" / "0000_key-certbot.pem").write_text("SECRET-KEY")
        (self.directory / "renewal" / f"{NAME}.conf").write_text(RENEWAL)

    def add(self, number: int, lineage: str = NAME, name: str = NAME) -> x509.Certificate:
        """Add a certificate to a lineage and make it the live one."""
        certificate, _ = self.authority.issue(name)
        archive, live = (self.directory / kind / lineage for kind in ("archive", "live"))
        for place in (archive, live):
            place.mkdir(parents=True, exist_ok=True)
        (archive / f"cert{number}.pem").write_bytes(pem(certificate))
        (archive / f"privkey{number}.pem").write_text("SECRET-KEY")
        for kind in ("cert", "privkey"):
            (live / f"{kind}.pem").unlink(missing_ok=True)
            (live / f"{kind}.pem").symlink_to(f"../../archive/{lineage}/{kind}{number}.pem")
        return certificate

    def collect(self) -> Certificates:
        """Collect the noun."""
        host = LocalHost()
        target = target_for(self.directory.parent)
        model = asyncio.run(certificate_facts.collect(access(target, host)))
        assert host.rounds == 1
        assert Certificates.model_validate_json(model.model_dump_json()) == model
        return model


@pytest.fixture
def certbot(tmp_path: Path, authority: Authority) -> Certbot:
    """A tree with one lineage, renewed once."""
    tree = Certbot(tmp_path, authority)
    tree.add(1)
    return tree


def served(authority: Authority, certificate: x509.Certificate) -> Tls:
    """Return the noun of a server that serves a certificate."""
    _, file = authority.issue()
    with serving(file) as port:
        return look(port, authority).model_copy(update={"leaf": read_certificate(certificate)})


def test_newest_certificate_is_the_one_with_the_highest_number(
    certbot: Certbot, authority: Authority
) -> None:
    numbers = {number: certbot.add(number) for number in (9, 10)}
    seen = certbot.collect()
    newest = seen.newest(NAME)
    assert newest is not None
    assert newest.number == 10
    assert seen.lineages[0].live == newest.certificate
    checks.test_newest_certificate_is_served(served(authority, numbers[10]), seen)
    with pytest.raises(CheckFailedError, match=r"cert10\.pem"):
        checks.test_newest_certificate_is_served(served(authority, numbers[9]), seen)


def test_certificate_for_another_name_does_not_count(certbot: Certbot, authority: Authority) -> None:
    other = certbot.add(2, name="dev.example.test")
    seen = certbot.collect()
    with pytest.raises(CheckFailedError, match=r"cert1\.pem"):
        checks.test_newest_certificate_is_served(served(authority, other), seen)
    assert len(seen.renewals(NAME)) == 1


def test_second_lineage_of_the_name_counts(certbot: Certbot) -> None:
    certbot.add(1, lineage=f"{NAME}-0001")
    certbot.add(1, lineage="wild", name="*.example.test")
    certbot.add(1, lineage="dev.example.test", name="dev.example.test")
    covering = certbot.collect().covering(NAME)
    assert [one.name for one in covering] == [NAME, f"{NAME}-0001", "wild"]


def test_no_private_key_is_fetched(certbot: Certbot) -> None:
    host = LocalHost()
    asyncio.run(certificate_facts.collect(access(target_for(certbot.directory.parent), host)))
    (answer,) = asyncio.run(host.run(*host.sent))
    assert b"SECRET-KEY" not in answer.stdout
    assert b"cert1.pem" in answer.stdout


def test_another_lineage_of_the_name_is_not_mixed_in(certbot: Certbot, authority: Authority) -> None:
    other = f"{NAME}-0001"
    seen_by_visitors = served(authority, certbot.add(1, lineage=other))
    target = target_for(certbot.directory.parent)
    seen = certbot.collect()
    checks.test_newest_certificate_is_served(seen_by_visitors, seen)
    with pytest.raises(CheckFailedError, match="a file in"):
        checks.test_renewal_is_configured(seen_by_visitors, seen, target)
    (certbot.directory / "renewal" / f"{other}.conf").write_text(RENEWAL)
    checks.test_renewal_is_configured(seen_by_visitors, certbot.collect(), target)
    certbot.add(2, lineage=other)
    with pytest.raises(CheckFailedError, match=rf"{other}/cert2\.pem"):
        checks.test_newest_certificate_is_served(seen_by_visitors, certbot.collect())


def test_renewal_settings(certbot: Certbot, authority: Authority) -> None:
    tls = served(authority, certbot.add(2))
    target = target_for(certbot.directory.parent)
    seen = certbot.collect()
    checks.test_renewal_is_configured(tls, seen, target)
    checks.test_renewal_asks_the_real_authority(tls, seen, target)
    assert seen.renewals(NAME)[0].authenticator == "nginx"

    file = certbot.directory / "renewal" / f"{NAME}.conf"
    file.write_text(RENEWAL.replace("acme-v02", "acme-staging-v02"))
    with pytest.raises(CheckFailedError, match="staging"):
        checks.test_renewal_asks_the_real_authority(tls, certbot.collect(), target)
    file.unlink()
    with pytest.raises(CheckFailedError, match="a file in"):
        checks.test_renewal_is_configured(tls, certbot.collect(), target)


def test_missing_directory_is_known_and_unpermitted_one_is_not(tmp_path: Path, authority: Authority) -> None:
    target = target_for(tmp_path)
    seen = asyncio.run(certificate_facts.collect(access(target, LocalHost())))
    assert not seen.exists
    tls = served(authority, authority.issue()[0])
    with pytest.raises(CheckFailedError):
        checks.test_renewal_is_configured(tls, seen, target)
    with pytest.raises(UnavailableError, match="wrong password"):
        asyncio.run(certificate_facts.collect(access(target, LocalHost(root=False))))


def test_broken_certificate_is_unknown(certbot: Certbot) -> None:
    (certbot.directory / "archive" / NAME / "cert1.pem").write_text("nonsense")
    with pytest.raises(UnavailableError, match=r"cert1\.pem"):
        certbot.collect()


def plain(path: str, status: int = 301, location: str | None = None) -> PlainAnswer:
    return PlainAnswer(
        url=f"http://{NAME}{path}",
        path=path,
        status=status,
        location=f"https://{NAME}{path}" if location is None else location,
    )


def redirect(
    authenticators: Known[tuple[str, ...]] | Unavailable | None = None, **changed: PlainAnswer
) -> Redirect:
    healthy: dict[str, Any] = {
        "root": plain("/"),
        "deep": plain("/a?b=c"),
        "acme": plain("/.well-known/acme-challenge/x"),
        "authenticators": Known(value=("nginx",)) if authenticators is None else authenticators,
    }
    return Redirect(name=NAME, **{**healthy, **changed})


def test_recorded_redirects_pass() -> None:
    seen = redirect()
    nginx_checks.test_redirects_root(seen)
    nginx_checks.test_redirects_path_and_query(seen)
    nginx_checks.test_challenge_can_be_answered(seen)


@pytest.mark.parametrize(
    "answer",
    [
        plain("/a?b=c", location="https://dev.example.test/a?b=c"),
        plain("/a?b=c", location=f"https://{NAME}/a"),
        plain("/a?b=c", location=f"https://{NAME}/"),
        plain("/a?b=c", location=f"http://{NAME}/a?b=c"),
        plain("/a?b=c", status=200),
        plain("/a?b=c", status=404, location=""),
    ],
)
def test_wrong_redirect_fails(answer: PlainAnswer) -> None:
    with pytest.raises(CheckFailedError, match="a redirect to"):
        nginx_checks.test_redirects_path_and_query(redirect(deep=answer))


def test_redirected_challenge_depends_on_who_renews() -> None:
    with pytest.raises(CheckFailedError, match="authenticator webroot"):
        nginx_checks.test_challenge_can_be_answered(redirect(Known(value=("webroot",))))
    with pytest.raises(UnavailableError, match=r"tls\.renewal"):
        nginx_checks.test_challenge_can_be_answered(redirect(Known(value=())))
    with pytest.raises(UnavailableError, match="no privilege"):
        nginx_checks.test_challenge_can_be_answered(redirect(Unavailable(reason="no privilege")))
    elsewhere = plain("/.well-known/acme-challenge/x", location="https://dev.example.test/")
    with pytest.raises(CheckFailedError, match="dev"):
        nginx_checks.test_challenge_can_be_answered(redirect(Known(value=()), acme=elsewhere))
    served_there = plain("/.well-known/acme-challenge/x", status=404, location="")
    nginx_checks.test_challenge_can_be_answered(
        redirect(Unavailable(reason="no privilege"), acme=served_there)
    )


@pytest.mark.parametrize("reachable", [True, False])
def test_redirect_is_collected_with_or_without_certificates(certbot: Certbot, reachable: bool) -> None:
    async def fact(name: str) -> Certificates:
        assert name == "certificates"
        if not reachable:
            raise UnavailableError("no privilege")
        return await certificate_facts.collect(access(target_for(certbot.directory.parent), LocalHost()))

    stand_in: Any = SimpleNamespace(
        target=target_for(Path("/nowhere")), http=Answers({"location": f"https://{NAME}/"}), fact=fact
    )
    seen = asyncio.run(redirect_facts.collect(cast("Access", stand_in)))
    assert Redirect.model_validate_json(seen.model_dump_json()) == seen
    nginx_checks.test_redirects_root(seen)
    with pytest.raises(CheckFailedError):
        nginx_checks.test_redirects_path_and_query(seen)
    if reachable:
        assert known(seen.authenticators) == ("nginx",)
    else:
        assert isinstance(seen.authenticators, Unavailable)
