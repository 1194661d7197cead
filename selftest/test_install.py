"""The installer's decisions; the installation itself is seen on fresh Debian systems."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import install

NGINX = "/etc/systemd/system/multi-user.target.wants/nginx.service"
SSH_ALIAS = "/etc/systemd/system/sshd.service"
SSH = "/etc/systemd/system/multi-user.target.wants/ssh.service"
KEYGEN = "/etc/systemd/system/ssh.service.wants/sshd-keygen.service"
UNITS = "/lib/systemd/system"


def _need(*programs: str) -> install.Need:
    return install.Need("thing", "a reason", programs, "thing-deb", "thing-brew", "thing-rpm")


def test_what_is_there_is_not_missing(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "postgres"
    program.parent.mkdir()
    program.touch()
    here, elsewhere = _need(f"{tmp_path}/*/postgres"), _need("no-such-program", f"{tmp_path}/*/mysqld")
    assert install.missing([here, elsewhere, _need("sh")]) == [elsewhere]


def test_every_package_is_announced_with_its_reason() -> None:
    text = install.announcement(install.NEEDS)
    assert all(need.debian in text and need.why in text for need in install.NEEDS)


@pytest.mark.parametrize(
    ("system", "hint"),
    [
        ("darwin", "brew install thing-brew"),
        ("fedora", "dnf install thing-rpm"),
        ("freebsd14", "from the system's package manager"),
    ],
)
def test_other_systems_are_told_how_to_get_what_is_missing(system: str, hint: str) -> None:
    text = install.instructions([_need("x")], system)
    assert "thing (a reason)" in text
    assert hint in text


@pytest.mark.parametrize(
    ("os_release", "platform", "family"),
    [
        ("ID=debian\n", "linux", "debian"),
        ('ID=ubuntu\nID_LIKE="debian"\n', "linux", "debian"),
        ('ID="rhel"\nID_LIKE="fedora"\n', "linux", "fedora"),
        ("ID=arch\n", "linux", "linux"),
        ("", "darwin", "darwin"),
    ],
)
def test_system_family(os_release: str, platform: str, family: str) -> None:
    assert install.system_family(os_release, platform) == family


def test_only_what_became_enabled_is_disabled() -> None:
    before = {SSH: f"{UNITS}/ssh.service"}
    after = {**before, NGINX: f"{UNITS}/nginx.service", "/etc/rc2.d/S01nginx": "../init.d/nginx"}
    assert install.newly_enabled(before, after) == ["/etc/rc2.d/S01nginx", NGINX]


def test_what_was_enabled_before_keeps_a_link_that_an_upgrade_brought() -> None:
    before = {SSH: f"{UNITS}/ssh.service"}
    after = {**before, KEYGEN: f"{UNITS}/sshd-keygen.service", SSH_ALIAS: f"{UNITS}/ssh.service"}
    assert install.newly_enabled(before, after) == []


def test_disabling_removes_a_unit_link_and_turns_a_start_link_into_a_stop_link(tmp_path: Path) -> None:
    wants, runlevel = tmp_path / "multi-user.target.wants", tmp_path / "rc2.d"
    wants.mkdir()
    runlevel.mkdir()
    (wants / "nginx.service").symlink_to(f"{UNITS}/nginx.service")
    (runlevel / "S01nginx").symlink_to("../init.d/nginx")
    install.disable(str(wants / "nginx.service"))
    install.disable(str(runlevel / "S01nginx"))
    assert not list(wants.iterdir())
    assert [path.name for path in runlevel.iterdir()] == ["K01nginx"]


@pytest.fixture
def policy_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(install, "SAVED_POLICY", tmp_path / "policy-rc.d.saved")
    return tmp_path / "policy-rc.d"


def _asked(policy: Path) -> int:
    return subprocess.run([policy, "nginx", "start"], check=False).returncode


def test_nothing_may_start_during_the_installation_only(policy_file: Path) -> None:
    with install.nothing_starts():
        assert _asked(policy_file) == 101
    assert not policy_file.exists()


def test_an_existing_policy_is_kept_also_when_the_installation_fails(policy_file: Path) -> None:
    policy_file.write_text("#!/bin/sh\nexit 42\n", encoding="ascii")
    policy_file.chmod(0o755)

    with pytest.raises(install.InstallError), install.nothing_starts():
        raise install.InstallError
    assert _asked(policy_file) == 42
    assert list(policy_file.parent.iterdir()) == [policy_file]


def test_a_policy_left_by_a_killed_installation_refuses_nothing(policy_file: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    policy_file.write_text(install.policy(ended.pid), encoding="ascii")
    policy_file.chmod(0o755)
    assert _asked(policy_file) == 0
