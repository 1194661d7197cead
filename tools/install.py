"""Installs the real servers that the rehearsal runs, and leaves none of them running.

On Debian (and systems made from it) what is missing comes from the system's package manager, after
saying what and why. Installing a server package there normally starts the server, enables it at boot
and creates a database cluster; here none of that happens, and whatever was running or enabled before
stays as it was. On another system the script only names what is missing and ends with exit code 4.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

USAGE = 4

POLICY = Path("/usr/sbin/policy-rc.d")
SAVED_POLICY = Path("/usr/sbin/policy-rc.d.before-rehearsal")
CLUSTER_DEFAULTS = Path("/etc/postgresql-common/createcluster.d/no-cluster-for-rehearsal.conf")
BOOT_LINKS = (
    "/etc/systemd/system/*.wants/*",
    "/etc/systemd/system/*.requires/*",
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.socket",
    "/etc/systemd/system/*.timer",
    "/etc/rc[2-5].d/S*",
)
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class InstallError(Exception):
    """The servers cannot be installed; the message says what to do."""


@dataclass(frozen=True)
class Need:
    """A program that the rehearsal needs.

    Attributes:
        name: what it is called.
        why: what the rehearsal does with it.
        programs: any of these, found on PATH (sbin included) or as a pattern of paths, will do.
        debian: the package that brings it on Debian.
        brew: the formula or cask that brings it on macOS.
        fedora: the package that brings it on Fedora.
    """

    name: str
    why: str
    programs: tuple[str, ...]
    debian: str
    brew: str
    fedora: str


NEEDS = (
    Need("nginx", "the reverse proxy under test", ("nginx",), "nginx", "nginx", "nginx"),
    Need(
        "OpenSSH server",
        "the way into the rehearsed server",
        ("sshd",),
        "openssh-server",
        "openssh",
        "openssh-server",
    ),
    Need(
        "OpenSSH client",
        "the suite's only way into a server",
        ("ssh",),
        "openssh-client",
        "openssh",
        "openssh-clients",
    ),
    Need(
        "PostgreSQL server",
        "the CRM's database",
        ("postgres", "/usr/lib/postgresql/*/bin/postgres", "/opt/homebrew/opt/postgresql*/bin/postgres"),
        "postgresql",
        "postgresql",
        "postgresql-server",
    ),
    Need(
        "Redis",
        "the CRM's queues and its realtime adapter",
        ("redis-server",),
        "redis-server",
        "redis",
        "redis",
    ),
    Need(
        "container registry",
        "real manifests, so that image digests are real",
        ("docker-registry", "registry"),
        "docker-registry",
        "distribution",
        "distribution",
    ),
    Need(
        "Chromium",
        "the browser that renders the CRM's pages",
        (
            "chromium",
            "chromium-browser",
            "google-chrome",
            "/Applications/Chromium.app/Contents/MacOS/Chromium",
        ),
        "chromium",
        "--cask chromium",
        "chromium",
    ),
    Need(
        "OpenSSL",
        "hashes the passwords of the rehearsed accounts",
        ("openssl",),
        "openssl",
        "openssl",
        "openssl",
    ),
    Need("sudo", "one of the two ways up to root that are rehearsed", ("sudo",), "sudo", "sudo", "sudo"),
)


def missing(needs: Iterable[Need]) -> list[Need]:
    """Return the needs that this machine does not meet yet."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *SBIN])
    return [need for need in needs if not any(_exists(program, search) for program in need.programs)]


def matches(pattern: str) -> list[Path]:
    """Return the paths that match an absolute pattern."""
    return list(Path("/").glob(pattern.removeprefix("/")))


def _exists(program: str, search: str) -> bool:
    if "/" in program:
        return bool(matches(program))
    return shutil.which(program, path=search) is not None


def venv_need(executable: str) -> Need | None:
    """Return what Python itself lacks to make a virtual environment; None if it lacks nothing.

    Debian splits the module `ensurepip` off into a package of its own, one for each Python version.
    """
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return None
    name = Path(executable).name
    package = f"{name}-venv" if name.startswith("python3") else "python3-venv"
    return Need(
        "Python's venv module", "the suite's own environment in .venv", (), package, "python", "python3"
    )


def announcement(needs: Iterable[Need]) -> str:
    """Say what will be installed and why."""
    lines = [f"  {need.debian:<16} {need.name}: {need.why}" for need in needs]
    return (
        "The rehearsal runs real servers. These Debian packages are missing and will be installed now;\n"
        "nothing of them is started, enabled at boot or given a database cluster:\n" + "\n".join(lines)
    )


def instructions(needs: Iterable[Need], system: str) -> str:
    """Say what is missing and how to get it on a system whose package manager is left to its owner.

    Args:
        needs: what is missing.
        system: `darwin`, `fedora` or anything else.
    """
    lines = []
    for need in needs:
        hint = {"darwin": f"brew install {need.brew}", "fedora": f"dnf install {need.fedora}"}.get(
            system, "from the system's package manager"
        )
        lines.append(f"  {need.name} ({need.why}): {hint}")
    return "The rehearsal runs real servers. Install what is missing, then try again:\n" + "\n".join(lines)


def system_family(os_release: str, platform: str) -> str:
    """Return `debian`, `fedora`, `darwin` or the platform's name.

    Args:
        os_release: the text of /etc/os-release; empty where there is none.
        platform: `sys.platform`.
    """
    if platform != "linux":
        return platform
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    names = " ".join(fields.get(key, "").strip("\"'") for key in ("ID", "ID_LIKE")).split()
    return next((family for family in ("debian", "fedora") if family in names), platform)


def boot_links() -> dict[str, str]:
    """Return every link by which something starts at boot, with what it points to."""
    links = (path for pattern in BOOT_LINKS for path in matches(pattern))
    return {str(path): str(path.readlink()) for path in links if path.is_symlink()}


def newly_enabled(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the links that came in between, by which something would start at boot.

    What was enabled before keeps all its links, also a new one that an upgrade of it brought.
    """
    enabled = {name for link, target in before.items() for name in (Path(link).name, Path(target).name)}
    return sorted(
        link
        for link, target in after.items()
        if link not in before and not {Path(target).name, Path(link).parent.stem} & enabled
    )


def disable(link: str) -> None:
    """Undo one boot link as `systemctl disable` and `update-rc.d … disable` do.

    Both leave a trace by which a later upgrade of the package does not enable it again: the missing
    link itself in systemd's case (deb-systemd-helper remembers that there was one), a K link in the
    other.
    """
    path = Path(link)
    if path.parent.name.startswith("rc"):
        path.rename(path.with_name(f"K{path.name[1:]}"))
    else:
        path.unlink()


def clusters() -> set[tuple[str, str]]:
    """Return version and name of every PostgreSQL cluster of this machine."""
    program = shutil.which("pg_lsclusters")
    if program is None:
        return set()
    listing = _output(program, "--no-header")
    return {(line.split()[0], line.split()[1]) for line in listing.splitlines() if line.strip()}


@contextmanager
def nothing_starts() -> Iterator[None]:
    """Forbid package scripts to start services while the block runs.

    The policy file refuses only as long as this process lives, so that not even a kill leaves the
    machine unable to start its services. A policy file that was there before is kept.
    """
    _restore_policy()
    if os.path.lexists(POLICY):
        POLICY.rename(SAVED_POLICY)
    POLICY.write_text(policy(os.getpid()), encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
        _restore_policy()


def policy(pid: int) -> str:
    """Return a policy-rc.d that refuses everything while the process lives, and afterwards steps aside."""
    return (
        "#!/bin/sh\n"
        "# Temporary: keeps servers that are installed for a rehearsal from starting.\n"
        f"[ -d /proc/{pid} ] && exit 101\n"
        f'[ -x {SAVED_POLICY} ] && exec {SAVED_POLICY} "$@"\n'
        "exit 0\n"
    )


def _restore_policy() -> None:
    if os.path.lexists(SAVED_POLICY):
        SAVED_POLICY.replace(POLICY)


@contextmanager
def no_cluster() -> Iterator[None]:
    """Keep the PostgreSQL package from creating a cluster while the block runs."""
    CLUSTER_DEFAULTS.parent.mkdir(parents=True, exist_ok=True)
    CLUSTER_DEFAULTS.write_text("create_main_cluster = false\n", encoding="ascii")
    try:
        yield
    finally:
        CLUSTER_DEFAULTS.unlink(missing_ok=True)


def install(packages: list[str]) -> None:
    """Install Debian packages as root without starting or enabling anything.

    Raises:
        InstallError: apt-get failed.
    """
    links, databases = boot_links(), clusters()
    with ExitStack() as stack:
        stack.callback(_settle, links, databases)
        stack.enter_context(nothing_starts())
        stack.enter_context(no_cluster())
        if not matches("/var/lib/apt/lists/*_Packages*"):
            _run("apt-get", "update")
        _apt_install(packages)


def _apt_install(packages: list[str]) -> None:
    command = (
        "apt-get",
        "install",
        "--yes",
        "--no-install-recommends",
        "--no-remove",
        "--option=Dpkg::Options::=--force-confdef",
        "--option=Dpkg::Options::=--force-confold",
        *packages,
    )
    try:
        _run(*command)
    except InstallError:
        _run("apt-get", "update")
        _run(*command)


def _settle(links: Mapping[str, str], databases: set[tuple[str, str]]) -> None:
    for version, name in clusters() - databases:
        _run("pg_dropcluster", "--stop", version, name)
    new = newly_enabled(links, boot_links())
    for link in new:
        disable(link)
    if new and Path("/run/systemd/system").is_dir():
        _run("systemctl", "daemon-reload")


def _run(*command: str) -> None:
    environment = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "NEEDRESTART_SUSPEND": "1",
        "PATH": os.pathsep.join([os.environ.get("PATH", ""), *SBIN]),
    }
    ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode != 0:
        raise InstallError(f"`{' '.join(command)}` failed with exit code {ended.returncode}; see above.")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def ensure(needs: list[Need]) -> None:
    """Install what is missing, or say how.

    Raises:
        InstallError: it is up to the user; the message says what to do.
    """
    release = Path("/etc/os-release")
    family = system_family(release.read_text(encoding="utf-8") if release.exists() else "", sys.platform)
    if family != "debian" or shutil.which("apt-get") is None:
        raise InstallError(instructions(needs, family))
    print(announcement(needs), flush=True)
    packages = [need.debian for need in needs]
    if os.geteuid() == 0:
        install(packages)
        left = [need.name for need in missing(NEEDS)]
        if left:
            raise InstallError(f"Still missing after the installation: {', '.join(left)}.")
        return
    if shutil.which("sudo") is None:
        raise InstallError(
            "Installing them needs root, and there is no sudo. As root, run:\n"
            f"  {sys.executable} {Path(__file__).resolve()}"
        )
    print("Installing them needs root, through sudo.", flush=True)
    ended = subprocess.run(["sudo", "--", sys.executable, str(Path(__file__).resolve())], check=False)
    if ended.returncode != 0:
        raise InstallError("The installation through sudo failed; see above.")


def main() -> int:
    """Install what is missing; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    own = venv_need(sys.executable)
    needs = [*missing(NEEDS), *([own] if own else [])]
    if not needs:
        return 0
    try:
        ensure(needs)
    except InstallError as error:
        print(error, file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
