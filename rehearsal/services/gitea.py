"""Gitea: where the CRM's source code and its builds are, and who gives the registry's tokens."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from acceptance import contract
from rehearsal.apps.gitea import state as states
from rehearsal.apps.gitea.issuer import Issuer, make_key
from rehearsal.apps.gitea.state import Commit, State, Status, Task, Token
from rehearsal.namespace import REPOSITORY as PYTHON_PATH
from rehearsal.runtime.spec import Program
from rehearsal.services.files import accepts, make_directory, write
from rehearsal.site import Site

PORT = 3000
VERSION = "1.25.5"
REPOSITORY = "letsbe/pn-new-crm"
BRANCH = "main"
OWNER = "letsbe"
READER = "matt"
JOBS = ("lint", "build-and-push")
WORKFLOW = "build"
ENV_SCHEMA = "src/lib/env.ts"
ENV_EXAMPLE = ".env.example"

_OLDER = 3
"""So many green runs were before the newest one."""


def create_issuer(site: Site) -> None:
    """Make the key of the registry's tokens, and the certificate that the registry trusts.

    Raises:
        OSError: a file cannot be written.
    """
    account = site.account("store")
    make_directory(_directory(site), mode=0o700, account=account)
    key, certificate = make_key()
    write(_directory(site) / "issuer.key", key, mode=0o600, account=account)
    write(issuer_certificate(site), certificate, account=account)


def issuer_certificate(site: Site) -> Path:
    """Return the certificate by which the registry knows the tokens."""
    return _directory(site) / "issuer.pem"


def issuer(site: Site) -> Issuer:
    """Return who signs the registry's tokens.

    Raises:
        OSError: its key was not made.
    """
    key = (_directory(site) / "issuer.key").read_text(encoding="ascii")
    return Issuer(key, issuer_certificate(site).read_text(encoding="ascii"))


def prepare(site: Site, commit: str) -> None:
    """Write what the stand-in knows: a private repository whose newest commit was built.

    Raises:
        OSError: a file cannot be written.
        UsageError: the contract, from whose names the files of the commit are made, cannot be read.
    """
    credentials = site.credentials
    older = [f"{number:040x}" for number in range(_OLDER, 0, -1)]
    known = State(
        version=VERSION,
        repository=REPOSITORY,
        owner=OWNER,
        accounts={READER: credentials.gitea_password},
        tokens={
            credentials.gitea_token: Token(READER, ("read:repository",)),
            credentials.registry_token: Token(READER, ("read:package",)),
            credentials.server_registry_token: Token(READER, ("read:package",)),
        },
        branches={BRANCH: commit},
        commits={commit: Commit(statuses(), files()), **{sha: Commit(statuses()) for sha in older}},
        tasks=tuple(
            task
            for number, sha in zip(range(_OLDER + 1, 0, -1), (commit, *older), strict=True)
            for task in tasks(sha, number)
        ),
    )
    write(_state_file(site), "", mode=0o600, account=site.account("store"))
    states.save(known, _state_file(site))


def program(site: Site) -> Program:
    """Return the stand-in as a program."""
    address = site.address("gitea")
    return Program(
        name="gitea",
        argv=(sys.executable, "-m", "rehearsal.apps.gitea"),
        account=site.account("store"),
        log=site.root / "gitea.log",
        ready=lambda: accepts(address, PORT),
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(PYTHON_PATH),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GITEA_DIRECTORY": str(_directory(site)),
            "GITEA_ADDRESS": address,
            "GITEA_PORT": str(PORT),
        },
    )


def statuses(word: str = "success", description: str = "Successful in 1m2s") -> tuple[Status, ...]:
    """Return a commit's statuses, one for each job."""
    return tuple(Status(context(job), word, description) for job in JOBS)


def context(job: str) -> str:
    """Return the name of a job's status as Gitea Actions gives it."""
    return f"{WORKFLOW} / {job} (push)"


def tasks(commit: str, run: int, status: str = "success") -> tuple[Task, ...]:
    """Return the tasks of a commit's run, the newest first."""
    return tuple(Task(job, commit, run, status) for job in reversed(JOBS))


def files(*new: str) -> dict[str, str]:
    """Return the commit's files that name the CRM's variables: those of the contract, and new ones."""
    names = (*contract.of("crm").names, *new)
    fields = "".join(f"  {name}: z.string().optional(),\n" for name in names)
    return {
        ENV_SCHEMA: f'import {{ z }} from "zod";\n\nexport const schema = z.object({{\n{fields}}});\n',
        ENV_EXAMPLE: "# Copy to .env\n" + "".join(f"{name}=\n" for name in names),
    }


def state(site: Site) -> State:
    """Return what the stand-in knows now.

    Raises:
        OSError: it cannot be read.
    """
    return states.load(_state_file(site))


def head(site: Site) -> str:
    """Return the newest commit of the branch.

    Raises:
        OSError: the state cannot be read.
    """
    return state(site).branches[BRANCH]


@contextmanager
def changed(site: Site, **changes: object) -> Iterator[None]:
    """Let fields of the state have other values for a while."""
    before = state(site)
    states.save(replace(before, **changes), _state_file(site))  # type: ignore[arg-type]
    try:
        yield
    finally:
        states.save(before, _state_file(site))


@contextmanager
def headed(site: Site, sha: str, commit: Commit, run: Sequence[Task]) -> Iterator[None]:
    """Let the branch have another newest commit for a while, and its tasks be the newest."""
    before = state(site)
    after = before.with_head(sha, commit)
    states.save(replace(after, tasks=(*run, *before.tasks)), _state_file(site))
    try:
        yield
    finally:
        states.save(before, _state_file(site))


def _directory(site: Site) -> Path:
    return site.root / "gitea"


def _state_file(site: Site) -> Path:
    return _directory(site) / "state.json"
