"""What goes wrong with the server's own login for the registry; the images stay readable for everybody."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rehearsal.faults.base import Course, fault
from rehearsal.services import registry
from rehearsal.site import REGISTRY_NAME

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_TOUCHED = ("server_login",)


@contextmanager
def _logins(stack: Stack, logins: Mapping[str, object]) -> Iterator[None]:
    registry.write_login(stack.site, logins)
    try:
        yield
    finally:
        registry.write_login(stack.site)


@fault(
    "registry-login-missing",
    notice="nothing, until the images are no longer public",
    reddens=("registry.server-can-read",),
    touches=_TOUCHED,
)
def login_missing(stack: Stack) -> Course:
    """Log the server out."""
    with _logins(stack, {"auths": {}}):
        yield


@fault(
    "registry-login-never",
    notice="nothing, until the images are no longer public",
    reddens=("registry.server-can-read",),
    touches=_TOUCHED,
)
def login_never(stack: Stack) -> Course:
    """Let nobody ever have logged in: there is no file."""
    registry.login_file(stack.site).unlink()
    yield
    registry.write_login(stack.site)


@fault(
    "registry-login-expired",
    notice="nothing, until the images are no longer public",
    reddens=("registry.server-can-read",),
    touches=_TOUCHED,
)
def login_expired(stack: Stack) -> Course:
    """Let the server hold a token that Gitea does not know any more."""
    with _logins(stack, registry.logins_with(secrets.token_hex(20))):
        yield


@fault(
    "registry-password-stored",
    notice="nothing; whoever reads the server's files can do everything in Gitea",
    reddens=("registry.token-not-password",),
    touches=_TOUCHED,
)
def password_stored(stack: Stack) -> Course:
    """Log the server in with the account's password."""
    with _logins(stack, registry.logins_with(stack.site.credentials.gitea_password)):
        yield


@fault(
    "source-registry-login-helper",
    notice="the server's login is kept by a credential helper",
    touches=_TOUCHED,
    blinds=True,
)
def login_helper(stack: Stack) -> Course:
    """Keep the login where only a helper finds it."""
    with _logins(stack, {"auths": {REGISTRY_NAME: {}}, "credsStore": "pass"}):
        yield
