"""The kept shell's protocol, on a local POSIX shell, and the gathering of calls into round trips."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.commands import Call, Command, call
from acceptance.transports.batch import Deliver, Lines, RemoteShell, check, preamble
from acceptance.transports.host import Result
from acceptance.transports.rounds import Batcher

ECHO = Command("echo", 'for argument do printf "%s\\0" "$argument"; done', "self-test")
PING = Command("ping", 'echo "$1"', "self-test")
SAMPLE = Command("sample", 'echo "$1"', "self-test", sample=True)
TIMELESS = Command("timeless", "echo begun; sleep 30", "self-test", timeout_s=0.3)
STUBBORN = Command("stubborn", "trap '' TERM; echo begun; sleep 30", "self-test", timeout_s=0.3)

Outcome = Result | UnavailableError


async def _no_words() -> str:
    return ""


@contextlib.asynccontextmanager
async def local_shell(
    notes: list[str] | None = None, pids: list[int] | None = None, path: str = os.defpath
) -> AsyncIterator[RemoteShell]:
    """Run the protocol on a shell of this machine."""
    process = await asyncio.create_subprocess_exec("/bin/sh", stdin=PIPE, stdout=PIPE, env={"PATH": path})
    assert process.stdin is not None
    assert process.stdout is not None
    nonce = secrets.token_hex(16)
    if pids is not None:
        pids.append(process.pid)
    kept = [] if notes is None else notes
    process.stdin.write(preamble(nonce))
    try:
        yield RemoteShell(
            Lines(process.stdout),
            process.stdin.write,
            nonce,
            lambda done, _, how: kept.append(f"{done.command.name}: {how}"),
            _no_words,
        )
    finally:
        process.stdin.close()
        await process.wait()


async def outcomes_of(shell: RemoteShell, *calls: Call) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    await shell.run(calls, outcomes.__setitem__)
    return [outcomes[index] for index in range(len(calls))]


def run_here(*calls: Call) -> list[Result]:
    async def go() -> list[Outcome]:
        async with local_shell() as shell:
            return await outcomes_of(shell, *calls)

    results = asyncio.run(go())
    return [result for result in results if isinstance(result, Result)]


def script(text: str, **limits: float) -> Call:
    command = Command(
        name="script",
        script=text,
        purpose="self-test",
        timeout_s=limits.get("timeout_s", 20),
        max_bytes=int(limits.get("max_bytes", 1024 * 1024)),
    )
    return Call(command)


@pytest.mark.parametrize("code", [0, 1, 2, 124, 126, 127, 137, 255])
def test_exit_code_arrives(code: int) -> None:
    (result,) = run_here(script(f"exit {code}"))
    assert (result.rc, result.timed_out) == (code, False)


def test_missing_program_and_missing_permission_stay_visible() -> None:
    missing, forbidden = run_here(script("/nonexistent"), script("/etc/passwd"))
    assert (missing.rc, forbidden.rc) == (127, 126)
    assert "not found" in missing.stderr
    assert "ermission denied" in forbidden.stderr


def test_killed_command_is_not_taken_for_a_time_limit() -> None:
    (result,) = run_here(script("kill -9 $$"))
    assert (result.rc, result.timed_out) == (137, False)


def test_time_limit_ends_a_command_and_not_the_shell() -> None:
    limited, next_one = run_here(Call(TIMELESS), script("echo still here"))
    assert limited.timed_out
    assert limited.text == "begun\n"
    assert next_one.text == "still here\n"


def test_time_limit_ends_a_command_that_ignores_sigterm() -> None:
    limited, next_one = run_here(Call(STUBBORN), script("echo still here"))
    assert limited.timed_out
    assert next_one.text == "still here\n"


def test_long_output_is_cut_off_and_says_so() -> None:
    exact, longer = run_here(
        script("printf 12345678", max_bytes=8), script("printf 123456789; exit 0", max_bytes=8)
    )
    assert (exact.stdout, exact.truncated) == (b"12345678", False)
    assert (longer.stdout, longer.truncated) == (b"12345678", True)


def test_endless_output_ends() -> None:
    (result,) = run_here(script("yes", max_bytes=100_000))
    assert result.truncated
    assert len(result.stdout) == 100_000


def test_large_binary_output_arrives_whole(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)
    (result,) = run_here(script(f"cat {tmp_path}/file", max_bytes=4_000_000))
    assert result.stdout == content


def test_output_that_looks_like_the_protocol_is_only_output() -> None:
    text = "\\nbegin 0\\ncode 0\\ndone 0\\n_run 0 1 1 exit\\n\\0\\377"
    (result, after) = run_here(script(f"printf '{text}'; printf '{text}' >&2"), script("echo after"))
    assert result.stdout.startswith(b"\nbegin 0\ncode 0")
    assert result.stdout.endswith(b"\0\xff")
    assert after.text == "after\n"


def test_only_the_end_of_a_big_stderr_comes_back() -> None:
    (result,) = run_here(script("yes problem | head -n 200000 >&2; echo last >&2; echo out"))
    assert len(result.stderr) == 4096
    assert result.stderr.endswith("problem\nlast\n")
    assert (result.rc, result.text) == (0, "out\n")


def test_standard_input_is_empty() -> None:
    result, after = run_here(script("cat; read -r line; echo $?"), script("echo after"))
    assert result.text == "1\n"
    assert after.text == "after\n"


def test_language_is_fixed_and_the_shell_is_in_the_root_directory() -> None:
    (result,) = run_here(script('echo "$LC_ALL $PWD"'))
    assert result.text == "C /\n"


def test_a_script_cannot_change_the_kept_shell() -> None:
    _, after = run_here(script("cd /tmp; _run() { :; }; exec 9>&-; exit 3"), script('echo "$PWD"'))
    assert after.text == "/\n"


def test_every_call_is_noted() -> None:
    notes: list[str] = []

    async def go() -> None:
        async with local_shell(notes) as shell:
            await outcomes_of(shell, script("exit 3"), Call(TIMELESS))

    asyncio.run(go())
    assert notes == ["script: exit code 3", "timeless: timed out"]


def test_dead_shell_gives_no_result_then_and_later() -> None:
    async def go() -> tuple[list[Outcome], list[Outcome]]:
        pids: list[int] = []
        async with local_shell(pids=pids) as shell:
            first = await outcomes_of(
                shell, script("echo one"), script(f"kill -9 {pids[0]}; sleep 0.2"), script(":")
            )
            return first, await outcomes_of(shell, script("echo two"))

    (before, during, after), (later,) = asyncio.run(go())
    assert isinstance(before, Result)
    for outcome in (during, after, later):
        assert isinstance(outcome, UnavailableError)
        assert outcome.reason == "the connection broke before script answered: end of stream"


def test_nul_in_an_argument_is_refused() -> None:
    with pytest.raises(RefusedError, match="NUL"):
        check(call(ECHO, "a\0b"))


@given(
    st.lists(
        st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), max_size=5),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=25, deadline=None)
def test_arguments_arrive_verbatim(batch: list[list[str]]) -> None:
    results = run_here(*(call(ECHO, *arguments) for arguments in batch))
    assert [result.stdout.decode().split("\0")[:-1] for result in results] == batch


NASTY = [
    "",
    " ",
    "'",
    '"',
    "$(touch /tmp/never)",
    "`id`",
    "a\nb\n",
    "-n",
    "\\",
    "*",
    "~",
    "!!",
    "é\u2028",
    ";exit 1",
]


@pytest.mark.parametrize("argument", NASTY)
def test_nasty_argument_arrives_verbatim(argument: str) -> None:
    (result,) = run_here(call(ECHO, argument, argument))
    assert result.stdout.decode() == f"{argument}\0{argument}\0"


class Wire:
    """Answers every call at once and keeps what was sent together."""

    def __init__(self) -> None:
        self.trips: list[list[str]] = []

    async def send(self, calls: Sequence[Call], deliver: Deliver) -> None:
        self.trips.append([f"{each.command.name} {' '.join(each.arguments)}" for each in calls])
        await asyncio.sleep(0.01)
        for index, each in enumerate(calls):
            deliver(index, Result(each, 0, each.arguments[0].encode(), ""))


def test_collectors_share_round_trips() -> None:
    wire = Wire()
    batcher = Batcher(wire.send)

    async def collect(name: str, steps: int) -> list[str]:
        async with batcher.collector():
            return [(await batcher.run([call(PING, f"{name}{n}")]))[0].text for n in range(steps)]

    async def go() -> tuple[list[str], list[str], list[str]]:
        return await asyncio.gather(collect("a", 3), collect("b", 1), collect("c", 2))

    assert list(asyncio.run(go())) == [["a0", "a1", "a2"], ["b0"], ["c0", "c1"]]
    assert wire.trips == [["ping a0", "ping b0", "ping c0"], ["ping a1", "ping c1"], ["ping a2"]]
    assert batcher.round_trips == 3


def test_equal_calls_are_sent_once_and_samples_each_time() -> None:
    wire = Wire()
    batcher = Batcher(wire.send)

    async def collect() -> None:
        async with batcher.collector():
            await batcher.run([call(PING, "x"), call(SAMPLE, "x"), call(PING, "x")])
            await batcher.run([call(PING, "x")])
            await batcher.run([call(PING, "x"), call(SAMPLE, "x")])

    async def go() -> None:
        await asyncio.gather(collect(), collect())

    asyncio.run(go())
    assert wire.trips == [["ping x", "sample x", "sample x"], ["sample x", "sample x"]]


def test_forgotten_results_are_asked_for_again() -> None:
    wire = Wire()
    batcher = Batcher(wire.send)

    async def go() -> None:
        await batcher.run([call(PING, "x")])
        await batcher.run([call(PING, "x")])
        batcher.forget()
        await batcher.run([call(PING, "x")])

    asyncio.run(go())
    assert wire.trips == [["ping x"], ["ping x"]]


def test_a_caller_that_is_no_collector_does_not_wait_for_collectors() -> None:
    wire = Wire()
    batcher = Batcher(wire.send)
    released = asyncio.Event()

    async def slow() -> None:
        async with batcher.collector():
            await released.wait()
            await batcher.run([call(PING, "slow")])

    async def go() -> None:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        await batcher.run([call(PING, "urgent")])
        released.set()
        await task

    asyncio.run(go())
    assert wire.trips == [["ping urgent"], ["ping slow"]]


def test_a_collector_that_fails_does_not_hold_up_the_others() -> None:
    wire = Wire()
    batcher = Batcher(wire.send)

    async def failing() -> None:
        async with batcher.collector():
            await asyncio.sleep(0.01)
            raise ValueError

    async def waiting() -> None:
        async with batcher.collector():
            await batcher.run([call(PING, "x")])

    async def go() -> tuple[BaseException | None, BaseException | None]:
        return await asyncio.gather(failing(), waiting(), return_exceptions=True)

    failed, waited = asyncio.run(go())
    assert isinstance(failed, ValueError)
    assert waited is None


def test_a_cancelled_collector_does_not_take_a_shared_call_with_it() -> None:
    wire = Wire()
    batcher = Batcher(wire.send)

    async def collect() -> str:
        async with batcher.collector():
            return (await batcher.run([call(PING, "x")]))[0].text

    async def go() -> str:
        first, second = asyncio.create_task(collect()), asyncio.create_task(collect())
        await asyncio.sleep(0.002)
        first.cancel()
        return await second

    assert asyncio.run(go()) == "x"


def test_a_mistake_while_sending_reaches_the_callers() -> None:
    async def send(calls: Sequence[Call], deliver: Deliver) -> None:  # noqa: ARG001
        raise ZeroDivisionError

    async def go() -> None:
        await Batcher(send).run([call(PING, "x")])

    with pytest.raises(ZeroDivisionError):
        asyncio.run(go())


@pytest.mark.parametrize("missing", ["base64", "head", "tail"])
def test_a_server_without_the_tools_gives_no_answer(missing: str, tmp_path: Path) -> None:
    for tool in {"base64", "head", "tail", "timeout"} - {missing}:
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))

    async def go() -> list[Outcome]:
        async with local_shell(path=str(tmp_path)) as shell:
            return await outcomes_of(shell, call(PING, "x"))

    (outcome,) = asyncio.run(go())
    assert isinstance(outcome, UnavailableError)
    assert outcome.reason == "ping: the answer has no end"


def test_a_collector_that_is_done_does_not_hold_up_the_others() -> None:
    wire = Wire()
    batcher = Batcher(wire.send)
    others_served = asyncio.Event()

    async def reading() -> str:
        async with batcher.collector():
            await batcher.run([call(PING, "a")])
            batcher.done()
            await others_served.wait()
            return (await batcher.run([call(PING, "late")]))[0].text

    async def waiting() -> None:
        async with batcher.collector():
            await batcher.run([call(PING, "b")])
            await batcher.run([call(PING, "c")])
            others_served.set()

    async def go() -> str:
        async with asyncio.timeout(10):
            late, _ = await asyncio.gather(reading(), waiting())
            return late

    assert asyncio.run(go()) == "late"
    assert wire.trips == [["ping a", "ping b"], ["ping c"], ["ping late"]]


def test_base64_of_the_server_is_checked() -> None:
    async def go() -> Outcome:
        reader = asyncio.StreamReader()
        reader.feed_data(b"N begin 0\n!!!" + base64.b64encode(b"x") + b"\nN code 0\n\nN done 0\n")
        reader.feed_eof()
        shell = RemoteShell(Lines(reader), lambda _: None, "N", lambda *_: None, _no_words)
        return (await outcomes_of(shell, call(PING, "x")))[0]

    assert isinstance(asyncio.run(go()), UnavailableError)
