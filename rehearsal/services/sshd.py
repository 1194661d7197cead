"""The server's OpenSSH daemon."""

from __future__ import annotations

import contextlib
import pwd
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rehearsal.namespace import home
from rehearsal.runtime.spec import Program
from rehearsal.services.files import accepts, make_directory, write
from rehearsal.site import Site

PORT = 22022
IDENTITY = "id_ed25519"
_HOST_KEY = "ssh_host_ed25519_key"

_CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {directory}/ssh_host_ed25519_key
PidFile {host}/run/sshd.pid
LogLevel VERBOSE
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin no
AllowTcpForwarding yes
X11Forwarding no
PrintMotd no
PrintLastLog no
MaxSessions 10
AcceptEnv LANG LC_*
SetEnv PATH={host}/usr/bin:/usr/local/bin:/usr/bin:/bin
"""


def login(site: Site) -> str:
    """Return the name of the account that logs in.

    Raises:
        KeyError: the ordinary user who runs the rehearsal has no name on this machine.
    """
    account = site.account("login")
    return account.name or pwd.getpwuid(account.uid).pw_name


def prepare(site: Site) -> None:
    """Generate the host key and the user's key, and write the configuration.

    Raises:
        OSError: a file cannot be written.
    """
    make_directory(site.secrets, mode=0o700)
    make_directory(site.host / "run")
    if site.as_root:
        for name in ("login", "root"):
            account = site.account(name)
            make_directory(home(site, account), account=account, mode=0o700)
    _write_key(_directory(site) / _HOST_KEY)
    public = _write_key(site.secrets / IDENTITY)
    write(authorized_keys(site), public)
    write(
        _config(site),
        _CONFIG.format(port=PORT, address=site.address("server"), directory=_directory(site), host=site.host),
    )


def program(site: Site) -> Program:
    """Return the daemon as a program; its log holds the logins.

    Raises:
        OSError: sshd is not installed.
    """
    binary = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if binary is None:
        raise OSError("the OpenSSH server is not installed; `make rehearsal` installs it")
    return Program(
        name="sshd",
        argv=(binary, "-D", "-e", "-f", str(_config(site))),
        account=site.account("root"),
        log=log(site),
        ready=lambda: accepts(site.address("server"), PORT),
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        unit="ssh",
        reload=signal.SIGHUP,
    )


def log(site: Site) -> Path:
    """Return the daemon's log file."""
    return site.host / "var/log/auth.log"


def logins(site: Site) -> int:
    """Return how many logins succeeded since the daemon first started.

    Raises:
        OSError: the log cannot be read.
    """
    return log(site).read_text(errors="replace").count("Accepted publickey")


def host_key(site: Site) -> str:
    """Return the public host key to pin, `ssh-ed25519 AAAA…`.

    Raises:
        OSError: it was not generated.
    """
    return (_directory(site) / f"{_HOST_KEY}.pub").read_text().strip()


def authorized_keys(site: Site) -> Path:
    """Return the file with the keys that may log in."""
    return _directory(site) / "authorized_keys"


@contextlib.contextmanager
def another_host_key(site: Site) -> Iterator[None]:
    """Replace the host key for a while; a daemon that is started then presents another one."""
    own = _directory(site) / _HOST_KEY
    kept = {path: path.read_bytes() for path in (own, own.with_name(f"{own.name}.pub"))}
    _write_key(own)
    try:
        yield
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


def _directory(site: Site) -> Path:
    return site.host / "etc" / "ssh"


def _config(site: Site) -> Path:
    return _directory(site) / "sshd_config"


def _write_key(path: Path) -> str:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    write(path, private, mode=0o600)
    line = f"{public.decode()}\n"
    write(path.with_name(f"{path.name}.pub"), line)
    return line
