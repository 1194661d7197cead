"""Access to the server: who answers, who logs in, how root is reached, and what time it is there."""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.outside import Outside
from acceptance.facts.ssh_login import MOST_APART_S, ROOT_BY_ANOTHER_NAME, SshLogin


@pytest.mark.item("access.host-key")
def test_host_key_is_the_pinned_one(ssh_login: SshLogin) -> None:
    """The server that answers holds the pinned host key.

    Another key means another machine: everything else in the report would be about that one, and whoever is
    in between gets to see the root password.
    """
    key = known(ssh_login.host_key)
    verify(
        key.matches,
        expected=f"the key of {key.pin} {key.expected}".rstrip(),
        seen=key.seen,
        source=ssh_login.key_source,
    )


@pytest.mark.item("access.login")
def test_key_login_works(ssh_login: SshLogin, outside: Outside) -> None:
    """The operator's key opens a shell for the configured user at the configured port.

    Found out during the deployment, it leaves nobody who can look, let alone roll back.
    """
    entry = ssh_login.accepted(others_answer=outside.answers)
    verify(
        entry.accepted,
        expected=f"a login as {ssh_login.user} at {ssh_login.place} with the key alone",
        seen=entry.seen,
        source=ssh_login.source,
    )


@pytest.mark.item("access.unprivileged")
def test_login_is_not_root(ssh_login: SshLogin) -> None:
    """The login is an ordinary account.

    With root's own login a mistyped command needs no second thought, and the logs do not say who it was.
    """
    account = ssh_login.unprivileged
    verify(
        account.uid != 0,
        expected="a uid other than 0",
        seen=f"{account.name}, uid {account.uid}",
        source=ssh_login.account_source,
    )


@pytest.mark.item("access.unprivileged")
def test_login_is_not_in_group_docker(ssh_login: SshLogin) -> None:
    """The login is not in the group docker.

    Its members are root by another name, without a password and without a line in the authentication log.
    """
    account = ssh_login.unprivileged
    verify(
        ROOT_BY_ANOTHER_NAME not in account.groups,
        expected=f"groups without {ROOT_BY_ANOTHER_NAME}",
        seen=", ".join(account.groups),
        source=ssh_login.account_source,
    )


@pytest.mark.item("access.privilege")
def test_way_up_leads_to_root(ssh_login: SshLogin) -> None:
    """The configured way up yields uid 0.

    The plan's recorded root password was once that of another server. Every step of the deployment needs it.
    """
    way_up = ssh_login.way_up
    verify(
        way_up.uid == 0,
        expected=f"uid 0 by {ssh_login.method}",
        seen=way_up.seen,
        source=ssh_login.root_source,
    )


@pytest.mark.item("access.clock")
def test_clocks_agree(ssh_login: SshLogin) -> None:
    """The server's clock and the operator's differ by less than 5 seconds.

    Certificates, sign-in codes and the windows of log entries are judged by both.
    """
    clock = known(ssh_login.clock)
    verify(
        clock.agrees,
        expected=f"less than {MOST_APART_S} s apart",
        seen=f"the server is ahead by {clock.shown}",
        source=ssh_login.clock_source,
    )
