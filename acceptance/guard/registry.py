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
REQUESTS = (MANIFEST, TOKEN)
"""Every request that is ever sent to a registry."""
