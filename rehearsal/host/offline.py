"""What the `docker` client prints by itself when it cannot reach the engine."""

from __future__ import annotations

from collections.abc import Sequence

from rehearsal.host.arguments import Arguments, Refused, parse
from rehearsal.host.template import TemplateError, render
from rehearsal.host.version import CLIENT, CLIENT_TEXT, compose

_API = {
    "ps": "containers/json",
    "images": "images/json",
    "version": "version",
    "inspect": "containers/{}/json",
    "container inspect": "containers/{}/json",
    "logs": "containers/{}/json",
    "port": "containers/{}/json",
    "image inspect": "images/{}/json",
    "volume inspect": "volumes/{}",
    "network inspect": "networks/{}",
}


def reply(argv: Sequence[str], host: str, *, denied: bool) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error, worded as docker 20.10 does.

    Args:
        argv: without the program's name.
        host: the engine's address, as in DOCKER_HOST.
        denied: True if the socket refused permission, False if nobody listens.
    """
    try:
        arguments = parse(argv)
    except Refused as refused:
        return refused.code, "", refused.stderr
    if arguments.command == "compose version":
        return 0, compose(short="short" in arguments.flags), ""
    if arguments.command == "info":
        return 0, "\n", ""
    name = arguments.names[0] if arguments.names else ""
    if denied:
        escaped = host.removeprefix("unix://").replace("/", "%2F")
        path = _API[arguments.command].format(name)
        stderr = (
            f"permission denied while trying to connect to the Docker daemon socket at {host}: "
            f'Get "http://{escaped}/v1.24/{path}": dial unix {host.removeprefix("unix://")}: '
            "connect: permission denied\n"
        )
    else:
        stderr = f"Cannot connect to the Docker daemon at {host}. Is the docker daemon running?\n"
    return 1, _stdout(arguments), stderr


def _stdout(arguments: Arguments) -> str:
    template = arguments.last("format")
    if arguments.command == "version":
        if template is None:
            return CLIENT_TEXT
        try:
            return render(template, {"Client": CLIENT, "Server": None}) + "\n"
        except TemplateError as failure:
            return failure.before + "\n"
    if arguments.command.endswith("inspect"):
        return "[]\n" if template is None else "\n"
    return ""
