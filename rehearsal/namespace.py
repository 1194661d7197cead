"""As root: a private mount namespace with own accounts, so that nothing of the machine changes."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from rehearsal.site import ACCOUNTS, Account, Site

DOCKER_GROUP = 61099

_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_PRIVATE = {"/run": "0755", "/var/log": "0755", "/var/lib/sudo": "0700", "/dev/shm": "1777"}  # noqa: S108

REPOSITORY = Path(__file__).resolve().parent.parent

_SUDOERS = """\
Defaults env_reset
Defaults use_pty
Defaults lecture=never
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
{login} ALL=(ALL:ALL) ALL
@includedir {directory}
"""


def _libc(name: str, *arguments: object) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def become_subreaper() -> None:
    """Let orphaned descendants become children of this process instead of init's.

    Raises:
        OSError: the kernel refuses.
    """
    _libc("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent(signal_number: int) -> None:
    """Have this process signalled when the thread that started it ends.

    Raises:
        OSError: the kernel refuses.
    """
    _libc("prctl", _PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)


def _mount(source: str | Path, target: str | Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    try:
        _libc(
            "mount", os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags),
            options.encode(),
        )  # fmt: skip
    except OSError as error:
        raise OSError(error.errno, f"mount {source} on {target}: {error.strerror}") from error


def enter(site: Site) -> None:
    """Give this process a private view of the machine and put the rehearsal's accounts into its /etc.

    Raises:
        OSError: the machine does not allow it (a container without CAP_SYS_ADMIN).
    """
    make_private([Path(sys.base_prefix), Path(sys.prefix), REPOSITORY, site.root])
    Path("/run/sshd").mkdir(mode=0o755)
    for name, path in _write_accounts(site).items():
        replace_file(Path("/etc") / name, path)


def make_private(trees: Iterable[Path]) -> None:
    """Unshare this process's mounts and System V IPC.

    In the new namespace /run, /var/log, /var/lib/sudo and /dev/shm are empty and its own, because su,
    sudo, sshd and PostgreSQL leave records there.

    Args:
        trees: directories (interpreter, repository) that keep their paths, but that every account can
            reach even if they lie below a private home directory.

    Raises:
        OSError: the machine does not allow it (a container without CAP_SYS_ADMIN).
    """
    try:
        _libc("unshare", _CLONE_NEWNS | _CLONE_NEWIPC)
    except OSError as error:
        raise OSError(
            error.errno,
            f"root may not create a mount namespace here ({error.strerror}); "
            "run the rehearsal as an ordinary user or allow CAP_SYS_ADMIN",
        ) from error
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)
    _open_up(trees)
    for private, mode in _PRIVATE.items():
        if Path(private).is_dir():
            _mount("tmpfs", private, "tmpfs", options=f"mode={mode}")


def replace_file(path: Path, replacement: Path) -> None:
    """Show another file at a path, in this mount namespace; nothing happens if the path does not exist.

    Raises:
        OSError: it cannot be mounted.
    """
    if path.exists():
        _mount(replacement, path, flags=_MS_BIND)


def _closed(tree: Path) -> Path | None:
    """Return the outermost ancestor of `tree` that others may not pass through."""
    for ancestor in reversed(tree.parents):
        if not ancestor.stat().st_mode & 0o001:
            return ancestor
    return None


def _open_up(trees: Iterable[Path]) -> None:
    handles = {tree: os.open(tree, os.O_PATH) for tree in {tree.resolve() for tree in trees}}
    hidden: set[Path] = set()
    try:
        for tree, handle in sorted(handles.items()):
            closed = _closed(tree)
            if closed is not None:
                _mount("tmpfs", closed, "tmpfs", options="mode=0755")
                hidden.add(closed)
            if not tree.exists():
                tree.mkdir(parents=True)
            if any(tree.is_relative_to(above) for above in hidden):
                _mount(f"/proc/self/fd/{handle}", tree, flags=_MS_BIND | _MS_REC)
    finally:
        for handle in handles.values():
            os.close(handle)


def _write_accounts(site: Site) -> dict[str, Path]:
    directory = site.state / "etc"
    directory.mkdir(parents=True, exist_ok=True)
    names = {account.name for account in ACCOUNTS.values()}
    hashes = _hashes(site)
    passwd = _others("passwd", names) + [_passwd_line(site, account) for account in ACCOUNTS.values()]
    group = _others("group", {*names, "docker"}) + [f"{a.name}:x:{a.gid}:" for a in ACCOUNTS.values()]
    group.append(f"docker:x:{DOCKER_GROUP}:")
    shadow = [
        f"{line.split(':')[0]}:{hashes.get(line.split(':')[0], '*')}:20000:0:99999:7:::" for line in passwd
    ]
    gshadow = [f"{line.split(':')[0]}:*::" for line in group]
    included = directory / "sudoers.d"
    included.mkdir(mode=0o750)
    sudoers = _SUDOERS.format(login=ACCOUNTS["login"].name, directory=included)
    return {
        "passwd": _write(directory / "passwd", passwd, 0o644),
        "group": _write(directory / "group", group, 0o644),
        "shadow": _write(directory / "shadow", shadow, 0o600),
        "gshadow": _write(directory / "gshadow", gshadow, 0o600),
        "sudoers": _write(directory / "sudoers", sudoers.splitlines(), 0o440),
    }


def _write(path: Path, lines: list[str], mode: int) -> Path:
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(mode)
    return path


def _others(database: str, names: set[str]) -> list[str]:
    lines = (Path("/etc") / database).read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if ":" in line and line.split(":")[0] not in names]


def home(site: Site, account: Account) -> Path:
    """Return the home directory of an account of the rehearsal's server."""
    return site.host / ("root" if account.uid == 0 else f"home/{account.name}")


def _passwd_line(site: Site, account: Account) -> str:
    shell = "/bin/bash" if account.name in ("root", ACCOUNTS["login"].name) else "/usr/sbin/nologin"
    return f"{account.name}:x:{account.uid}:{account.gid}::{home(site, account)}:{shell}"


def _hashes(site: Site) -> dict[str, str]:
    passwords = {
        "root": site.credentials.root_password,
        ACCOUNTS["login"].name: site.credentials.login_password,
    }
    openssl = shutil.which("openssl")
    if openssl is None:
        raise FileNotFoundError(
            "openssl is not installed; it makes the password hashes of the rehearsal's accounts"
        )
    result = subprocess.run(
        [openssl, "passwd", "-6", "-stdin"],
        input="\n".join(passwords.values()) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(passwords, result.stdout.split(), strict=True))
