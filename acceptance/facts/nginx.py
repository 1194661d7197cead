"""The reverse proxy: its configuration as it would read it, the files that names, and since when it runs."""

from __future__ import annotations

import asyncio
import posixpath
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.nginx_parse import (
    ConfigError,
    Configuration,
    Directive,
    NamedFile,
    Unread,
    read,
    source_of,
)
from acceptance.facts.nginx_vhost import Vhost, find, judged
from acceptance.facts.tree import MissingError, OutsideError, Tree, denied, unpack
from acceptance.guard.commands import (
    NGINX_BUILD,
    NGINX_INCLUDES,
    NGINX_NAMED_FILES,
    NGINX_PROCESSES,
    NGINX_TEST,
    NGINX_TREE,
    call,
)

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Nginx as NginxSection
    from acceptance.transports.host import Result

TOLERANCE_S = 1.0
"""A file this much newer than the workers was still read by them."""

_LEFT_OUT = ("*.key", "*.pem", "*.p12", "*.pfx", "*htpasswd*", ".git")
_DEFAULT_PREFIX = "/usr/share/nginx"
_DEFAULT_PID = "/run/nginx.pid"


class Build(Fact):
    """What `nginx -V` says: the version, and the paths the program was built with."""

    version: str
    prefix: str
    pid: str


class LoadedFile(Fact):
    """A file or directory that decides what the configuration says.

    Attributes:
        changed: when its content changed (mtime, UTC).
        placed: when it was put there, renamed, or given another owner or other rights (ctime, UTC).
    """

    path: str
    changed: datetime
    placed: datetime


class Worker(Fact):
    """A worker process that takes new connections, and since when it runs (UTC)."""

    pid: int
    started: datetime


class Running(Fact):
    """The running nginx.

    Attributes:
        workers: none if nginx does not run.
        stopped: why it is known not to run; empty if it runs.
    """

    workers: tuple[Worker, ...] = ()
    stopped: str = ""


class NamedFileState(Fact):
    """A file that a directive names, and whether it exists."""

    named: NamedFile
    exists: bool
    seen: str


class ConfigTest(Fact):
    """What `nginx -t` answered."""

    exit_code: int
    output: str


class Judged(Fact):
    """A judgement that rests on several facts, ready to be stated."""

    holds: bool
    seen: str
    source: Source


class Nginx(Fact):
    """nginx as its files and processes show it.

    Attributes:
        name: the public name whose vhost matters; `port` is its TLS port.
        vhost_file: where the vhost must be; `vhost_exists` whether it is there.
        template_file: likewise the vhost that the CRM's is modelled on; empty if the target names none.
        links: entries of sites-enabled that are links to it.
        copies: other entries of sites-enabled with its name.
        http: the `http` block, reduced to what is judged.
        variables: names the configuration defines itself.
        files: everything that was read, newest change first; likewise `directories` that are searched.
        tested: what `nginx -t` said; None if it was not approved.
        assumed: the plan does not state the vhost's file name.
    """

    name: str
    port: int
    config: str
    assumed: bool
    vhost_file: str
    vhost_exists: Attempt[bool]
    template_file: str
    template_exists: Attempt[bool]
    links: Attempt[tuple[str, ...]]
    copies: tuple[str, ...]
    loaded_files: tuple[str, ...]
    http: Directive | None
    variables: tuple[str, ...]
    errors: tuple[ConfigError, ...]
    unrecognised: tuple[ConfigError, ...]
    unread: tuple[Unread, ...]
    files: tuple[LoadedFile, ...]
    directories: tuple[LoadedFile, ...]
    named_files: Attempt[tuple[NamedFileState, ...]]
    running: Attempt[Running]
    tested: Attempt[ConfigTest] | None

    @property
    def vhost_source(self) -> Source:
        """Where the vhost must be."""
        return Source(where=self.vhost_file, again=f"on the server: ls -l {self.vhost_file}")

    @property
    def template(self) -> Judged:
        """Whether the vhost that the CRM's is modelled on is there.

        Raises:
            NotApplicableError: the target names none.
            UnavailableError: its directory may not be read.
        """
        if not self.template_file:
            raise NotApplicableError("nginx.template is not set: there is no template on this server")
        exists = known(self.template_exists)
        return Judged(
            holds=exists,
            seen="it exists" if exists else "no such file",
            source=Source(where=self.template_file, again=f"on the server: ls -l {self.template_file}"),
        )

    @property
    def active(self) -> Judged:
        """Whether nginx runs.

        Raises:
            UnavailableError: the processes may not be seen.
        """
        running = known(self.running)
        return Judged(
            holds=bool(running.workers),
            seen=running.stopped or f"{len(running.workers)} workers",
            source=Source(where="processes", again="on the server: systemctl status nginx"),
        )

    @property
    def accepted_by_nginx(self) -> bool:
        """Whether nginx itself was asked and accepts the configuration."""
        return isinstance(self.tested, Known) and self.tested.value.exit_code == 0

    def _require_read(self) -> None:
        if self.unread:
            first = self.unread[0]
            raise UnavailableError(f"{first.path} ({first.file}:{first.line}) was not read: {first.reason}")

    @property
    def enabled(self) -> Judged:
        """Whether a link in sites-enabled leads to the vhost.

        Raises:
            UnavailableError: the directories may not be read, or the assumed vhost does not exist.
        """
        self.require_vhost_file()
        links = known(self.links)
        directory = posixpath.join(posixpath.dirname(posixpath.dirname(self.vhost_file)), "sites-enabled")
        copy = f"{self.copies[0]} is no link to it" if self.copies else f"no link in {directory}"
        return Judged(
            holds=bool(links),
            seen=", ".join(links) or copy,
            source=Source(where=directory, again=f"on the server: ls -l {directory}"),
        )

    @property
    def _read_as(self) -> tuple[str, ...]:
        """The names under which the configuration includes the vhost."""
        names = (*known(self.links), self.vhost_file)
        return tuple(path for path in self.loaded_files if path in names)

    @property
    def included(self) -> Judged:
        """Whether the configuration includes the enabled vhost.

        Raises:
            UnavailableError: a part of the configuration could not be read.
        """
        read_from = self._read_as
        if not read_from:
            self._require_read()
        return Judged(
            holds=bool(read_from),
            seen=f"included as {', '.join(read_from)}" if read_from else f"{self.config} does not include it",
            source=Source(where=self.config, again=f"on the server: grep -rn include {self.config}"),
        )

    def require_vhost_file(self) -> None:
        """Refuse to judge by a file name that was only assumed.

        Raises:
            UnavailableError: there is no such file, and the plan does not state the name.
        """
        if self.assumed and not known(self.vhost_exists):
            raise UnavailableError(
                f"assumed name not found: {self.vhost_file}", "correct nginx.vhost in the target file"
            )

    @property
    def parsed(self) -> Judged:
        """Whether the files parse as a whole.

        nginx itself, where it was asked, decides what the table of known directives leaves open.

        Raises:
            UnavailableError: a part was not read, or holds a directive that is not in the table while
                nginx was not asked.
        """
        if self.errors and not self.accepted_by_nginx:
            shown = [f"{one.message} in {one.file}:{one.line}" for one in self.errors[:5]]
            first = self.errors[0]
            return Judged(holds=False, seen="; ".join(shown), source=source_of(first.file, first.line))
        self._require_read()
        if self.unrecognised and not self.accepted_by_nginx:
            first = self.unrecognised[0]
            raise UnavailableError(
                f"{first.message} in {first.file}:{first.line}: it may belong to a module",
                "approve the action nginx-test, so that nginx itself decides",
            )
        return Judged(
            holds=True,
            seen=f"{len(self.loaded_files)} files parse",
            source=Source(where=self.config, again=f"on the server, as root: nginx -t -c {self.config}"),
        )

    @property
    def missing_files(self) -> Judged:
        """Whether every file that the configuration names exists.

        Raises:
            UnavailableError: it may not be looked at, or a part of the configuration was not read.
        """
        states = known(self.named_files)
        missing = [state for state in states if not state.exists]
        if not missing:
            self._require_read()
            seen = f"{len(states)} named files exist"
            return Judged(holds=True, seen=seen, source=Source(where=self.config, again="nginx -t as root"))
        first = missing[0].named
        return Judged(
            holds=False,
            seen="; ".join(
                f"{state.named.directive} {state.named.path}: {state.seen} "
                f"({state.named.file}:{state.named.line})"
                for state in missing
            ),
            source=Source(
                where=f"{first.file}:{first.line}", again=f"on the server, as root: ls -lL {first.path}"
            ),
        )

    @property
    def accepted(self) -> Judged:
        """Whether `nginx -t` accepts the configuration; without approval it is not asked.

        Raises:
            UnavailableError: it was approved and did not answer.
        """
        source = Source(where=self.config, again=f"on the server, as root: nginx -t -c {self.config}")
        if self.tested is None:
            seen = "not run, nginx-test is not approved: the claim rests on parsing the files alone"
            return Judged(holds=True, seen=seen, source=source)
        test = known(self.tested)
        seen = f"exit code {test.exit_code}: {test.output}"
        return Judged(holds=test.exit_code == 0, seen=seen, source=source)

    @property
    def vhost(self) -> Vhost:
        """The server block that answers for the public name.

        Raises:
            UnavailableError: the configuration as a whole cannot be interpreted, or the vhost is not
                enabled, which nginx.valid and nginx.enabled say.
        """
        self._require_read()
        if self.errors and not self.accepted_by_nginx:
            first = self.errors[0]
            raise UnavailableError(
                f"nginx would refuse the configuration ({first.file}:{first.line}), see nginx.valid"
            )
        empty = Directive(name="http", file=self.config, line=1, block=())
        vhost = find(self.http or empty, self.name, self.port, self.variables)
        if vhost.server is None and not self._read_as:
            raise UnavailableError("the vhost is not enabled, see nginx.enabled")
        return vhost

    @property
    def loaded_since(self) -> Worker | None:
        """The oldest worker that takes new connections; None if nginx does not run.

        A worker that crashed and was replaced is young and still has the old configuration.

        Raises:
            UnavailableError: the processes may not be seen.
        """
        return min(known(self.running).workers, key=lambda worker: worker.started, default=None)

    @property
    def loaded(self) -> Judged:
        """Whether the running nginx has read its files as they are now.

        Raises:
            UnavailableError: the processes or files may not be seen, or it cannot be told: entries were
                added to or removed from a searched directory since, or a file was put there that kept an
                older modification time (`cp -p`, `rsync -a`).
        """
        oldest = self.loaded_since
        again = "on the server: ps -o lstart,cmd -C nginx"
        if oldest is None:
            seen = f"nginx does not run: {known(self.running).stopped}"
            return Judged(holds=False, seen=seen, source=Source(where="processes", again=again))
        newer = [file for file in self.files if _after(file.changed, oldest.started)]
        if newer:
            seen = f"{newer[0].path} changed {_moment(newer[0].changed)}, nginx runs since " + _moment(
                oldest.started
            )
            again = f"on the server: stat {newer[0].path}; ps -o lstart,cmd -C nginx"
            return Judged(holds=False, seen=seen, source=Source(where=newer[0].path, again=again))
        self._require_read()
        changed = [place for place in self.directories if _after(place.changed, oldest.started)]
        if changed:
            raise UnavailableError(
                f"entries of {changed[0].path} were added or removed after nginx read its configuration",
                "reload nginx",
            )
        placed = [file for file in self.files if _after(file.placed, oldest.started)]
        if placed:
            raise UnavailableError(
                f"{placed[0].path} was put there, or its owner or rights changed, "
                f"{_moment(placed[0].placed)}, after nginx read its configuration; its own date is older and "
                "proves nothing",
                "reload nginx",
            )
        seen = f"workers since {_moment(oldest.started)}, newest of {len(self.files)} files " + (
            _moment(self.files[0].changed) if self.files else "unknown"
        )
        return Judged(holds=True, seen=seen, source=Source(where="processes", again=again))


def _after(changed: datetime, started: datetime) -> bool:
    return (changed - started).total_seconds() > TOLERANCE_S


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def read_build(result: Result) -> Build:
    """Return what `nginx -V` says; what it does not say is Debian's."""
    text = result.text

    def built_with(option: str, default: str) -> str:
        match = re.search(rf"--{option}=(\S+)", text)
        return match[1] if match else default

    version = re.search(r"nginx version: (\S+)", text)
    return Build(
        version=version[1] if version else "",
        prefix=built_with("prefix", _DEFAULT_PREFIX),
        pid=built_with("pid-path", _DEFAULT_PID),
    )


def read_processes(result: Result) -> Running:
    """Return the workers that the declared command saw.

    Start times are counted back from a process that the command itself had just started, so the
    server's own clock is used and no boot time is needed.

    Raises:
        UnavailableError: the processes may not be seen, or the answer is not understood.
    """
    rows = [tuple(line.partition(" ")[::2]) for line in result.answered().text.splitlines()]
    first, rest = rows[0] if rows else ("", "")
    if first == "stopped":
        return Running(stopped=rest)
    if first == "hidden":
        raise UnavailableError(rest)
    answers = {kind: value.split(maxsplit=3) for kind, value in rows if kind != "child"}
    children = [value.split(maxsplit=3) for kind, value in rows if kind == "child"]
    try:
        hertz = int(answers["hertz"][0])
        ticks, now = int(answers["now"][1]), float(answers["now"][2])
        title = answers["master"][3]
    except (KeyError, IndexError, ValueError) as error:
        raise UnavailableError(f"{result.call.command.name}: the answer is not understood") from error
    if not title.startswith("nginx: master process"):
        return Running(stopped=f"process {answers['master'][0]} of the pid file is {title.split(' ')[0]}")
    workers = [
        Worker(pid=int(pid), started=_started(now, ticks, int(start), hertz))
        for pid, _, start, name in (child for child in children if len(child) == 4)
        if name.startswith("nginx: worker process") and "shutting down" not in name
    ]
    return Running(workers=tuple(workers), stopped="" if workers else "the master process has no worker")


def _started(now: float, ticks: int, start: int, hertz: int) -> datetime:
    return datetime.fromtimestamp(now - (ticks - start) / hertz, tz=UTC)


def read_named_files(named: list[NamedFile], result: Result) -> tuple[NamedFileState, ...]:
    """Return whether each named file exists.

    Raises:
        UnavailableError: one of them may not be looked at.
    """
    lines = result.answered().text.splitlines()
    if len(lines) != len(named):
        raise UnavailableError(f"{result.call.command.name}: {len(lines)} answers to {len(named)} questions")
    states = []
    for file, line in zip(named, lines, strict=True):
        answer, _, detail = line.partition(" ")
        reason = detail.rsplit(": ", 1)[-1]
        if answer == "absent" and reason not in ("No such file or directory", "Not a directory"):
            raise UnavailableError(f"{file.path} cannot be looked at ({reason})", "looking needs root")
        exists = answer == "found" and "directory" not in detail
        states.append(NamedFileState(named=file, exists=exists, seen=reason))
    return tuple(states)


def read_test(result: Result) -> ConfigTest:
    """Return what `nginx -t` answered.

    Raises:
        UnavailableError: it did not run, or not as root: it then fails on a good configuration too.
    """
    output = " ".join(result.answered(0, 1).text.split())[:1000]
    if result.rc != 0 and "(13: Permission denied)" in output:
        raise UnavailableError(f"nginx -t was not permitted to look at everything ({output[:200]})")
    return ConfigTest(exit_code=result.rc, output=output)


async def collect(access: Access) -> Nginx:
    """Read the configuration, then what it names, then ask what only root may see."""
    target = access.target
    wanted = target.nginx
    archive, build_answer = await access.host.run(
        call(NGINX_TREE, wanted.root, target.tls.letsencrypt), call(NGINX_BUILD, target.server.tools.nginx)
    )
    build = read_build(build_answer)
    refused = denied(archive)
    tree = Tree(unpack(archive.answered(0, 2).stdout), wanted.root, refused, _LEFT_OUT)
    found = read(tree, wanted.config, build.prefix)
    elsewhere = tuple(dict.fromkeys(found.wanted))
    processes, included = await access.host.run(
        call(NGINX_PROCESSES, _pid_file(found, build)), call(NGINX_INCLUDES, *elsewhere)
    )
    complete = _add_elsewhere(tree, elsewhere, included)
    if elsewhere:
        found = read(complete, wanted.config, build.prefix)
        _unread_for_good(found, wanted.config)
    named_files, tested = await _as_root(access, found)
    available = posixpath.join(wanted.root, "sites-available", wanted.vhost)
    exists, links, copies = _enabled(tree, wanted.root, available)
    http = next((one for one in found.directives if one.name == "http" and one.block is not None), None)
    return Nginx(
        name=target.public.name,
        port=wanted.listen_https,
        config=wanted.config,
        assumed=target.is_assumed("nginx.vhost"),
        vhost_file=available,
        vhost_exists=exists,
        template_file=posixpath.join(wanted.root, "sites-available", wanted.template)
        if wanted.template
        else "",
        template_exists=_template_exists(tree, wanted),
        links=links,
        copies=copies,
        loaded_files=tuple(found.files),
        http=judged(http) if http else None,
        variables=tuple(sorted(found.variables)),
        errors=tuple(found.errors),
        unrecognised=tuple(found.unrecognised),
        unread=tuple(found.unread),
        files=_changes(complete, found.files),
        directories=_changes(complete, found.directories),
        named_files=named_files,
        running=_attempt_running(processes),
        tested=tested,
    )


def _add_elsewhere(tree: Tree, asked: tuple[str, ...], answer: Result) -> Tree:
    """Return the tree with what was fetched from outside it."""
    marked = "unreadable "
    lines = answer.answered().stderr.splitlines()
    refused = [line.removeprefix(marked) for line in lines if line.startswith(marked)]
    return tree.add(asked, unpack(answer.stdout), refused)


def _unread_for_good(found: Configuration, config: str) -> None:
    """Note includes that lead out of the tree once more, from a file that was itself outside."""
    found.unread += [
        Unread(path=path, reason="a file from elsewhere includes it", file=config, line=1)
        for path in found.wanted
    ]


def _pid_file(found: Configuration, build: Build) -> str:
    configured = next((one.args[0] for one in found.directives if one.name == "pid" and one.args), build.pid)
    return posixpath.join(build.prefix, configured)


def _attempt_running(processes: Result) -> Known[Running] | Unavailable:
    try:
        return Known(value=read_processes(processes))
    except UnavailableError as problem:
        return Unavailable.of(problem)


async def _as_root(
    access: Access, found: Configuration
) -> tuple[
    Known[tuple[NamedFileState, ...]] | Unavailable,
    Known[ConfigTest] | Unavailable | None,
]:
    """Ask what needs root, in one go; what was read without it stays known if that fails."""
    return await asyncio.gather(_named_files(access, found), _tested(access))


async def _named_files(
    access: Access, found: Configuration
) -> Known[tuple[NamedFileState, ...]] | Unavailable:
    named = list({file.path: file for file in found.named}.values())
    try:
        (answer,) = await access.host.run(call(NGINX_NAMED_FILES, *(file.path for file in named)))
        return Known(value=read_named_files(named, answer))
    except UnavailableError as problem:
        return Unavailable.of(problem)


async def _tested(access: Access) -> Known[ConfigTest] | Unavailable | None:
    if not access.approved("nginx-test"):
        return None
    target = access.target
    try:
        (answer,) = await access.host.run(call(NGINX_TEST, target.server.tools.nginx, target.nginx.config))
        return Known(value=read_test(answer))
    except UnavailableError as problem:
        return Unavailable.of(problem)


def _changes(tree: Tree, paths: list[str]) -> tuple[LoadedFile, ...]:
    changes: dict[str, LoadedFile] = {}
    for path in paths:
        try:
            located = tree.locate(path)
        except (MissingError, OutsideError, UnavailableError):
            continue
        changes[path] = LoadedFile(
            path=path,
            changed=datetime.fromtimestamp(located.modified, tz=UTC),
            placed=datetime.fromtimestamp(located.placed, tz=UTC),
        )
    return tuple(sorted(changes.values(), key=lambda one: one.changed, reverse=True))


def _enabled(
    tree: Tree, root: str, available: str
) -> tuple[Known[bool] | Unavailable, Known[tuple[str, ...]] | Unavailable, tuple[str, ...]]:
    """Return whether the vhost exists, which links lead to it, and what only has its name."""
    directory = posixpath.join(root, "sites-enabled")
    try:
        exists = tree.exists(available)
        names = [name for name in tree.names(directory) if not name.startswith(".")]
    except UnavailableError as problem:
        failed = Unavailable.of(problem)
        return failed, failed, ()
    entries = [posixpath.join(directory, name) for name in names]
    links = tuple(path for path in entries if exists and _leads_to(tree, path, available))
    name = posixpath.basename(available)
    copies = tuple(path for path in entries if path not in links and posixpath.basename(path) == name)
    return Known(value=exists), Known(value=links), copies


def _template_exists(tree: Tree, wanted: NginxSection) -> Known[bool] | Unavailable:
    try:
        path = posixpath.join(wanted.root, "sites-available", wanted.template or "")
        return Known(value=tree.exists(path))
    except UnavailableError as problem:
        return Unavailable.of(problem)


def _leads_to(tree: Tree, path: str, available: str) -> bool:
    try:
        return tree.locate(path).path == tree.locate(available).path
    except (MissingError, OutsideError, UnavailableError):
        return False


NOUN = Noun(name="nginx", model=Nginx, collect=collect, sources=("root",), host=True, actions=("nginx-test",))
