"""The rehearsal's certificate authority, and a tree like the one certbot keeps in /etc/letsencrypt."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rehearsal.services.files import make_directory, write
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

TEMPLATE_NAME = "dev.portnimara.test"
"""The name of the vhost that was there before and that the CRM's is modelled on."""

NAMES = (
    HOSTNAME,
    TEMPLATE_NAME,
    GITEA_NAME,
    REGISTRY_NAME,
    STORAGE_NAME,
    WEBSITE_NAME,
    NOCODB_NAME,
    DOCUMENSO_NAME,
)
KINDS = ("cert", "chain", "fullchain", "privkey")

_LIFETIME = datetime.timedelta(days=90)

_OPTIONS = """\
ssl_session_cache shared:le_nginx_SSL:10m;
ssl_session_timeout 1440m;
ssl_session_tickets off;

ssl_protocols TLSv1.2 TLSv1.3;
ssl_prefer_server_ciphers off;

ssl_ciphers "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384";
"""

# The group ffdhe2048 of RFC 7919, appendix A.1.
_DH_PARAMETERS = """\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""

_README = """\
The rehearsal keeps the newest certificate of this lineage here, as links into ../../archive.
"""


class _Signer(NamedTuple):
    name: x509.Name
    key: ec.EllipticCurvePrivateKey


class _Authority(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Issued(NamedTuple):
    """A certificate, its private key and the chain that leads to the root, each as PEM text."""

    cert_pem: str
    key_pem: str
    chain_pem: str


_CERTBOT = """\
#!/bin/sh
echo "the rehearsal's certbot has no authority to ask" >&2
exit 1
"""


def certbot(site: Site) -> Path:
    """Return where certbot is installed; it cannot be run."""
    return site.host / "usr" / "bin" / "certbot"


def create(site: Site) -> None:
    """Create the authority and one lineage per name, each renewed once, as certbot leaves them.

    Raises:
        OSError: a file cannot be written.
    """
    write(certbot(site), _CERTBOT, mode=0o755)
    _create_authority(site)
    _create_tree(site)
    for name in NAMES:
        install(site, issue(site, [name], days_left=28), name=name)
        install(site, issue(site, [name], days_left=88), name=name)
        write_renewal(site, name)


def issue(
    site: Site,
    names: Sequence[str],
    *,
    days_left: float,
    issuer: Literal["intermediate", "self"] = "intermediate",
) -> Issued:
    """Make a certificate for `names` that expires in `days_left` days (negative: it has expired).

    With issuer `self` it is self-signed and has no chain.

    Raises:
        OSError: the authority's files cannot be read.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(names[0])
    signer, chain = _Signer(subject, key), ""
    if issuer == "intermediate":
        authority = _load(site, "intermediate")
        signer, chain = _Signer(authority.certificate.subject, authority.key), _pem(authority.certificate)
    end = _now() + datetime.timedelta(days=days_left)
    start = min(end - _LIFETIME, _now() - datetime.timedelta(hours=1))
    certificate = (
        _builder(subject, key, signer, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(signer.key, hashes.SHA256())
    )
    return Issued(_pem(certificate), _key_pem(key), chain)


def install(site: Site, issued: Issued, *, name: str = HOSTNAME) -> int:
    """Put a certificate into the lineage under the next number, as certbot does, and return the number.

    The links in `live/` move; nginx is not told, so it serves the former one until it reloads.

    Raises:
        OSError: a file cannot be written.
    """
    archive = make_directory(site.letsencrypt / "archive" / name)
    live = make_directory(site.letsencrypt / "live" / name)
    number = latest(site, name) + 1
    contents = (issued.cert_pem, issued.chain_pem, issued.cert_pem + issued.chain_pem, issued.key_pem)
    for kind, content in zip(KINDS, contents, strict=True):
        write(archive / f"{kind}{number}.pem", content, mode=0o600 if kind == "privkey" else 0o644)
        _link(site, name, kind, number)
    write(live / "README", _README)
    return number


def renew(site: Site, *, name: str = HOSTNAME, days_left: float = 90) -> int:
    """Renew a lineage without reloading nginx, and return the number of the new certificate.

    Raises:
        OSError: a file cannot be read or written.
    """
    return install(site, issue(site, [name], days_left=days_left), name=name)


def withdraw(site: Site, *, name: str = HOSTNAME) -> int:
    """Take a lineage's newest certificate away again and return the number that is the newest then.

    Raises:
        OSError: a file cannot be removed, or there is only one.
    """
    number = latest(site, name)
    for kind in KINDS:
        (site.letsencrypt / "archive" / name / f"{kind}{number}.pem").unlink()
        _link(site, name, kind, number - 1)
    return number - 1


def latest(site: Site, name: str = HOSTNAME) -> int:
    """Return the highest number in the lineage's archive; 0 if it is empty."""
    archive = site.letsencrypt / "archive" / name
    return max((int(path.stem.removeprefix("cert")) for path in archive.glob("cert*.pem")), default=0)


def renewal_file(site: Site, name: str = HOSTNAME) -> Path:
    """Return the path of certbot's renewal configuration for a lineage."""
    return site.letsencrypt / "renewal" / f"{name}.conf"


def write_renewal(site: Site, name: str = HOSTNAME) -> None:
    """Write the renewal configuration that certbot 2.1.0 leaves with the nginx plugin.

    Raises:
        OSError: it cannot be written.
    """
    live = site.letsencrypt / "live" / name
    paths = "".join(f"{kind} = {live}/{kind}.pem\n" for kind in ("cert", "privkey", "chain", "fullchain"))
    write(
        renewal_file(site, name),
        "# renew_before_expiry = 30 days\n"
        "version = 2.1.0\n"
        f"archive_dir = {site.letsencrypt}/archive/{name}\n"
        f"{paths}\n"
        "# Options used in the renewal process\n"
        "[renewalparams]\n"
        f"account = {secrets.token_hex(16)}\n"
        "server = https://acme-v02.api.letsencrypt.org/directory\n"
        "authenticator = nginx\n"
        "installer = nginx\n"
        "key_type = ecdsa\n",
    )


def _link(site: Site, name: str, kind: str, number: int) -> None:
    link = site.letsencrypt / "live" / name / f"{kind}.pem"
    link.unlink(missing_ok=True)
    link.symlink_to(f"../../archive/{name}/{kind}{number}.pem")


def _create_authority(site: Site) -> None:
    start, end = _now() - datetime.timedelta(days=365), _now() + datetime.timedelta(days=3650)
    root_key, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    signer = _Signer(_name("Rehearsal Root"), root_key)
    root = _authority(_builder(signer.name, root_key, signer, start, end), signer, None)
    intermediate = _authority(_builder(_name("Rehearsal E1"), key, signer, start, end), signer, 0)
    write(site.ca_file, _pem(root))
    write(site.ca_file.with_name("intermediate.pem"), _pem(intermediate))
    write(site.ca_file.with_name("intermediate.key"), _key_pem(key), mode=0o600)


def _create_tree(site: Site) -> None:
    for name in ("live", "archive", "accounts", "keys"):
        make_directory(site.letsencrypt / name, mode=0o700)
    for name in ("csr", "renewal", "renewal-hooks/pre", "renewal-hooks/deploy", "renewal-hooks/post"):
        make_directory(site.letsencrypt / name)
    write(site.letsencrypt / "live" / "README", _README)
    write(site.letsencrypt / "options-ssl-nginx.conf", _OPTIONS)
    write(site.letsencrypt / "ssl-dhparams.pem", _DH_PARAMETERS)


def _authority(
    builder: x509.CertificateBuilder, signer: _Signer, path_length: int | None
) -> x509.Certificate:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(signer.key, hashes.SHA384())
    )


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: _Signer,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority_key, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _load(site: Site, name: str) -> _Authority:
    directory = site.ca_file.parent
    certificate = x509.load_pem_x509_certificate((directory / f"{name}.pem").read_bytes())
    key = serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{name}.key: not an elliptic curve key")
    return _Authority(certificate, key)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
