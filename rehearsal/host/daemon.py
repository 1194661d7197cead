"""Puts `docker` and `systemctl` on the rehearsal's server and answers them over unix sockets."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rehearsal.host import client
from rehearsal.host.arguments import Refused
from rehearsal.host.docker import STDERR, STDOUT, Engine, Frame
from rehearsal.host.systemctl import Systemctl
from rehearsal.namespace import DOCKER_GROUP
from rehearsal.runtime.process import Runtime
from rehearsal.site import REGISTRY_NAME, Site

_END = 0

Answer = Callable[[Sequence[str]], Iterator[Frame]]


class Listener:
    """One tool's socket; each request has its own thread."""

    def __init__(self, path: Path, mode: int, group: int, answer: Answer) -> None:
        self._answer = answer
        self._path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        if group >= 0:
            os.chown(path, -1, group)
        path.chmod(mode)
        self._socket.listen(64)
        threading.Thread(target=self._accept, name=f"listen-{path.name}", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rwb") as stream:
            count, length = struct.unpack("!II", stream.read(8))
            words = stream.read(length).split(b"\0") if count else []
            code = 0
            try:
                for number, data in self._answer([os.fsdecode(word) for word in words]):
                    stream.write(struct.pack("!BI", number, len(data)) + data)
            except Refused as refused:
                data = refused.stderr.encode()
                stream.write(struct.pack("!BI", STDERR, len(data)) + data)
                code = refused.code
            stream.write(struct.pack("!BI", _END, code))

    def close(self) -> None:
        """Refuse connections from now on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)


class HostTools:
    """The two tools of one rehearsal."""

    def __init__(self, site: Site, runtime: Runtime) -> None:
        self._site = site
        self._runtime = runtime
        self._engine = Engine(runtime)
        self._docker: Listener | None = None
        self._systemctl_socket = site.state / "systemctl.sock"
        self._docker_socket = site.state / "docker.sock"
        site.engine.mkdir(parents=True, exist_ok=True)
        systemctl = Systemctl(runtime, os.getpid())
        _install(site, "docker", self._docker_socket)
        _install(site, "systemctl", self._systemctl_socket)
        self._systemctl = Listener(
            self._systemctl_socket, 0o666, -1, lambda argv: _as_frames(*systemctl.answer(argv))
        )
        _tell_registries(site)
        self.start_engine()

    @contextlib.contextmanager
    def without_compose(self) -> Iterator[None]:
        """Have the compose plugin missing for a while."""
        self._engine.has_compose = False
        try:
            yield
        finally:
            self._engine.has_compose = True

    def start_engine(self) -> None:
        """Have the engine answer; its containers run on regardless."""
        if self._docker is None:
            group = DOCKER_GROUP if self._site.as_root else -1
            self._docker = Listener(self._docker_socket, 0o660, group, self._engine.answer)
            self._runtime.engine_running = True

    def stop_engine(self) -> None:
        """Have `docker` say that the engine does not run."""
        if self._docker is not None:
            self._docker.close()
            self._docker = None
            self._runtime.engine_running = False

    def close(self) -> None:
        """Stop to answer."""
        self.stop_engine()
        self._systemctl.close()


def _as_frames(code: int, stdout: str, stderr: str) -> Iterator[Frame]:
    yield STDOUT, stdout.encode()
    if code or stderr:
        raise Refused(code, stderr)


def _tell_registries(site: Site) -> None:
    """Say where the registry is: the machine's own resolver does not know the rehearsal's names."""
    place = {"address": site.address("public"), "port": site.https_port, "ca_file": str(site.ca_file)}
    path = site.state / client.REGISTRIES
    path.write_text(json.dumps({REGISTRY_NAME: place}), encoding="utf-8")
    path.chmod(0o644)


def _install(site: Site, tool: str, path: Path) -> None:
    script = site.host / "usr" / "bin" / tool
    script.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-I", "-S", client.__file__, str(path), tool]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
