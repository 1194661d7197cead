"""What goes wrong with the builds, and with Gitea."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from rehearsal.apps.gitea.state import Commit, Status, Token
from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import gitea

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_TOUCHED = ("builds",)
_OF_COMMIT = ("builds", "release", "source_keys")
_LINT, _BUILD = gitea.JOBS


def _ended(stack: Stack, statuses: tuple[Status, ...], *words: str) -> Course:
    """Let the newest commit have other statuses, and its run's tasks other words; no word for no task."""
    commit = gitea.head(stack.site)
    state = gitea.state(stack.site)
    run = max(task.run_number for task in state.tasks)
    given = tuple(
        replace(task, status=word) for task, word in zip(gitea.tasks(commit, run)[::-1], words, strict=False)
    )
    others = tuple(task for task in state.tasks if task.run_number != run)
    changed = state.with_commit(commit, statuses=statuses)
    with gitea.changed(stack.site, commits=changed.commits, tasks=(*given[::-1], *others)):
        yield


@fault(
    "ci-job-failed",
    notice="a red cross beside the commit; the images of the commit before are still there",
    reddens=("ci.main-green",),
    touches=_TOUCHED,
)
def job_failed(stack: Stack) -> Course:
    """Let lint fail; what needs it is skipped."""
    statuses = (
        Status(gitea.context(_LINT), "failure", "Failing after 3s"),
        Status(gitea.context(_BUILD), "skipped", "Has been skipped"),
    )
    yield from _ended(stack, statuses, "failure")


@fault(
    "ci-still-running",
    notice="a yellow dot beside the commit",
    reddens=("ci.main-green",),
    touches=_TOUCHED,
)
def still_running(stack: Stack) -> Course:
    """Let the images still be built."""
    statuses = (
        Status(gitea.context(_LINT), "success", "Successful in 1m2s"),
        Status(gitea.context(_BUILD), "pending", "Has started running"),
    )
    yield from _ended(stack, statuses, "success", "running")


@fault(
    "ci-all-skipped",
    notice="a green tick beside the commit, and no image of it",
    reddens=("ci.main-green",),
    touches=_TOUCHED,
)
def all_skipped(stack: Stack) -> Course:
    """Skip every job, which Gitea sums up as success."""
    yield from _ended(stack, gitea.statuses("skipped", "Has been skipped"))


@fault(
    "ci-not-run",
    notice="no sign beside the newest commit; the one before was green",
    reddens=("ci.main-green", "registry.images"),
    touches=_OF_COMMIT,
)
def not_run(stack: Stack) -> Course:
    """Push a commit that no run was started for."""
    with gitea.headed(stack.site, secrets.token_hex(20), Commit(files=gitea.files()), ()):
        yield


@fault(
    "ci-status-forged",
    notice="a green tick beside the commit, though the runner says failure",
    reddens=("ci.main-green",),
    touches=_TOUCHED,
)
def status_forged(stack: Stack) -> Course:
    """Set the statuses to success by hand after the build failed."""
    yield from _ended(stack, gitea.statuses(), "success", "failure")


@fault(
    "ci-image-not-pushed",
    notice="everything is green, but the server pulls the images of the commit before",
    reddens=("registry.images",),
    touches=_OF_COMMIT,
)
def image_not_pushed(stack: Stack) -> Course:
    """Push a commit whose build ended well without pushing."""
    commit = secrets.token_hex(20)
    run = gitea.tasks(commit, max(task.run_number for task in gitea.state(stack.site).tasks) + 1)
    with gitea.headed(stack.site, commit, Commit(gitea.statuses(), gitea.files()), run):
        yield


@fault(
    "ci-new-variable",
    notice="nothing, until the new version asks for its variable",
    reddens=("env.crm.source-drift",),
    touches=("source_keys",),
)
def new_variable(stack: Stack) -> Course:
    """Let the commit know a variable that the contract does not."""
    state = gitea.state(stack.site)
    changed = state.with_commit(gitea.head(stack.site), files=gitea.files("NEW_UPSTREAM_KEY"))
    with gitea.changed(stack.site, commits=changed.commits):
        yield


@fault(
    "ci-gitea-old",
    notice="Gitea was set back to a backup with an older version",
    reddens=("ci.version",),
    touches=_TOUCHED,
)
def gitea_old(stack: Stack) -> Course:
    """Run an older version."""
    with gitea.changed(stack.site, version="1.24.7"):
        yield


@fault(
    "ci-api-gone",
    notice="Gitea's pages work, its API does not",
    reddens=("ci.version",),
    touches=_OF_COMMIT,
)
def api_gone(stack: Stack) -> Course:
    """Answer 404 to everything below /api."""
    with gitea.changed(stack.site, gone=True):
        yield


@fault(
    "source-gitea-unreachable",
    notice="502 Bad Gateway from Gitea, and nobody gets a token for the registry",
    touches=(*_OF_COMMIT, "registry", "server_login"),
    blinds=True,
)
def gitea_unreachable(stack: Stack) -> Course:
    """Stop Gitea."""
    stack.program("gitea").stop()
    yield
    stack.program("gitea").start()


@fault(
    "source-gitea-token-revoked",
    notice="Gitea refuses the operator's token",
    touches=_OF_COMMIT,
    blinds=True,
)
def token_revoked(stack: Stack) -> Course:
    """Let the operator have a token that Gitea does not know."""
    with tools.replaced(stack.site.secrets / "gitea_token", secrets.token_hex(20)):
        yield


@fault(
    "source-gitea-token-scope",
    notice="the operator's token was made for something else",
    touches=_OF_COMMIT,
    blinds=True,
)
def token_scope(stack: Stack) -> Course:
    """Take the scope from the operator's token."""
    state = gitea.state(stack.site)
    token = stack.site.credentials.gitea_token
    with gitea.changed(stack.site, tokens={**state.tokens, token: Token(gitea.READER, ("read:package",))}):
        yield
