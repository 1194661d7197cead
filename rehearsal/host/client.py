"""The process behind `docker` and `systemctl` on the rehearsal's server.

It is run by path with the standard library alone, by any account: it hands its arguments to the
daemon's socket and prints what comes back, in order and on the right stream.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

REGISTRIES = "registries.json"
"""Beside the socket: where the registries are, for what the client does by itself."""

_END = 0
_NO_SYSTEMD = (
    "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    "Failed to connect to bus: Host is down\n"
)


def _exchange(path: str, argv: list[str]) -> int:
    """Send the arguments, print the answer and return the exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        request = b"\0".join(os.fsencode(word) for word in argv)
        connection.sendall(struct.pack("!II", len(argv), len(request)) + request)
        with connection.makefile("rb") as answer:
            while header := answer.read(5):
                stream, length = struct.unpack("!BI", header)
                if stream == _END:
                    return int(length)
                output = sys.stdout if stream == 1 else sys.stderr
                output.buffer.write(answer.read(length))
                output.flush()
    return 1


def _unreachable(tool: str, argv: list[str], host: str, error: OSError) -> int:
    """Print what the real tool prints without its daemon, and return the exit code."""
    if tool == "systemctl":
        sys.stderr.write(_NO_SYSTEMD)
        return 1
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from rehearsal.host import offline  # noqa: PLC0415 - needed in this rare case only

    code, stdout, stderr = offline.reply(argv, host, denied=isinstance(error, PermissionError))
    sys.stdout.write(stdout)
    sys.stdout.flush()
    sys.stderr.write(stderr)
    return code


def _manifest(argv: list[str], registries: Path) -> int:
    """Do what the real client does without its daemon."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from rehearsal.host import manifest  # noqa: PLC0415 - needed for this command only

    code, stdout, stderr = manifest.reply(argv, registries)
    sys.stdout.write(stdout)
    sys.stdout.flush()
    sys.stderr.write(stderr)
    return code


def main(path: str, tool: str, argv: list[str]) -> int:
    """Run one command.

    Args:
        path: the daemon's socket.
        tool: `docker` or `systemctl`.
        argv: the command's arguments.
    """
    if tool == "docker" and argv[:2] == ["manifest", "inspect"]:
        return _manifest(argv[2:], Path(path).with_name(REGISTRIES))
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock") if tool == "docker" else ""
    if host and "DOCKER_HOST" in os.environ:
        path = host.removeprefix("unix://") if host.startswith("unix://") else "/nonexistent"
    try:
        return _exchange(path, argv)
    except BrokenPipeError:
        return 1
    except OSError as error:
        return _unreachable(tool, argv, host, error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
