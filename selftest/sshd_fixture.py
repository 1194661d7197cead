"""A throwaway sshd for self-tests, with its own accounts where it runs as root.

As root everything runs in a private mount namespace (`unshare -m`) with an own passwd, group, shadow
and sudoers, so that su and sudo are real and nothing of the machine changes. As an ordinary user
sshd logs that user in.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from acceptance.target import Privilege, Server, Tools

AS_ROOT = os.geteuid() == 0

ACCOUNTS = {
    "stefan": "ALL=(ALL:ALL) ALL",
    "nora": "ALL=(ALL:ALL) NOPASSWD: ALL",
    "otto": "ALL=(ALL:ALL) PASSWD: ALL, NOPASSWD: /bin/sh",
    "nina": "",
}
"""Login accounts of the namespace and what sudoers grants them."""

_SU_WRAPPER = """\
#!/bin/sh
echo called >>{log}
exec {real} "$@"
"""

_SSHD = """\
ListenAddress {address}:{port}
HostKey {root}/host_key
PidFile {root}/sshd.pid
AuthorizedKeysFile {root}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
PrintMotd yes
Banner {root}/banner
"""


@dataclass(frozen=True)
class Sshd:
    """A running sshd and what a client needs to know.

    Attributes:
        attempts: the file to which the wrapper of su appends a line per call.
    """

    root: str
    address: str
    port: int
    user: str
    host_key: str
    login_password: str
    root_password: str

    @property
    def log(self) -> str:
        """sshd's own log."""
        return (Path(self.root) / "sshd.log").read_text(encoding="utf-8", errors="replace")

    @property
    def logins(self) -> int:
        """How many logins sshd accepted."""
        return self.log.count("Accepted publickey")

    @property
    def su_calls(self) -> int:
        """How often su was started."""
        path = Path(self.root) / "shared" / "su.log"
        return path.read_text(encoding="utf-8").count("called") if path.exists() else 0

    def server(
        self,
        method: Literal["none", "su", "sudo"] = "none",
        *,
        user: str = "",
        port: int = 0,
        host_key: str = "",
        identity: str = "",
        timeout_s: float = 20,
    ) -> Server:
        """Describe it as a target's server."""
        return Server(
            address=self.address,
            port=port or self.port,
            user=user or self.user,
            identity=identity or f"{self.root}/client_key",
            host_key=host_key or self.host_key,
            privilege=Privilege(method=method),
            tools=Tools(su=f"{self.root}/su"),
            timeout_s=timeout_s,
        )


def free_port(address: str) -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def new_key(path: Path) -> str:
    """Make an ed25519 key pair and return the public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text(encoding="utf-8").strip()


@contextlib.contextmanager
def running_sshd(settings: str = "") -> Iterator[Sshd]:
    """Run a throwaway sshd while the block lasts, with `settings` added to its configuration."""
    root = Path(tempfile.mkdtemp(prefix="selftest-sshd-"))
    try:
        sshd = _prepare(root, settings)
        command = [sys.executable, "-m", "selftest.sshd_fixture", str(root)]
        prefix = ["unshare", "-m"] if AS_ROOT else []
        keeper = subprocess.Popen(
            [*prefix, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        try:
            assert keeper.stdout.readline() == b"ready\n", "sshd did not start"
            yield sshd
        finally:
            keeper.stdin.close()
            keeper.wait(timeout=10)
            keeper.stdout.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _prepare(root: Path, more: str) -> Sshd:
    root.chmod(0o755)
    address = f"127.78.{1 + secrets.randbelow(250)}.{1 + secrets.randbelow(250)}"
    shared = root / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (root / "authorized_keys").write_text(new_key(root / "client_key") + "\n", encoding="utf-8")
    (root / "banner").write_text(
        "Authorised use only\nPermission denied (this is a banner)\n", encoding="utf-8"
    )
    wrapper = root / "su"
    real = shutil.which("su") or "/bin/su"
    wrapper.write_text(_SU_WRAPPER.format(log=shared / "su.log", real=real), encoding="utf-8")
    wrapper.chmod(0o755)
    sshd = Sshd(
        root=str(root),
        address=address,
        port=free_port(address),
        user="stefan" if AS_ROOT else getpass.getuser(),
        host_key=new_key(root / "host_key"),
        login_password=secrets.token_hex(12),
        root_password=f"it's; exit 3 # {secrets.token_hex(8)}",
    )
    (root / "sshd.json").write_text(json.dumps(asdict(sshd)), encoding="utf-8")
    (root / "sshd.json").chmod(0o600)
    settings = _SSHD.format(address=address, port=sshd.port, root=root)
    (root / "sshd_config").write_text(settings + more, encoding="utf-8")
    return sshd


def _hash(password: str) -> str:
    done = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password.encode(), stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode().strip()


def _own_accounts(sshd: Sshd) -> None:
    root = Path(sshd.root)
    home = root / "home"
    home.mkdir(mode=0o755)
    passwd = ["root:x:0:0:root:/root:/bin/bash", f"sshd:x:61074:65534::{home}:/usr/sbin/nologin"]
    group = ["root:x:0:", "nogroup:x:65534:"]
    shadow = [f"root:{_hash(sshd.root_password)}:19000:0:99999:7:::", "sshd:*:19000:0:99999:7:::"]
    sudoers = ["Defaults lecture=never, !mail_badpass, passwd_tries=3", "root ALL=(ALL:ALL) ALL"]
    for number, (name, rule) in enumerate(ACCOUNTS.items(), start=61000):
        passwd.append(f"{name}:x:{number}:{number}::{home}:/bin/bash")
        group.append(f"{name}:x:{number}:")
        shadow.append(f"{name}:{_hash(sshd.login_password)}:19000:0:99999:7:::")
        sudoers += [f"{name} {rule}"] if rule else []
    for name, lines, mode in (
        ("passwd", passwd, 0o644),
        ("group", group, 0o644),
        ("shadow", shadow, 0o640),
        ("sudoers", sudoers, 0o440),
    ):
        path = root / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        path.chmod(mode)
        subprocess.run(["mount", "--bind", str(path), f"/etc/{name}"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    Path("/run/sshd").mkdir(mode=0o755)


def _keep(root: Path) -> None:
    """Run sshd until standard input ends."""
    sshd = Sshd(**json.loads((root / "sshd.json").read_text(encoding="utf-8")))
    if AS_ROOT:
        _own_accounts(sshd)
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "/usr/sbin/sshd"
    process = subprocess.Popen(
        [program, "-D", "-f", str(root / "sshd_config"), "-E", str(root / "sshd.log")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((sshd.address, sshd.port), 1):
                print("ready", flush=True)  # noqa: T201
                sys.stdin.read()
                return
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
