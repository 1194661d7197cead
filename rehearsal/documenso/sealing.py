"""Seals: the signature over the whole PDF with which Documenso completes a document, and its certificate.

Up to v2.4 Documenso signs with pdf-sign, from v2.5 on with libpdf. They differ in what they read, in what
they say when they cannot, and in the signature's format unless the operator keeps the old one.
"""

from __future__ import annotations

import datetime
import io
from dataclasses import dataclass, field
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12 as containers
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, signers
from pyhanko.sign.fields import SigSeedSubFilter

SubFilter = Literal["adbe.pkcs7.detached", "ETSI.CAdES.detached"]
Library = Literal["pdf-sign", "libpdf"]
Form = Literal["legacy", "modern"]

SIGNER = "Documenso"
_ROOM = 8192
"""What is kept free for the signature, in hexadecimal digits."""
_AES = bytes.fromhex("2a864886f70d01050d")
"""The identifier of PBES2, without which a container cannot have AES."""
_REFUSALS: dict[Library, str] = {
    "pdf-sign": "Failed to get private key bags",
    "libpdf": "Failed to parse PKCS#12 file: Integrity for the PKCS#12 data is broken!",
}


class SealError(Exception):
    """The document cannot be sealed; the message is what Documenso logs then."""


@dataclass(frozen=True)
class Certificate:
    """The three files that the plan backs up from /opt/documenso.

    Attributes:
        p12: certificate.p12, protected by the passphrase.
        private_key: private.key, in PEM and without a passphrase.
        certificate: certificate.crt, in PEM.
    """

    p12: bytes = field(repr=False)
    private_key: bytes = field(repr=False)
    certificate: bytes


def make_certificate(
    passphrase: str,
    *,
    form: Form = "legacy",
    name: str = "signatures.portnimara.test",
    valid_from: datetime.datetime | None = None,
    valid_for: datetime.timedelta = datetime.timedelta(days=3650),
) -> Certificate:
    """Make a self-signed signing certificate.

    Args:
        passphrase: of the p12.
        form: `legacy` has the ciphers of `openssl pkcs12 -export -legacy`, the only ones that v1.13.1 reads;
            `modern` has AES.
        name: the subject's common name.
        valid_from: yesterday, unless given.
        valid_for: how long from then.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    start = valid_from or datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + valid_for)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        p12=containers.serialize_key_and_certificates(
            name.encode(), key, certificate, None, _encryption(form, passphrase)
        ),
        private_key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
    )


def seal(
    pdf: bytes, p12: bytes, passphrase: str, *, subfilter: SubFilter, library: Library = "libpdf"
) -> bytes:
    """Return the PDF with an invisible signature over its whole length, as an incremental update.

    It runs an event loop of its own: call it from a thread where one is running.

    Args:
        pdf: to sign; it has no signature yet.
        p12: the signing certificate and its key.
        passphrase: of the p12.
        subfilter: the signature's format.
        library: whose limits and messages apply; `pdf-sign` reads old-style containers only.

    Raises:
        SealError: the p12 cannot be read with that passphrase, or the PDF cannot be read.
    """
    signer = _signer(p12, passphrase, library)
    kind = (
        SigSeedSubFilter.PADES
        if subfilter == "ETSI.CAdES.detached"
        else SigSeedSubFilter.ADOBE_PKCS7_DETACHED
    )
    metadata = PdfSignatureMetadata(
        field_name="Signature1", md_algorithm="sha256", subfilter=kind, name=SIGNER
    )
    try:
        writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
        return bytes(signers.sign_pdf(writer, metadata, signer, bytes_reserved=_ROOM).getvalue())
    except Exception as error:
        raise SealError(f"Failed to sign the PDF: {error}") from error


def _signer(p12: bytes, passphrase: str, library: Library) -> signers.SimpleSigner:
    if library == "pdf-sign" and (not passphrase or _AES in p12):
        raise SealError(_REFUSALS[library])
    try:
        signer: signers.SimpleSigner = signers.SimpleSigner.load_pkcs12_data(p12, [], passphrase.encode())
    except (ValueError, AttributeError) as error:
        raise SealError(_REFUSALS[library]) from error
    return signer


def _encryption(form: Form, passphrase: str) -> serialization.KeySerializationEncryption:
    if form == "modern":
        return serialization.BestAvailableEncryption(passphrase.encode())
    return (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(containers.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # noqa: S303 - what the old-style container has
        .build(passphrase.encode())
    )
