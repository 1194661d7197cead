"""The engine behind the `docker` stand-in: answers a command line from the state of real processes."""

from __future__ import annotations

import platform
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from rehearsal.host import version
from rehearsal.host.arguments import Arguments, Refused, parse
from rehearsal.host.documents import Documents
from rehearsal.host.template import TemplateError, go_json, render
from rehearsal.host.version import Document
from rehearsal.runtime import clock
from rehearsal.runtime.log import Entry, JsonFile
from rehearsal.runtime.process import RunningContainer, Runtime
from rehearsal.runtime.spec import Image

STDOUT, STDERR = 1, 2

Frame = tuple[int, bytes]

_FILTERS = {
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name",
    "network", "publish", "since", "status", "volume",
}  # fmt: skip
_PIECE = 256 * 1024


def _out(text: str) -> Frame:
    return STDOUT, text.encode()


class Engine:
    """Answers `docker` command lines.

    Attributes:
        has_compose: whether the compose plugin is installed.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.has_compose = True
        self._runtime = runtime
        self._documents = Documents(runtime)
        self._commands: dict[str, Callable[[Arguments], Iterator[Frame]]] = {
            "ps": self._ps,
            "inspect": self._inspect,
            "container inspect": self._inspect,
            "image inspect": self._inspect,
            "volume inspect": self._inspect,
            "network inspect": self._inspect,
            "logs": self._logs,
            "images": self._images,
            "port": self._port,
            "version": self._version,
            "info": self._info,
            "compose version": self._compose_version,
        }

    def answer(self, argv: Sequence[str]) -> Iterator[Frame]:
        """Return the pieces of output in order, each for standard output (1) or error (2).

        Args:
            argv: without the program's name.

        Raises:
            Refused: the command fails; what was yielded before is printed all the same.
        """
        arguments = parse(argv)
        yield from self._commands[arguments.command](arguments)

    def _containers(self) -> list[RunningContainer]:
        return sorted(self._runtime.containers.values(), key=lambda item: -item.created_ns)

    def _find(self, name: str) -> RunningContainer | None:
        for container in self._containers():
            if self._documents.name(container) == name.removeprefix("/"):
                return container
        matching = [container for container in self._containers() if name and container.id.startswith(name)]
        return matching[0] if len(matching) == 1 else None

    def _existing(self, name: str) -> RunningContainer:
        container = self._find(name)
        if container is None:
            raise Refused(1, f"Error: No such container: {name}\n")
        return container

    def _find_image(self, name: str) -> Image | None:
        for image in self._documents.images():
            digits = image.id.removeprefix("sha256:")
            if name in (*image.tags, *image.digests, image.id) or f"{name}:latest" in image.tags:
                return image
            if re.fullmatch("[0-9a-f]{12,64}", name) and digits.startswith(name):
                return image
        return None

    def _ps(self, arguments: Arguments) -> Iterator[Frame]:
        filters = [_filter(text) for text in arguments.values.get("filter", ())]
        everything = "all" in arguments.flags or any(key in ("status", "exited") for key, _ in filters)
        truncate = "no-trunc" not in arguments.flags
        chosen = [
            container
            for container in self._containers()
            if (everything or container.state in ("running", "paused", "restarting"))
            and _matches(container, self._documents, filters)
        ]
        lines = [self._documents.ps(container, truncate=truncate) for container in chosen]
        columns = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
        heads = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")
        yield _out(_listing(arguments, lines, columns, heads))

    def _images(self, arguments: Arguments) -> Iterator[Frame]:
        lines = self._documents.image_lines(truncate="no-trunc" not in arguments.flags)
        columns = ("Repository", "Tag", "ID", "CreatedSince", "Size")
        heads = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")
        yield _out(_listing(arguments, lines, columns, heads))

    def _inspect(self, arguments: Arguments) -> Iterator[Frame]:
        found: list[Document] = []
        missing: list[str] = []
        for name in arguments.names:
            document = self._document(arguments.command, name)
            if document is None:
                missing.append(name)
            else:
                found.append(document)
        kind = arguments.command.removesuffix("inspect").strip() or "object"
        template = arguments.last("format")
        if template is None:
            yield _out((go_json(found, indent=4) if found else "[]") + "\n")
        else:
            yield from self._rendered(template, found)
        if missing:
            raise Refused(1, "".join(f"Error: No such {kind}: {name}\n" for name in missing[:1]))

    @staticmethod
    def _rendered(template: str, documents: list[Document]) -> Iterator[Frame]:
        if not documents:
            yield _out("\n")
        for document in documents:
            try:
                yield _out(render(template, document) + "\n")
            except TemplateError as failure:
                yield _out(failure.before + "\n")
                raise Refused(1, f"template parsing error: {failure}\n") from failure

    def _document(self, command: str, name: str) -> Document | None:
        if command == "volume inspect":
            return self._documents.volume(name)
        if command in ("inspect", "container inspect"):
            container = self._find(name)
            if container is not None:
                return self._documents.inspect(container)
        if command in ("inspect", "image inspect"):
            image = self._find_image(name)
            if image is not None:
                return self._documents.image_inspect(image)
        return self._documents.volume(name) if command == "inspect" else None

    def _logs(self, arguments: Arguments) -> Iterator[Frame]:
        container = self._existing(arguments.names[0])
        if not isinstance(container.log, JsonFile):
            raise Refused(
                1, "Error response from daemon: configured logging driver does not support reading\n"
            )
        timestamps = "timestamps" in arguments.flags
        stream, buffer = "", bytearray()
        for entry in _selected(container.log, arguments):
            if buffer and (entry.stream != stream or len(buffer) > _PIECE):
                yield _stream_number(stream), bytes(buffer)
                buffer.clear()
            stream = entry.stream
            if timestamps:
                buffer += clock.fixed(entry.time_ns).encode() + b" "
            buffer += entry.text
        if buffer:
            yield _stream_number(stream), bytes(buffer)

    def _port(self, arguments: Arguments) -> Iterator[Frame]:
        container = self._existing(arguments.names[0])
        for item in container.spec.published if container.pid else ():
            yield _out(f"{item.container_port}/tcp -> {item.host_address}:{item.host_port}\n")

    def _version(self, arguments: Arguments) -> Iterator[Frame]:
        template = arguments.last("format")
        if template is None:
            yield _out(version.CLIENT_TEXT + version.SERVER_TEXT)
            return
        yield from self._rendered(
            template, [{"Client": version.CLIENT, "Server": version.server(platform.release())}]
        )

    def _info(self, arguments: Arguments) -> Iterator[Frame]:
        template = arguments.last("format")
        if template is None:
            raise Refused(1, "the rehearsal's docker knows `info` with --format only\n")
        yield from self._rendered(template, [{"DockerRootDir": str(self._runtime.site.engine)}])

    def _compose_version(self, arguments: Arguments) -> Iterator[Frame]:
        if not self.has_compose:
            raise Refused(1, version.NO_COMPOSE)
        yield _out(version.compose(short="short" in arguments.flags))


def _stream_number(stream: str) -> int:
    return STDERR if stream == "stderr" else STDOUT


def _filter(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise Refused(1, "bad format of filter (expected name=value)\n")
    if key not in _FILTERS:
        raise Refused(1, f"Error response from daemon: Invalid filter '{key}'\n")
    return key, value


def _matches(container: RunningContainer, documents: Documents, filters: Sequence[tuple[str, str]]) -> bool:
    labels = documents.labels(container)
    tests: dict[str, Callable[[str], bool]] = {
        "label": lambda value: (
            labels.get(value.partition("=")[0]) == value.partition("=")[2]
            if "=" in value
            else value in labels
        ),
        "name": lambda value: re.search(value, documents.name(container)) is not None,
        "status": lambda value: container.state == value,
        "health": lambda value: (container.health.status if container.health else "none") == value,
        "id": container.id.startswith,
        "exited": lambda value: container.state == "exited" and str(container.exit_code) == value,
        "ancestor": lambda value: value in (container.spec.reference, container.spec.image.id),
        "volume": lambda value: any(
            container.spec.volume_name(mount) == value for mount in container.spec.mounts
        ),
    }
    # Docker requires every label, and any one of several values of another filter.
    if not all(tests["label"](value) for key, value in filters if key == "label"):
        return False
    for key in {key for key, _ in filters} - {"label"}:
        if key not in tests:
            raise Refused(
                1, f"Error response from daemon: the filter '{key}' is not known to the rehearsal\n"
            )
        if not any(tests[key](value) for other, value in filters if other == key):
            return False
    return True


def _listing(
    arguments: Arguments, lines: Sequence[Document], columns: Sequence[str], heads: Sequence[str]
) -> str:
    template = arguments.last("format")
    if "quiet" in arguments.flags:
        return "".join(f"{line['ID']}\n" for line in lines)
    if template is not None:
        try:
            return "".join(render(template, line) + "\n" for line in lines)
        except TemplateError as failure:
            raise Refused(1, f"{failure}\n") from failure
    rows = [list(heads)] + [[line[column] for column in columns] for line in lines]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in rows
    )


def _moment(arguments: Arguments, option: str) -> int | None:
    text = arguments.last(option)
    if text is None:
        return None
    try:
        return clock.parse(text, clock.now())
    except ValueError as error:
        raise Refused(
            1, f'Error response from daemon: invalid value for "{option}": failed to parse "{text}"\n'
        ) from error


def _selected(log: JsonFile, arguments: Arguments) -> Iterator[Entry]:
    since, until = _moment(arguments, "since"), _moment(arguments, "until")
    entries = (
        entry
        for entry in log.entries()
        if (since is None or entry.time_ns >= since) and (until is None or entry.time_ns <= until)
    )
    tail = arguments.last("tail")
    if tail is None or not tail.isdigit():
        return entries
    return iter(deque(entries, maxlen=int(tail)))
