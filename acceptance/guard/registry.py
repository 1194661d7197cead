"""Every request the suite may send to a container registry. What is not declared here cannot be sent."""

from __future__ import annotations

from acceptance.guard.requests import Request

MANIFEST = Request(
    "registry-manifest",
    "HEAD",
    r"/v2/[a-z0-9][a-z0-9._/-]*/manifests/[\w.:-]+",
    "learn the digest a tag points to",
    footprint="a line in the registry's access log; the login's time of last use",
    credential="registry",
)
TOKEN = Request(
    "registry-token",
    "GET",
    r"/[^\s]*",
    "exchange the login for a token of a few minutes, where the registry asks for it",
    footprint="a line in the registry's access log; the login's time of last use",
    credential="registry",
)
SERVERS_MANIFEST = Request(
    "registry-manifest-by-server",
    "HEAD",
    MANIFEST.path,
    "see that the server's own login reads the images",
    footprint="a line in the registry's access log; the login's time of last use",
    credential="server",
)
SERVERS_TOKEN = Request(
    "registry-token-by-server",
    "GET",
    TOKEN.path,
    "see that the registry accepts the login that the server stores, by exchanging it as Docker does",
    footprint="a line in the registry's access log; the login's time of last use; a line more in a list of "
    "failed logins if it is refused",
    credential="server",
)
REQUESTS = (MANIFEST, TOKEN, SERVERS_MANIFEST, SERVERS_TOKEN)
"""Every request that is ever sent to a registry."""
