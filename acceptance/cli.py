"""`acceptance …`: what is not a test run."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from acceptance import cli_annotate, cli_commands, cli_cutover, cli_doctor, cli_evidence, cli_replay
from acceptance.errors import UnavailableError, UsageError
from acceptance.options import REHEARSED_STAGE

USAGE = 4
"""Exit code for wrong input, as pytest's."""

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and SIGTERM, as shells have them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except UsageError as error:
        print(f"acceptance: {error}", file=sys.stderr)  # noqa: T201
        return USAGE
    except UnavailableError as error:
        print(f"acceptance: {error.reason}; {error.remedy}.", file=sys.stderr)  # noqa: T201
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="acceptance", description="Port Nimara acceptance suite: what is not a test run")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    rehearse = commands.add_parser("rehearse", help="leave a rehearsal running, end one, or list its faults")
    rehearse.add_argument(
        "--keep", action="store_true", help="boot a rehearsal and leave it running until Ctrl-C"
    )
    rehearse.add_argument(
        "--fault", action="append", default=[], metavar="NAME", help="inject a fault (repeatable)"
    )
    rehearse.add_argument(
        "--stage", type=int, metavar="N", help="with --keep: stage of the website's cutover (1)"
    )
    rehearse.add_argument(
        "--documenso", metavar="VERSION", help="with --keep: have this Documenso beside the CRM"
    )
    rehearse.add_argument(
        "--clone", action="store_true", help="with --documenso: the plan's disposable clone"
    )
    rehearse.add_argument("--target-file", type=Path, metavar="FILE", help="where to write its target file")
    rehearse.add_argument("--stop", type=Path, metavar="FILE", help="end the rehearsal that FILE describes")
    rehearse.add_argument("--list-faults", action="store_true", help="list every fault and what it turns red")
    rehearse.add_argument("--json", action="store_true", help="with --list-faults: as JSON")
    rehearse.set_defaults(run=_rehearse)
    schema = commands.add_parser("schema", help="what the CRM's database must hold")
    schema_commands = schema.add_subparsers(required=True, metavar="COMMAND")
    manifest = schema_commands.add_parser(
        "manifest", help="write the columns of a freshly migrated database to a file"
    )
    manifest.add_argument(
        "--dsn", required=True, help="reference to its connection string: env:NAME, file:PATH or cmd:COMMAND"
    )
    manifest.add_argument("--commit", required=True, metavar="SHA", help="whose migrations made it")
    manifest.add_argument("--output", required=True, type=Path, metavar="FILE", help="a new file")
    manifest.add_argument(
        "--schema", action="append", metavar="NAME", help="whose tables to name (repeatable; public)"
    )
    manifest.set_defaults(run=_schema_manifest)
    cli_commands.register(commands)
    cli_annotate.register(commands)
    cli_cutover.register(commands)
    cli_doctor.register(commands)
    cli_replay.register(commands)
    cli_evidence.register(commands)
    return parser


def _rehearse(options: argparse.Namespace) -> int:
    asked = [bool(options.keep), options.stop is not None, bool(options.list_faults)]
    if sum(asked) != 1:
        raise UsageError("rehearse: give one of --keep, --stop FILE and --list-faults.")
    if options.stage is not None and not options.keep:
        raise UsageError("rehearse --stage: it goes with --keep.")
    if options.documenso is not None and not options.keep:
        raise UsageError("rehearse --documenso: it goes with --keep.")
    if options.clone and options.documenso is None:
        raise UsageError("rehearse --clone: give its version with --documenso.")
    if options.list_faults:
        return _list_faults(as_json=options.json)
    if options.stop:
        return _stop(options.stop)
    if options.target_file is None:
        raise UsageError("rehearse --keep: give --target-file FILE; it is how a run finds the rehearsal.")
    named = f"{options.documenso} clone" if options.clone else options.documenso
    return _keep(options.fault, options.target_file, options.stage, named)


def _schema_manifest(options: argparse.Namespace) -> int:
    from acceptance import schema_manifest  # noqa: PLC0415 - only this command needs a database driver

    schemas = options.schema or ["public"]
    manifest = schema_manifest.produce(options.dsn, options.commit, schemas, options.output)
    _say(f"{options.output}: {manifest.extent} ({manifest.origin})")
    return 0


def _list_faults(*, as_json: bool) -> int:
    from rehearsal.faults.catalogue import FAULTS  # noqa: PLC0415 - an operator's machine may lack it

    if as_json:
        listed = [
            {
                "name": fault.name,
                "notice": fault.notice,
                "reddens": list(fault.reddens),
                "blinds": fault.blinds,
                "stage": fault.stage,
            }
            for fault in FAULTS.values()
        ]
        _say(json.dumps(listed, indent=1))
        return 0
    for fault in FAULTS.values():
        red = ", ".join(fault.reddens) or "nothing; UNKNOWN instead"
        _say(f"{fault.name}\n    {fault.notice}\n    red: {red}")
    return 0


def _keep(faults: Sequence[str], target_file: Path, stage: int | None, documenso: str | None) -> int:
    from rehearsal.client import boot  # noqa: PLC0415 - an operator's machine may lack it
    from rehearsal.faults.catalogue import FAULTS  # noqa: PLC0415
    from rehearsal.instances import NONE, Instance  # noqa: PLC0415
    from rehearsal.stages import STAGES  # noqa: PLC0415

    stage = REHEARSED_STAGE if stage is None else stage
    if stage not in range(len(STAGES)):
        raise UsageError(f"--stage {stage}: the stages are 0 to {len(STAGES) - 1}; name one of them.")
    try:
        instance = Instance.parse(documenso or NONE)
    except ValueError as error:
        raise UsageError(f"rehearse --documenso: {error}.") from error
    unknown = [name for name in faults if name not in FAULTS]
    if unknown:
        raise UsageError(
            f"--fault {unknown[0]}: there is no such fault; see acceptance rehearse --list-faults."
        )
    if target_file.exists() or target_file.is_symlink():
        raise UsageError(f"--target-file {target_file}: it exists already; name a new file.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    with boot(_say, stage, instance) as rehearsal, ExitStack() as cleanup:
        for name in faults:
            rehearsal.inject(name)
            _say(f"injected {name}")
        target_file.symlink_to(rehearsal.target_file)
        cleanup.callback(target_file.unlink, missing_ok=True)
        _say(f"ready: pytest -m GATE --target {target_file}   (ends on Ctrl-C)")
        rehearsal.wait()
    return 0


def _stop(target_file: Path) -> int:
    from rehearsal.client import attach  # noqa: PLC0415 - an operator's machine may lack it

    if not target_file.is_file():
        raise UsageError(f"--stop {target_file}: there is no such file; has the rehearsal ended already?")
    attach(target_file).stop()
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
