"""TLS handshakes with the public name: verified, unverified, and one per protocol version."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, ConfigDict

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.handshakes import HANDSHAKES
from acceptance.ledger import Ledger
from acceptance.sections.public import Public

T = TypeVar("T")

Protocol = Literal["TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"]

PROTOCOLS: dict[Protocol, ssl.TLSVersion] = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.1": ssl.TLSVersion.TLSv1_1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}
_OLD = ("TLS 1.0", "TLS 1.1")
_ANY_CIPHER = "ALL:@SECLEVEL=0"
"""Today's OpenSSL takes part in TLS 1.0 and 1.1 only at security level 0, on both sides."""


class Trust(BaseModel):
    """Whether a verifying client accepts the server; if not, OpenSSL's reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trusted: bool
    reason: str = ""


class Offer(BaseModel):
    """How the server answered a client that offers one protocol version only.

    Attributes:
        outcome: `refused` means that the handshake failed after the connection was made; it counts
            only if another version was accepted in the same run.
        offerable: whether this machine's OpenSSL can speak the version at all, proved in memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Protocol
    outcome: Literal["accepted", "refused", "inconclusive"]
    detail: str
    offerable: bool


class Tls:
    """Makes TLS handshakes with the public name and sends nothing else."""

    def __init__(self, public: Public, ledger: Ledger) -> None:
        self._public = public
        self._ledger = ledger

    @property
    def where(self) -> str:
        """The address that is connected to."""
        return f"{self._public.https.address}:{self._public.https.port}"

    async def trust(self) -> Trust:
        """Shake hands as a browser does: chain, name and dates must be right.

        Raises:
            UnavailableError: no connection, no handshake for a reason other than the certificate, or this
                machine has no certificate authorities to trust.
        """
        context = self._verifying()
        return await self._recorded("tls-verified", lambda: self._trust(context))

    async def verified_leaf(self) -> x509.Certificate:
        """Return the certificate that is served, after chain, name and dates were found to be right.

        Raises:
            UnavailableError: no connection, or the certificate is not trusted.
        """
        context = self._verifying()
        return await self._recorded("tls-verified-leaf", lambda: self._leaf(context))

    async def leaf(self) -> x509.Certificate:
        """Return the certificate that is served, whatever it is worth.

        Raises:
            UnavailableError: no connection or no handshake.
        """
        return await self._recorded("tls-leaf", lambda: self._leaf(_unverified()))

    async def offer(self, protocol: Protocol) -> Offer:
        """Offer one protocol version only."""
        context = _speaking(_unverified(), protocol)
        can_offer(protocol)
        return await self._recorded(f"tls-offer {protocol}", lambda: self._offer(context, protocol))

    async def _recorded(self, name: str, work: Callable[[], T]) -> T:
        if name not in HANDSHAKES:
            self._ledger.record("tls", name, kind="refused", result="not declared in acceptance/guard")
            raise RefusedError(f"tls: {name} is not declared in acceptance/guard; nothing was sent")
        started = time.perf_counter()
        outcome = "no answer"
        try:
            result = await asyncio.to_thread(work)
            outcome = "answered"
        finally:
            self._ledger.record(
                "tls", name, detail=self.where, seconds=time.perf_counter() - started, result=outcome
            )
        return result

    def _verifying(self) -> ssl.SSLContext:
        paths = ssl.get_default_verify_paths()
        store = [Path(place) for place in (paths.cafile, paths.capath) if place]
        if self._public.ca_file is None and not any(_holds_something(place) for place in store):
            raise UnavailableError(
                "this machine has no certificate authorities to trust", "install ca-certificates here"
            )
        try:
            context = ssl.create_default_context(cafile=self._public.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UnavailableError(
                f"the certificate authority {self._public.ca_file} cannot be used ({error})",
                "correct public.ca_file in the target file",
            ) from error
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def _connected(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        endpoint = self._public.https
        try:
            plain = socket.create_connection((endpoint.address, endpoint.port), self._public.timeout_s)
        except OSError as error:
            raise UnavailableError(
                f"{self.where}: no connection ({error})", "check that it can be reached from here"
            ) from error
        try:
            return context.wrap_socket(plain, server_hostname=self._public.name)
        except BaseException:
            plain.close()
            raise

    def _trust(self, context: ssl.SSLContext) -> Trust:
        try:
            with self._connected(context):
                return Trust(trusted=True)
        except ssl.SSLCertVerificationError as error:
            return Trust(trusted=False, reason=error.verify_message)
        except OSError as error:
            raise UnavailableError(f"{self.where}: no TLS handshake ({_plain(error)})") from error

    def _leaf(self, context: ssl.SSLContext) -> x509.Certificate:
        try:
            with self._connected(context) as connection:
                encoded = connection.getpeercert(binary_form=True)
        except OSError as error:
            raise UnavailableError(f"{self.where}: no TLS handshake ({_plain(error)})") from error
        if not encoded:
            raise UnavailableError(f"{self.where}: the handshake gave no certificate")
        try:
            return x509.load_der_x509_certificate(encoded)
        except ValueError as error:
            raise UnavailableError(f"{self.where}: its certificate cannot be read ({error})") from error

    def _offer(self, context: ssl.SSLContext, protocol: Protocol) -> Offer:
        def answered(outcome: Literal["accepted", "refused", "inconclusive"], detail: str) -> Offer:
            return Offer(protocol=protocol, outcome=outcome, detail=detail, offerable=can_offer(protocol))

        try:
            with self._connected(context) as connection:
                return answered("accepted", f"{connection.version()}, {(connection.cipher() or ('',))[0]}")
        except UnavailableError as problem:
            return answered("inconclusive", problem.reason)
        except TimeoutError:
            return answered("inconclusive", "no answer within the time limit")
        except (ssl.SSLError, ConnectionError) as error:
            return answered("refused", _plain(error))
        except OSError as error:
            return answered("inconclusive", _plain(error))


def _holds_something(place: Path) -> bool:
    return place.is_file() or (place.is_dir() and any(place.iterdir()))


def _plain(error: OSError) -> str:
    """Return OpenSSL's words without its library's coordinates."""
    reason = getattr(error, "reason", None)
    if isinstance(error, ssl.SSLError) and reason:
        return str(reason).replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _speaking(context: ssl.SSLContext, protocol: Protocol) -> ssl.SSLContext:
    """Restrict a context to one version; the old ones need security level 0."""
    version = PROTOCOLS[protocol]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version
        context.minimum_version = version
    if protocol in _OLD:
        context.set_ciphers(_ANY_CIPHER)
    return context


@cache
def can_offer(protocol: Protocol) -> bool:
    """Tell whether this machine's OpenSSL can speak a version: it is made to, with itself, in memory."""
    try:
        server = _speaking(_throwaway_server(), protocol)
        client = _speaking(_unverified(), protocol)
        return _shake_hands_in_memory(client, server) == PROTOCOLS[protocol].name.replace("_", ".")
    except (ssl.SSLError, ValueError):
        return False


def _throwaway_server() -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "throwaway")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(_ANY_CIPHER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _shake_hands_in_memory(client: ssl.SSLContext, server: ssl.SSLContext) -> str | None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_side=False),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(6):
        done = [_step(end) for end in ends]
        if all(done):
            return ends[0].version()
    return None


def _step(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
