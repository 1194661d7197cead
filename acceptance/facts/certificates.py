"""Certbot's certificates and renewal settings on the server's disk; no private key is ever read."""

from __future__ import annotations

import posixpath
import re
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID, NameOID

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun, Source
from acceptance.facts.tree import MissingError, OutsideError, Tree, unpack
from acceptance.guard.commands import CERTIFICATES_TREE, call

if TYPE_CHECKING:
    from acceptance.access import Access

_ABSENT = 4


class Certificate(Fact):
    """One certificate.

    Attributes:
        serial: in hexadecimal, as `openssl x509 -serial` and certbot show it.
        fingerprint: SHA-256 of the whole certificate, in hexadecimal.
        names: the DNS names it is for; the common name if there are none.
    """

    serial: str
    fingerprint: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def covers(self, name: str) -> bool:
        """Tell whether it is for a name; a wildcard stands for one label."""
        parent = name.partition(".")[2]
        return any(own.lower() in (name.lower(), f"*.{parent.lower()}") for own in self.names)

    @property
    def summary(self) -> str:
        """What tells it from another one."""
        return f"serial {self.serial}, {self.not_before:%Y-%m-%d} to {self.not_after:%Y-%m-%d}"


class ArchivedCertificate(Fact):
    """A certificate that certbot got; its number rises with every renewal."""

    number: int
    path: str
    certificate: Certificate


class Renewal(Fact):
    """What certbot will do to renew a certificate. Keys as in `renewal/NAME.conf`."""

    authenticator: str
    installer: str
    server: str
    file: str


class Lineage(Fact):
    """A certificate and its successors.

    Attributes:
        archived: oldest first.
        live: what `live/NAME/cert.pem` leads to; None if that leads nowhere.
        renewal: None if there is no renewal file.
    """

    name: str
    archived: tuple[ArchivedCertificate, ...]
    live: Certificate | None
    renewal: Renewal | None

    def newest(self, name: str) -> ArchivedCertificate | None:
        """Return its newest certificate for a name: the one with the highest number."""
        return next((one for one in reversed(self.archived) if one.certificate.covers(name)), None)

    def holds(self, fingerprint: str) -> bool:
        """Tell whether a certificate is one of its own."""
        return any(one.certificate.fingerprint == fingerprint for one in self.archived)

    def covers(self, name: str) -> bool:
        """Tell whether it is called like the name or ever had a certificate for it."""
        return re.sub(r"-\d{4}$", "", self.name) == name or self.newest(name) is not None


class Certificates(Fact):
    """Everything below certbot's directory but keys.

    Attributes:
        directory: usually /etc/letsencrypt.
        exists: False if there is no such directory at all.
    """

    directory: str
    exists: bool
    lineages: tuple[Lineage, ...]

    def covering(self, name: str) -> tuple[Lineage, ...]:
        """Return the lineages for a name."""
        return tuple(lineage for lineage in self.lineages if lineage.covers(name))

    def judged(self, name: str, fingerprint: str = "") -> tuple[Lineage, ...]:
        """Return the lineages by which a name is judged.

        Args:
            name: the public name.
            fingerprint: of the certificate that is served for it. The lineage that it belongs to is the only
                one that counts: what happens in another does not reach visitors. Without one, or if it
                belongs to none, all that are for the name count.
        """
        covering = self.covering(name)
        serving = tuple(lineage for lineage in covering if fingerprint and lineage.holds(fingerprint))
        return serving or covering

    def newest(self, name: str, fingerprint: str = "") -> ArchivedCertificate | None:
        """Return the newest certificate for a name, see `judged`; None if there is none.

        Within a lineage the highest number is the newest, among lineages the latest beginning.
        """
        newest = [
            one for lineage in self.judged(name, fingerprint) if (one := lineage.newest(name)) is not None
        ]
        return max(newest, key=lambda one: one.certificate.not_before, default=None)

    def renewals(self, name: str, fingerprint: str = "") -> tuple[Renewal, ...]:
        """Return the renewal settings for a name, see `judged`."""
        return tuple(
            lineage.renewal for lineage in self.judged(name, fingerprint) if lineage.renewal is not None
        )

    @property
    def renewal_source(self) -> Source:
        """Where renewal settings are."""
        place = f"{self.directory}/renewal"
        return Source(where=place, again=f"on the server: grep -r . {place}")


def read_certificate(certificate: x509.Certificate) -> Certificate:
    """Reduce a parsed certificate to what is judged."""
    return Certificate(
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return tuple(
            str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        )
    value = extension.value
    if not isinstance(value, x509.SubjectAlternativeName):
        return ()
    return tuple(value.get_values_for_type(x509.DNSName))


def read_renewal(text: str, file: str) -> Renewal:
    """Return the settings of a renewal file; what it does not set is empty."""
    settings = dict(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", text, re.MULTILINE))
    return Renewal(
        authenticator=settings.get("authenticator", ""),
        installer=settings.get("installer", ""),
        server=settings.get("server", ""),
        file=file,
    )


def read_lineages(tree: Tree, directory: str) -> tuple[Lineage, ...]:
    """Return the lineages of a certbot directory, by name.

    Raises:
        UnavailableError: a certificate cannot be parsed.
    """
    names = set(tree.names(f"{directory}/archive")) | set(tree.names(f"{directory}/live"))
    names |= {
        name.removesuffix(".conf") for name in tree.names(f"{directory}/renewal") if name.endswith(".conf")
    }
    return tuple(_lineage(tree, directory, name) for name in sorted(names - {"README"}))


def _lineage(tree: Tree, directory: str, name: str) -> Lineage:
    archive = f"{directory}/archive/{name}"
    numbered = {
        int(match[1]): posixpath.join(archive, entry)
        for entry in tree.names(archive)
        if (match := re.fullmatch(r"cert(\d+)\.pem", entry))
    }
    archived = tuple(
        ArchivedCertificate(number=number, path=numbered[number], certificate=certificate)
        for number in sorted(numbered)
        if (certificate := _certificate(tree, numbered[number])) is not None
    )
    renewal_file = f"{directory}/renewal/{name}.conf"
    renewal = _content(tree, renewal_file)
    return Lineage(
        name=name,
        archived=archived,
        live=_certificate(tree, f"{directory}/live/{name}/cert.pem"),
        renewal=read_renewal(renewal.decode("utf-8", "replace"), renewal_file) if renewal else None,
    )


def _content(tree: Tree, path: str) -> bytes | None:
    try:
        return tree.locate(path).entry.content
    except (MissingError, OutsideError):
        return None


def _certificate(tree: Tree, path: str) -> Certificate | None:
    content = _content(tree, path)
    if content is None:
        return None
    try:
        return read_certificate(x509.load_pem_x509_certificate(content))
    except ValueError as error:
        raise UnavailableError(f"{path} is no certificate that can be read ({error})") from error


async def collect(access: Access) -> Certificates:
    """Fetch certbot's directory without keys and read it."""
    directory = access.target.tls.letsencrypt.rstrip("/")
    (result,) = await access.host.run(call(CERTIFICATES_TREE, directory))
    if result.answered(0, _ABSENT).rc == _ABSENT:
        return Certificates(directory=directory, exists=False, lineages=())
    tree = Tree(unpack(result.stdout), directory)
    return Certificates(directory=directory, exists=True, lineages=read_lineages(tree, directory))


NOUN = Noun(name="certificates", model=Certificates, collect=collect, sources=("root",), host=True)
