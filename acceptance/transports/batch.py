"""A shell on the server that is kept for the run and fed with batches of declared calls.

The shell is POSIX `sh` reading its commands from standard input. Every call runs under a time limit
with empty standard input; its output comes back base64-encoded between marker lines, so it can hold
anything. A sign at its end tells a whole answer from that of a server that lacks one of the tools. Nothing
is written on the server: no file, no history.
"""

from __future__ import annotations

import asyncio
import base64
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.commands import Call
from acceptance.transports.host import Result

KILL_AFTER_S = 2
"""How long after its time limit a command that ignores SIGTERM is killed, in seconds."""

GRACE_S = 10
"""How long the answer to a call may be on its way beyond the command's own time limit, in seconds."""

STDERR_BYTES = 4096
"""How much of the end of standard error comes back."""

_CHUNK = 256 * 1024
_END = "."
"""Follows every output before it is encoded: without base64 or head an answer would look empty."""

_PREAMBLE = """\
export LC_ALL=C LANG=C
unset ENV BASH_ENV CDPATH
cd /
exec 9>&1
_run() {{
_id=$1 _limit=$2 _bytes=$3
shift 3
printf '\\n{nonce} begin %s\\n' "$_id"
{{
_code=$({{ {{ timeout -k {kill} "$_limit" /bin/sh -c "$@" 3>&- 9>&- </dev/null; echo "$?" >&3; }} \
| {{ head -c "$_bytes" && printf '{end}'; }} | base64 -w 0 >&9; }} 3>&1)
printf '\\n{nonce} code %s\\n' "$_code" >&9
}} 2>&1 >/dev/null | {{ tail -c {stderr} && printf '{end}'; }} | base64 -w 0
printf '\\n{nonce} done %s\\n' "$_id"
}}
"""

Note = Callable[[Call, float, str], None]
"""Told of every call as it is answered: the call, the seconds it took, and how it ended."""

Deliver = Callable[[int, Result | UnavailableError], None]
"""Takes the outcome of the call with that index."""


def preamble(nonce: str) -> bytes:
    """Return what makes a fresh POSIX shell ready for batches."""
    return _PREAMBLE.format(nonce=nonce, kill=KILL_AFTER_S, stderr=STDERR_BYTES, end=_END).encode()


def check(call: Call) -> None:
    """Make sure that a call can be sent.

    Raises:
        RefusedError: an argument holds a NUL, which no argument of a process can.
    """
    if any("\0" in argument for argument in call.arguments):
        raise RefusedError(f"{call.command.name}: an argument holds a NUL character")


def encode(index: int, call: Call) -> bytes:
    """Return the line that runs one call; arguments become positional parameters, never shell text."""
    words = (call.command.script, call.command.name, *call.arguments)
    limits = f"{call.command.timeout_s:g} {call.command.max_bytes + 1}"
    quoted = " ".join(shlex.quote(word) for word in words)
    return f"_run {index} {limits} {quoted}\n".encode("utf-8", errors="surrogateescape")


class Lines:
    """Lines of any length from a stream; asyncio's own reader is slow and limited there."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = bytearray()

    async def next(self, limit: int = 1024 * 1024) -> bytes:
        """Return the next line without its line break.

        Raises:
            EOFError: the stream ended, or the line is longer than `limit` bytes.
        """
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > limit:
                raise EOFError("a line is longer than announced")
            chunk = await self._reader.read(_CHUNK)
            if not chunk:
                raise EOFError("end of stream")
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


class RemoteShell:
    """One kept shell.

    Args:
        lines: its standard output.
        write: appends to its standard input.
        nonce: marks the protocol's own lines; unknown to the commands that are run.
        note: told of every call.
        why_ended: the reason for a stream that ended, asked for only then; empty if unknown.
    """

    def __init__(
        self,
        lines: Lines,
        write: Callable[[bytes], None],
        nonce: str,
        note: Note,
        why_ended: Callable[[], Awaitable[str]],
    ) -> None:
        self._lines = lines
        self._write = write
        self._mark = nonce.encode()
        self._note = note
        self._why_ended = why_ended
        self._turn = asyncio.Lock()
        self._broken: UnavailableError | None = None

    async def run(self, calls: Sequence[Call], deliver: Deliver) -> None:
        """Send all calls at once and hand over each result as soon as it is there, in order.

        What has no answer because the connection broke gets an UnavailableError instead.
        """
        async with self._turn:
            answered = 0
            try:
                if self._broken is None:
                    sent, begun = time.time(), time.monotonic()
                    self._write(b"".join(encode(index, call) for index, call in enumerate(calls)))
                    for index, call in enumerate(calls):
                        result = await self._answer(index, call)
                        deliver(index, replace(result, sent=sent, seconds=time.monotonic() - begun))
                        answered += 1
            except UnavailableError as error:
                self._broken = error
            except asyncio.CancelledError:
                self._broken = UnavailableError("the connection was closed before the answer came")
                raise
            if self._broken is not None:
                for index in range(answered, len(calls)):
                    deliver(index, self._broken)

    async def _answer(self, index: int, call: Call) -> Result:
        begun = time.monotonic()
        how = "no answer"
        try:
            async with asyncio.timeout(call.command.timeout_s + KILL_AFTER_S + GRACE_S):
                result = await self._read(index, call)
            how = "timed out" if result.timed_out else f"exit code {result.rc}"
        except TimeoutError as error:
            raise UnavailableError(f"the connection broke: no answer to {call.command.name}") from error
        except (EOFError, ValueError) as error:
            why = await self._why_ended() or str(error)
            raise UnavailableError(
                f"the connection broke before {call.command.name} answered: {why}"
            ) from error
        finally:
            self._note(call, time.monotonic() - begun, how)
        return result

    async def _read(self, index: int, call: Call) -> Result:
        command = call.command
        await self._until(b"begin %d" % index)
        begun = time.monotonic()
        stdout, end = await self._payload(command.max_bytes)
        seconds = time.monotonic() - begun
        stderr, _ = await self._payload(STDERR_BYTES)
        code = end.removeprefix(b"code ")
        if not code.isdigit():
            raise EOFError("its exit code is missing")
        rc = int(code)
        stdout, stderr = _whole(call, stdout), _whole(call, stderr)
        return Result(
            call=call,
            rc=rc,
            stdout=stdout[: command.max_bytes],
            stderr=stderr.decode("utf-8", errors="replace"),
            truncated=len(stdout) > command.max_bytes,
            # 124 and 137 are timeout's own codes (coreutils), but a command may use them too
            timed_out=rc in (124, 137) and seconds >= command.timeout_s / 2,
        )

    async def _until(self, marker: bytes) -> None:
        wanted = self._mark + b" " + marker
        while await self._lines.next() != wanted:
            pass

    async def _payload(self, max_bytes: int) -> tuple[bytes, bytes]:
        """Return the decoded bytes before the next marker, and the marker."""
        content = b""
        while True:
            line = await self._lines.next(limit=max_bytes * 4 // 3 + _CHUNK)
            if line.startswith(self._mark + b" "):
                return base64.b64decode(content, validate=True), line[len(self._mark) + 1 :]
            content += line


def _whole(call: Call, content: bytes) -> bytes:
    """Return an output without the sign at its end.

    Raises:
        UnavailableError: there is none.
    """
    if not content.endswith(_END.encode()):
        raise UnavailableError(
            f"{call.command.name}: the answer has no end",
            "the server's shell needs base64, head, tail and timeout (coreutils)",
        )
    return content[:-1]
