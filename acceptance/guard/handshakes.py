"""Every TLS handshake the suite may make with the public name; nothing is sent after one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Handshake:
    """A declared TLS handshake.

    Attributes:
        offers: what the client hello offers.
    """

    name: str
    offers: str
    purpose: str
    footprint: str = "a connection that ends without a request; nginx logs it at level info only"


_USUAL = "the protocol versions and ciphers of this machine's OpenSSL"

HANDSHAKES = {
    handshake.name: handshake
    for handshake in (
        Handshake("tls-verified", _USUAL, "see whether an ordinary client trusts the certificate"),
        Handshake("tls-verified-leaf", _USUAL, "get the trusted certificate that the browser is to accept"),
        Handshake("tls-leaf", _USUAL, "read the certificate that is served, whatever it is worth"),
        *(
            Handshake(
                f"tls-offer {protocol}", f"{protocol} only", f"see whether the server still speaks {protocol}"
            )
            for protocol in ("TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3")
        ),
    )
}
"""All of them, by name."""
