"""What testinfra's modules may ask the server: their own command texts, and what is run instead.

The right side answers the same question with the same exit codes, but where it cannot tell it says
so: testinfra's own `test -e` calls a file below a directory that may not be searched absent.
The left side is that of pytest-testinfra 10.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from acceptance.guard.commands import Command
from acceptance.guard.parameters import fixed, many


@dataclass(frozen=True)
class Shape:
    """One command text of testinfra's.

    Attributes:
        command: what is run instead, with the text's arguments as positional parameters.
        codes: the exit codes that are an answer; every other one is UNKNOWN.
        as_root: the same with root's rights, used where privilege works; None if it makes no difference.
        tool: a program of the target file whose path becomes the first parameter.
        program: the only program that the text's first argument may name.
    """

    command: Command
    codes: tuple[int, ...] = (0,)
    as_root: Command | None = None
    tool: str = ""
    program: str = ""


def _plain(name: str, script: str, purpose: str, *codes: int, tool: str = "", program: str = "") -> Shape:
    asked = many("what the module asks about", r"[^\0]*")
    parameters = (fixed(f"server.tools.{tool}"), asked) if tool else (asked,)
    command = Command(name=f"testinfra-{name}", script=script, purpose=purpose, parameters=parameters)
    return Shape(command, codes or (0,), tool=tool, program=program)


def _rooted(name: str, script: str, purpose: str, *codes: int) -> Shape:
    shape = _plain(name, script, purpose, *codes)
    as_root = replace(shape.command, name=f"{shape.command.name}-as-root", privileged=True)
    return replace(shape, as_root=as_root)


def _kind(flag: str, what: str) -> Shape:
    follow = "" if flag == "L" else "-L"
    script = f"""
if test -{flag} "$1"; then exit 0; fi
message=$(stat {follow} -- "$1" 2>&1 >/dev/null)
case $message in
  '' | *': No such file or directory' | *': Not a directory') exit 1 ;;
  *': Too many levels of symbolic links') exit 1 ;;
esac
printf '%s\\n' "$message" >&2
exit 126
"""
    return _rooted(f"file-{what}", script, f"see whether a path is there ({what})", 0, 1)


def _stat(letter: str, what: str) -> Shape:
    return _rooted(f"file-{what}", f'stat -Lc %{letter} -- "$1"', f"read a file's {what}", 0, 1)


def _digest(program: str) -> Shape:
    script = f'sum=$({program} <"$1") || exit 1; printf "%s\\n" "${{sum%% *}}"'
    return _rooted(f"file-{program}", script, "read a file's digest", 0, 1)


def _id(option: str) -> Shape:
    return _plain(f"id{option}", f'id {option} -- "$1"', "see an account", 0, 1)


def _sockets(options: str) -> Shape:
    name = f"sockets{options}".replace(" --", "-").replace("--", "-")
    script = f"PATH=$PATH:/usr/sbin:/sbin; exec ss {options}"
    return _plain(name, script, "see which ports are listened on and used", program="ss")


_SYSTEMCTL_EXISTS = r"""
units=$("$1" list-unit-files) || exit 126
printf '%s\n' "$units" | grep -q -- "^$2"
"""
_GROUP_FIELD = 'line=$(getent group -- "$1") || exit; printf \'%s\\n\' "$line" | cut -d: -f'

SHAPES: dict[str, Shape] = {
    "uname -s": _plain("uname-s", "uname -s", "see the operating system"),
    "uname -r": _plain("uname-r", "uname -r", "see the kernel's release"),
    "uname -m": _plain("uname-m", "uname -m", "see the architecture"),
    "cat /etc/os-release": _plain("os-release", "cat /etc/os-release", "see the distribution", 0, 1),
    "cat /proc/mounts": _plain("mounts", "cat /proc/mounts", "see what is mounted"),
    "command -v command": _plain("command-v", "command -v command", "see how programs are found"),
    "command -v %s": _plain(
        "find-command", 'command -v "$1" || exit 1', "see whether a program is there", 0, 1
    ),
    "test -e %s": _kind("e", "exists"),
    "test -f %s": _kind("f", "is-file"),
    "test -d %s": _kind("d", "is-directory"),
    "test -x %s": _kind("x", "is-executable"),
    "test -p %s": _kind("p", "is-pipe"),
    "test -S %s": _kind("S", "is-socket"),
    "test -L %s": _kind("L", "is-symlink"),
    "realpath %s": _rooted("file-realpath", 'realpath -- "$1"', "see where a link leads", 0, 1),
    "readlink -f %s": _rooted("file-readlink", 'readlink -f -- "$1"', "see where a link leads", 0, 1),
    "stat -Lc %%U %s": _stat("U", "user"),
    "stat -Lc %%u %s": _stat("u", "uid"),
    "stat -Lc %%G %s": _stat("G", "group"),
    "stat -Lc %%g %s": _stat("g", "gid"),
    "stat -Lc %%a %s": _stat("a", "mode"),
    "stat -Lc %%Y %s": _stat("Y", "mtime"),
    "stat -Lc %%s %s": _stat("s", "size"),
    "stat -Lc %%i %s": _stat("i", "inode"),
    "md5sum %s | cut -d' ' -f1": _digest("md5sum"),
    "sha256sum %s | cut -d ' ' -f 1": _digest("sha256sum"),
    "cat -- %s": _rooted("file-content", 'cat -- "$1"', "read a file", 0, 1),
    "grep -qs -- %s %s": _rooted("file-contains", 'grep -q -- "$1" "$2"', "search a file", 0, 1, 2),
    "ls -1 -q -- %s": _rooted("file-listdir", 'ls -1 -q -- "$1"', "list a directory", 0, 1, 2),
    "systemctl is-active %s": _plain(
        "service-is-running",
        'exec "$1" is-active "$2"',
        "see whether a service runs",
        0,
        3,
        4,
        tool="systemctl",
    ),
    "systemctl is-enabled %s": _plain(
        "service-is-enabled",
        'exec "$1" is-enabled "$2"',
        "see whether a service starts at boot",
        0,
        1,
        4,
        tool="systemctl",
    ),
    "systemctl show %s": _plain(
        "service-properties", 'exec "$1" show "$2"', "read a service's properties", tool="systemctl"
    ),
    'systemctl list-unit-files | grep -q "^%s"': _plain(
        "service-exists", _SYSTEMCTL_EXISTS, "see whether a service is there", 0, 1, tool="systemctl"
    ),
    "find -L /etc/rc?.d/ -name %s": _plain(
        "service-rc-links",
        'find -L /etc/rc?.d/ -name "$1"',
        "see whether an old-style service starts at boot",
    ),
    "ps -Aww -o %s": _rooted("processes", 'ps -Aww -o "$1"', "see what runs"),
    "ps -ww -p %s -o lstart,%s": _rooted("process", 'ps -ww -p "$1" -o "lstart,$2"', "see one process", 0, 1),
    "dpkg-query -f '${Status}' -W %s": _plain(
        "package-status", "dpkg-query -f '${Status}' -W -- \"$1\"", "see whether a package is installed", 0, 1
    ),
    "dpkg-query -f '${Status} ${Version}' -W %s": _plain(
        "package-version",
        "dpkg-query -f '${Status} ${Version}' -W -- \"$1\"",
        "see a package's version",
        0,
        1,
    ),
    "id -nu": _plain("whoami", "id -nu", "see the login's own name"),
    "id %s": _id(""),
    "id -u %s": _id("-u"),
    "id -g %s": _id("-g"),
    "id -G %s": _id("-G"),
    "id -ng %s": _id("-ng"),
    "id -nG %s": _id("-nG"),
    "getent passwd %s": _plain("user-entry", 'getent passwd -- "$1"', "see an account", 0, 2),
    "getent group %s": _plain("group-entry", 'getent group -- "$1"', "see a group", 0, 2),
    "getent group %s | cut -d':' -f3": _plain("group-id", f"{_GROUP_FIELD}3", "see a group's number", 0, 2),
    "getent group %s | cut -d':' -f4": _plain(
        "group-members", f"{_GROUP_FIELD}4", "see a group's members", 0, 2
    ),
} | {
    f"%s {options}": _sockets(options)
    for side in ("--listening", "--all")
    for options in (f"--numeric {side}{protocol}" for protocol in ("", " --tcp", " --udp", " --unix"))
}
"""testinfra's command texts and what is run instead; everything else is refused."""

COMMANDS: tuple[Command, ...] = tuple(
    command for shape in SHAPES.values() for command in (shape.command, shape.as_root) if command is not None
)
"""All commands that testinfra's modules may run, for the guard and the printed list."""
