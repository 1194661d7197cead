"""Signs the tokens by which a registry lets somebody pull or push."""

from __future__ import annotations

import base64
import datetime
import json
import secrets
import time
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

NAME = "gitea"
SERVICE = "container_registry"
"""The registry's name in the tokens."""

_LIFETIME_S = 24 * 60 * 60
_LEEWAY_S = 60


def make_key() -> tuple[str, str]:
    """Return a private key and its certificate, which the registry trusts; both as PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


class Issuer:
    """Signs with one key.

    Args:
        key: the private key as PEM text.
        certificate: its certificate likewise.
    """

    def __init__(self, key: str, certificate: str) -> None:
        loaded = serialization.load_pem_private_key(key.encode(), password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TypeError("not an elliptic curve key")
        self._key = loaded
        parsed = x509.load_pem_x509_certificate(certificate.encode())
        self._chain = [base64.b64encode(parsed.public_bytes(serialization.Encoding.DER)).decode()]

    def sign(self, subject: str, repository: str, actions: Sequence[str]) -> str:
        """Return a JSON web token that allows the actions on a repository; on none if it is empty."""
        now = int(time.time())
        granted = {"type": "repository", "name": repository, "actions": list(actions)}
        claims = {
            "iss": NAME,
            "sub": subject,
            "aud": SERVICE,
            "exp": now + _LIFETIME_S,
            "nbf": now - _LEEWAY_S,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": [granted] if repository and actions else [],
        }
        head = {"typ": "JWT", "alg": "ES256", "x5c": self._chain}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        r, s = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
