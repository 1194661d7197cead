"""The commit to deploy and how its builds ended, as Gitea tells it.

The list of runs is for a repository's owner only in Gitea 1.25. So the commit's statuses are read, and
compared with the tasks that runners were given.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from acceptance.errors import UnavailableError
from acceptance.facts import gitea
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.guard.requests import GITEA_BRANCH, GITEA_STATUS, GITEA_TASKS, GITEA_VERSION

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Target

T = TypeVar("T")

MOST_PAGES = 10
"""How many pages of a list are read at most."""

_CONTEXT = re.compile(r"(?P<workflow>.*) / (?P<job>.+) \((?P<event>\w+)\)")
_EVENT = "push"
_NUMBER = re.compile(r"v?(?P<numbers>\d+(?:\.\d+)*)(?P<rest>.*)")


class Commit(Fact):
    """The commit to deploy.

    Attributes:
        origin: who says that it is this one.
    """

    id: str
    origin: str

    def __str__(self) -> str:
        return f"commit {self.id[:12]} ({self.origin})"


class Version(Fact):
    """What answers where Gitea's API tells its version.

    Attributes:
        text: the version; empty if what answers is not Gitea's API.
        instead: what that is.
    """

    text: str
    instead: str = ""

    def __str__(self) -> str:
        return self.text or self.instead

    def is_at_least(self, oldest: str) -> bool:
        """Tell whether it is that version or a newer one; a release candidate is older than its release.

        Raises:
            UnavailableError: it is written in a way that cannot be compared.
        """
        if not self.text:
            return False
        own, other = _NUMBER.fullmatch(self.text), _numbers(oldest)
        if own is None:
            raise UnavailableError(f"Gitea's version {self.text!r} cannot be compared with {oldest}")
        numbers = _numbers(own["numbers"])
        return numbers > other or (numbers == other and not own["rest"].startswith("-"))


class Status(Fact):
    """The newest status of a commit in one context.

    Attributes:
        context: for a job of Gitea Actions `<workflow> / <job> (<event>)`.
        state: pending, success, error, failure, warning or skipped.
    """

    context: str
    state: str
    description: str = ""

    @property
    def job(self) -> str:
        """The name of the job that was started by a push; empty for anything else."""
        match = _CONTEXT.fullmatch(self.context)
        return match["job"] if match and match["event"] == _EVENT else ""

    def __str__(self) -> str:
        still = ": the run is still going" if self.state == "pending" else ""
        return f"{self.context} is {self.state}{still}" + (
            f" ({self.description})" if self.description else ""
        )


class Task(Fact):
    """The newest attempt at a job of the commit that a runner was given.

    Attributes:
        status: Gitea's own word: success, failure, cancelled, skipped, waiting, running, blocked, unknown.
    """

    job: str
    workflow: str
    run: int
    status: str

    def __str__(self) -> str:
        return f"{self.job} of run {self.run} ({self.workflow}) is {self.status}"


class Tasks(Fact):
    """What runners were given.

    Attributes:
        of_commit: for the commit to deploy by a push to the branch, newest run first.
        read: how many entries of the list were read, from the newest on.
        is_whole: False if the list goes on where those of the commit may stand.
        newest: the commit of the newest entry; empty if there is none.
    """

    of_commit: tuple[Task, ...]
    read: int
    is_whole: bool = True
    newest: str


class Builds(Fact):
    """The commit to deploy and its builds."""

    api: str
    branch: str
    version: Attempt[Version]
    commit: Attempt[Commit]
    statuses: Attempt[tuple[Status, ...]]
    tasks: Attempt[Tasks]

    @property
    def version_source(self) -> Source:
        """Where the version was seen."""
        address = f"{self.api.partition('/repos/')[0]}/version"
        return Source(where=address, again=f"curl {address}")

    @property
    def source(self) -> Source:
        """Where the statuses were seen."""
        address = f"{self.api}/commits/{known(self.commit).id}/status?limit={gitea.PAGE_LENGTH}"
        return Source(where=address, again=f"curl -H 'Authorization: token …' '{address}'")

    @property
    def tasks_source(self) -> Source:
        """Where the tasks were seen."""
        address = f"{self.api}/actions/tasks?limit={gitea.PAGE_LENGTH}"
        return Source(where=address, again=f"curl -H 'Authorization: token …' '{address}'")

    def of(self, required: str) -> tuple[Status, ...]:
        """Return the commit's statuses of a required job, or of a whole context.

        Raises:
            UnavailableError: the statuses could not be read.
        """
        found = known(self.statuses)
        return tuple(each for each in found if required in (each.job, each.context))

    def troubles(self, required: Iterable[str]) -> tuple[str, ...]:
        """Name the required jobs that did not succeed; a commit without a status is one trouble.

        Raises:
            UnavailableError: the statuses could not be read.
        """
        if not known(self.statuses):
            return (f"no status at all{self._newest}",)
        return tuple(str(each) for name in required for each in self.of(name) if each.state != "success")

    @property
    def _newest(self) -> str:
        newest = self.tasks.value.newest if self.tasks.state == "known" else ""
        return f"; the newest run is of commit {newest[:12]}" if newest else ""

    def missing(self, required: Iterable[str], *, assumed: bool) -> tuple[str, ...]:
        """Return the required jobs that the commit has no status of.

        Raises:
            UnavailableError: their names are assumed, so another one may be right; or there are no statuses.
        """
        absent = tuple(name for name in required if not self.of(name))
        if absent and assumed:
            there = ", ".join(each.context for each in known(self.statuses))
            raise UnavailableError(
                f"assumed name not found: no status of {', '.join(absent)} by a push, but of {there}",
                "correct gitea.jobs in the target file",
            )
        return absent

    def contradictions(self, required: Iterable[str]) -> tuple[str, ...]:
        """Name what runners were given for the required jobs and did not end well.

        Jobs that wait, are blocked or are skipped were given to no runner.

        Raises:
            UnavailableError: the list could not be read, or does not go back to the commit.
        """
        tasks, commit = known(self.tasks), known(self.commit)
        if not tasks.of_commit:
            raise UnavailableError(
                f"none of the newest {tasks.read} tasks is of {commit}, so its statuses cannot be compared"
            )
        names = dict.fromkeys(each.job for name in required for each in self.of(name) if each.job)
        newest = {name: next((task for task in tasks.of_commit if task.job == name), None) for name in names}
        found = tuple(str(task) for task in newest.values() if task and task.status != "success")
        absent = tuple(name for name, task in newest.items() if task is None)
        if absent and not found and not tasks.is_whole:
            raise UnavailableError(
                f"none of the newest {tasks.read} tasks is {', '.join(absent)} of {commit}; the list goes on"
            )
        return (*found, *(f"{name} was given to no runner" for name in absent))


def required(target: Target) -> tuple[str, ...]:
    """Return the jobs that must have succeeded; pure.

    Raises:
        UnavailableError: the target names none.
    """
    jobs = target.gitea.jobs if target.gitea else ()
    if not jobs:
        raise UnavailableError("the target file names no job that must succeed", "set gitea.jobs there")
    return jobs


def oldest(target: Target) -> str:
    """Return the oldest version of Gitea that will do; pure.

    Raises:
        UnavailableError: the target names none.
    """
    if target.gitea is None or target.gitea.version is None:
        raise UnavailableError("the target file names no version of Gitea", "set gitea.version there")
    return target.gitea.version


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


class _Head(BaseModel):
    id: str


class _Branch(BaseModel):
    commit: _Head


class _Status(BaseModel):
    context: str
    status: str
    description: str = ""


class _Combined(BaseModel):
    sha: str
    statuses: list[_Status] | None = None


class _Task(BaseModel):
    name: str
    head_branch: str
    head_sha: str
    run_number: int
    event: str
    status: str
    workflow_id: str


class _TaskList(BaseModel):
    workflow_runs: list[_Task] | None = None


async def _version(access: Access) -> Version:
    answer = await gitea.ask(access, GITEA_VERSION.name, "/api/v1/version")
    document = answer.json_body()
    text = document.get("version") if isinstance(document, dict) else None
    if answer.status == 200 and isinstance(text, str) and text:
        return Version(text=text)
    if answer.status in (200, 404, 410):
        return Version(text="", instead=f"HTTP {answer.status} without a version: {answer.excerpt}")
    raise gitea.refusal(answer)


async def _commit(access: Access) -> Commit:
    declared = access.target.compose.commit
    if declared:
        return Commit(id=declared, origin="compose.commit of the target file")
    settings = gitea.settings(access)
    answer = await gitea.get(access, GITEA_BRANCH.name, settings.branch_path)
    return Commit(id=gitea.read(answer, _Branch).commit.id, origin=f"the head of {settings.branch}")


async def _statuses(access: Access, commit: str) -> tuple[Status, ...]:
    """Read every page: Gitea's combined state covers one page only.

    Raises:
        UnavailableError: they cannot be read, or there are more than ten pages of them.
    """
    found: dict[str, Status] = {}
    for page in range(1, MOST_PAGES + 1):
        path = f"{gitea.settings(access).api}/commits/{commit}/status?page={page}&limit={gitea.PAGE_LENGTH}"
        answer = await gitea.get(access, GITEA_STATUS.name, path)
        rows = gitea.read(answer, _Combined).statuses or []
        for row in rows:
            status = Status(context=row.context, state=row.status, description=row.description)
            found.setdefault(row.context, status)
        if len(rows) < gitea.PAGE_LENGTH or str(page * gitea.PAGE_LENGTH) == answer.headers.get(
            "x-total-count"
        ):
            return tuple(found.values())
    raise UnavailableError(f"commit {commit[:12]} has more than {MOST_PAGES * gitea.PAGE_LENGTH} statuses")


async def _tasks(access: Access, commit: str) -> Tasks:
    """Read the newest tasks until those of the commit were passed; the list knows no filter."""
    settings = gitea.settings(access)
    rows: list[_Task] = []
    is_whole = False
    for page in range(1, MOST_PAGES + 1):
        path = f"{settings.api}/actions/tasks?page={page}&limit={gitea.PAGE_LENGTH}"
        answer = await gitea.get(access, GITEA_TASKS.name, path)
        found = gitea.read(answer, _TaskList).workflow_runs or []
        rows += found
        passed = any(_is_of(row, commit) for row in rows) and not any(_is_of(row, commit) for row in found)
        is_whole = len(found) < gitea.PAGE_LENGTH
        if is_whole or passed:
            break
    return Tasks(
        is_whole=is_whole,
        of_commit=_newest(row for row in rows if _is_of(row, commit) and row.head_branch == settings.branch),
        read=len(rows),
        newest=rows[0].head_sha if rows else "",
    )


def _is_of(row: _Task, commit: str) -> bool:
    return row.event == _EVENT and row.head_sha.startswith(commit)


def _newest(rows: Iterable[_Task]) -> tuple[Task, ...]:
    """Return the newest attempt of each job of each run; the rows come newest first."""
    found: dict[tuple[str, int, str], Task] = {}
    for row in rows:
        task = Task(job=row.name, workflow=row.workflow_id, run=row.run_number, status=row.status)
        found.setdefault((row.workflow_id, row.run_number, row.name), task)
    return tuple(sorted(found.values(), key=lambda task: -task.run))


async def _attempt(look: Coroutine[Any, Any, T]) -> Known[T] | Unavailable:
    try:
        return Known(value=await look)
    except UnavailableError as error:
        return Unavailable.of(error)


async def collect(access: Access) -> Builds:
    """Read the version, the commit, its statuses and its tasks."""
    settings = access.target.gitea
    version, commit = await asyncio.gather(_attempt(_version(access)), _attempt(_commit(access)))
    statuses: Known[tuple[Status, ...]] | Unavailable
    tasks: Known[Tasks] | Unavailable
    if isinstance(commit, Unavailable):
        statuses = tasks = commit
    else:
        statuses, tasks = await asyncio.gather(
            _attempt(_statuses(access, commit.value.id)), _attempt(_tasks(access, commit.value.id))
        )
    return Builds(
        api=f"https://{settings.name}{settings.api}" if settings else "",
        branch=settings.branch if settings else "",
        version=version,
        commit=commit,
        statuses=statuses,
        tasks=tasks,
    )


NOUN = Noun("builds", Builds, collect, sources=("gitea",))
