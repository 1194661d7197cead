"""The versions that the `docker` stand-in reports: Debian 12's, as recorded."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

VERSION = "20.10.24+dfsg1"

_BUILT = "Thu May  7 21:09:36 2026"

CLIENT: Document = {
    "Platform": {"Name": ""},
    "Version": VERSION,
    "ApiVersion": "1.41",
    "DefaultAPIVersion": "1.41",
    "GitCommit": "297e128",
    "GoVersion": "go1.19.8",
    "Os": "linux",
    "Arch": "amd64",
    "BuildTime": _BUILT,
    "Context": "default",
    "Experimental": True,
}

COMPOSE = "2.24.5"
NO_COMPOSE = "docker: 'compose' is not a docker command.\nSee 'docker --help'\n"

CLIENT_TEXT = f"""\
Client:
 Version:           {VERSION}
 API version:       1.41
 Go version:        go1.19.8
 Git commit:        297e128
 Built:             {_BUILT}
 OS/Arch:           linux/amd64
 Context:           default
 Experimental:      true
"""

SERVER_TEXT = f"""
Server:
 Engine:
  Version:          {VERSION}
  API version:      1.41 (minimum version 1.12)
  Go version:       go1.19.8
  Git commit:       5d6db84
  Built:            {_BUILT}
  OS/Arch:          linux/amd64
  Experimental:     false
 containerd:
  Version:          1.6.20~ds1
  GitCommit:        1.6.20~ds1-1+deb12u3
 runc:
  Version:          1.1.5+ds1
  GitCommit:        1.1.5+ds1-1+deb12u1
 docker-init:
  Version:          0.19.0
  GitCommit:        
"""  # noqa: W291


def compose(*, short: bool) -> str:
    """Return what `docker compose version` prints."""
    return f"{COMPOSE}\n" if short else f"Docker Compose version v{COMPOSE}\n"


def server(kernel: str) -> Document:
    """Return the engine's half of `docker version`."""
    details = {
        "ApiVersion": "1.41",
        "Arch": "amd64",
        "BuildTime": _BUILT,
        "Experimental": "false",
        "GitCommit": "5d6db84",
        "GoVersion": "go1.19.8",
        "KernelVersion": kernel,
        "MinAPIVersion": "1.12",
        "Os": "linux",
    }
    others = (
        ("containerd", "1.6.20~ds1", "1.6.20~ds1-1+deb12u3"),
        ("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1"),
        ("docker-init", "0.19.0", ""),
    )
    return {
        "Platform": {"Name": ""},
        "Components": [{"Name": "Engine", "Version": VERSION, "Details": details}]
        + [
            {"Name": name, "Version": number, "Details": {"GitCommit": commit}}
            for name, number, commit in others
        ],
        "Version": VERSION,
        "ApiVersion": "1.41",
        "MinAPIVersion": "1.12",
        "GitCommit": "5d6db84",
        "GoVersion": "go1.19.8",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": kernel,
        "BuildTime": "2026-05-07T21:09:36.000000000+00:00",
    }
