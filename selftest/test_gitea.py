"""Reading builds from Gitea: its stand-in's answers, what they are taken for, and the whole noun."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from acceptance.errors import UnavailableError
from acceptance.facts import gitea as asking
from acceptance.facts.base import Known, Unavailable, known
from acceptance.facts.builds import Builds, Commit, Status, Task, Tasks, Version
from acceptance.target import Target
from acceptance.transports.http import HttpAnswer
from rehearsal.apps.gitea import api
from rehearsal.apps.gitea import state as states
from rehearsal.apps.gitea.issuer import Issuer, make_key
from rehearsal.apps.gitea.state import State, Token
from rehearsal.services import gitea
from rehearsal.site import Site
from selftest import matrix

SHA = "a" * 40
REPOSITORY = f"/api/v1/repos/{gitea.REPOSITORY}"
READER, PACKAGES, PUBLIC = ("1" * 40, "2" * 40, "3" * 40)


def state() -> State:
    return State(
        version="1.25.5",
        repository=gitea.REPOSITORY,
        owner="letsbe",
        accounts={"matt": "correct horse"},
        tokens={
            READER: Token("matt", ("read:repository",)),
            PACKAGES: Token("matt", ("read:package",)),
            PUBLIC: Token("matt", ("read:repository", "public-only")),
        },
        branches={"main": SHA},
        commits={SHA: states.Commit(gitea.statuses(), {"a.txt": "text"})},
        tasks=gitea.tasks(SHA, 7),
    )


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(*make_key())


def asked(issuer: Issuer, path: str, authorization: str = f"token {READER}", **changes: object) -> HttpAnswer:
    """Ask the stand-in and return the answer as the transport would."""
    known_now = replace(state(), **changes)  # type: ignore[arg-type]
    found = api.answer(known_now, issuer, "GET", path, authorization)
    return HttpAnswer(
        status=found.status,
        headers={name.lower(): value for name, value in found.headers.items()},
        body=found.body,
        truncated=False,
        seconds=0,
        url=f"https://code.example{path}",
    )


# The stand-in's refusals, and what they are taken for


@pytest.mark.parametrize(
    ("path", "authorization", "status", "reason"),
    [
        ("/branches/main", f"token {'9' * 40}", 401, "the token is refused: unknown, revoked or expired"),
        ("/branches/main", "token short", 401, "the token is refused"),
        ("/branches/main", "", 404, "missing, or private and the token may not see it"),
        ("/branches/main", "nonsense", 404, "missing, or private"),
        ("/branches/gone", f"token {READER}", 404, "missing, or private"),
        ("/branches/main", f"token {PACKAGES}", 403, "the token lacks a scope .*read:repository"),
        ("/branches/main", f"token {PUBLIC}", 403, "the token is for public repositories only"),
        ("/actions/runs", f"token {READER}", 403, "it is for the repository's owner only"),
    ],
)
def test_refusals(issuer: Issuer, path: str, authorization: str, status: int, reason: str) -> None:
    answer = asked(issuer, REPOSITORY + path, authorization)
    assert answer.status == status
    with pytest.raises(UnavailableError, match=reason):
        raise asking.refusal(answer)


def test_a_list_of_runs_needs_a_token_even_where_all_is_public(issuer: Issuer) -> None:
    answer = asked(issuer, f"{REPOSITORY}/actions/runs", "", private=False)
    with pytest.raises(UnavailableError, match="only with a token"):
        raise asking.refusal(answer)


def test_a_moved_repository_is_not_followed() -> None:
    answer = HttpAnswer(
        status=301,
        headers={"location": "/api/v1/repos/other/name"},
        body=b"",
        truncated=False,
        seconds=0,
        url="u",
    )
    with pytest.raises(UnavailableError, match="moved to /api/v1/repos/other/name; not followed"):
        raise asking.refusal(answer)


def test_vacuous_answers_are_given_as_gitea_gives_them(issuer: Issuer) -> None:
    nothing = asked(issuer, f"{REPOSITORY}/commits/{SHA}/status", commits={SHA: states.Commit()}).json_body()
    assert (nothing["state"], nothing["statuses"], nothing["total_count"]) == ("", None, 0)
    skipped = asked(
        issuer,
        f"{REPOSITORY}/commits/{SHA}/status",
        commits={SHA: states.Commit(gitea.statuses("skipped"))},
    ).json_body()
    assert skipped["state"] == "success"
    assert asked(issuer, f"{REPOSITORY}/actions/runs/999/jobs").json_body() == {"jobs": [], "total_count": 0}


def test_pages_are_cut_at_fifty(issuer: Issuer) -> None:
    many = tuple(states.Status(f"build / job-{number} (push)", "success") for number in range(60))
    changes = {SHA: states.Commit(many)}
    first = asked(issuer, f"{REPOSITORY}/commits/{SHA}/status?limit=100", commits=changes)
    assert (len(first.json_body()["statuses"]), first.headers["x-total-count"]) == (50, "60")
    second = asked(issuer, f"{REPOSITORY}/commits/{SHA}/status?limit=50&page=2", commits=changes)
    assert len(second.json_body()["statuses"]) == 10


def _access(answer: HttpAnswer) -> list[object]:
    claims = answer.json_body()["token"].split(".")[1]
    granted: list[object] = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["access"]
    return granted


def test_registry_tokens(issuer: Issuer) -> None:
    path = f"/v2/token?service=s&scope=repository:{gitea.REPOSITORY}/crm-app:pull"

    def basic(login: str) -> str:
        return f"Basic {base64.b64encode(login.encode()).decode()}"

    for login in ("", basic("matt:correct horse"), basic(f"anybody:{PACKAGES}")):
        assert _access(asked(issuer, path, login)) != []
    for login in (basic("matt:wrong"), basic(f"matt:{READER}"), "Basic ???"):
        refused = asked(issuer, path, login)
        assert (refused.status, refused.body) == (401, b"Failed to authenticate user\n")
    assert _access(asked(issuer, "/v2/token?service=s&scope=repository:other/x:pull", "")) == []


# What the answers say


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        ("1.25.5", True),
        ("1.25.10", True),
        ("1.26.0+dev-123-gabcdef0", True),
        ("v1.25.5", True),
        ("2.0", True),
        ("1.25.4", False),
        ("1.25.5-rc0", False),
        ("1.9.9", False),
        ("", False),
    ],
)
def test_versions(text: str, enough: bool) -> None:
    assert Version(text=text).is_at_least("1.25.5") is enough


def test_a_version_that_cannot_be_compared() -> None:
    with pytest.raises(UnavailableError, match="cannot be compared"):
        Version(text="development").is_at_least("1.25.5")


def builds(statuses: tuple[Status, ...], tasks: tuple[Task, ...] = ()) -> Builds:
    return Builds(
        api="https://code.example/api/v1/repos/o/r",
        branch="main",
        version=Known(value=Version(text="1.25.5")),
        commit=Known(value=Commit(id=SHA, origin="the head of main")),
        statuses=Known(value=statuses),
        tasks=Known(value=Tasks(of_commit=tasks, read=len(tasks), newest=SHA)),
    )


def status(context: str, word: str = "success") -> Status:
    return Status(context=context, state=word)


def test_only_what_a_push_started_counts_for_a_job() -> None:
    seen = builds((status("CI / lint (pull_request)"), status("CI / lint (push)", "failure")))
    assert seen.troubles(["lint"]) == ("CI / lint (push) is failure",)
    assert builds((status("CI / lint (pull_request)"),)).missing(["lint"], assumed=False) == ("lint",)
    assert builds((status("CI / lint (pull_request)"),)).of("CI / lint (pull_request)")


def test_a_job_of_two_workflows_must_succeed_in_both() -> None:
    seen = builds((status("a / lint (push)"), status("b / lint (push)", "pending")))
    assert seen.troubles(["lint"]) == ("b / lint (push) is pending: the run is still going",)


def test_nothing_at_all_is_not_green() -> None:
    seen = builds(())
    assert seen.troubles(["lint"]) == (f"no status at all; the newest run is of commit {SHA[:12]}",)
    with pytest.raises(UnavailableError, match="cannot be compared"):
        seen.contradictions(["lint"])


def test_an_assumed_name_that_is_wrong() -> None:
    seen = builds((status("CI / check (push)"),))
    assert seen.troubles(["lint"]) == ()
    with pytest.raises(UnavailableError, match=r"no status of lint by a push, but of CI / check \(push\)"):
        seen.missing(["lint"], assumed=True)


def test_the_newest_run_of_a_job_is_compared() -> None:
    older, newer = (
        Task(job="lint", workflow="ci.yml", run=run, status=word)
        for run, word in ((1, "failure"), (2, "success"))
    )
    assert builds((status("CI / lint (push)"),), (newer, older)).contradictions(["lint"]) == ()
    seen = builds((status("CI / lint (push)"), status("CI / build (push)")), (older,))
    assert seen.contradictions(["lint", "build"]) == (
        "lint of run 1 (ci.yml) is failure",
        "build was given to no runner",
    )


def test_a_job_that_is_in_no_entry_that_was_read_may_be_further_down() -> None:
    task = Task(job="lint", workflow="ci.yml", run=2, status="success")
    seen = builds((status("CI / lint (push)"), status("CI / build (push)")), (task,))
    cut: Known[Tasks] = Known(value=known(seen.tasks).model_copy(update={"is_whole": False}))
    with pytest.raises(UnavailableError, match=r"none of the newest 1 tasks is build .*; the list goes on"):
        seen.model_copy(update={"tasks": cut}).contradictions(["lint", "build"])


# The whole noun


def look(target: Target, directory: Path) -> Builds:
    found = matrix.Observer(target, directory).look(["builds"]).facts["builds"]
    assert isinstance(found, Builds), found
    return found


@contextmanager
def with_statuses(site: Site, *statuses: states.Status) -> Iterator[None]:
    changed = gitea.state(site).with_commit(gitea.head(site), statuses=statuses)
    with gitea.changed(site, commits=changed.commits):
        yield


@pytest.mark.user
def test_the_head_of_the_branch_is_read(target: Target, site: Site, tmp_path: Path) -> None:
    seen = look(target, tmp_path)
    assert known(seen.commit) == Commit(id=gitea.head(site), origin="the head of main")
    assert seen.troubles(gitea.JOBS) == seen.contradictions(gitea.JOBS) == ()
    assert Builds.model_validate_json(seen.model_dump_json()) == seen
    ledger = (tmp_path / "ledger.jsonl").read_text()
    assert target.gitea is not None
    assert target.gitea.token is not None
    assert Path(target.gitea.token.removeprefix("file:")).read_text() not in ledger + seen.model_dump_json()


def test_a_failure_on_the_second_page_is_seen(target: Target, site: Site, tmp_path: Path) -> None:
    others = [states.Status(f"build / other-{number} (push)", "success") for number in range(55)]
    with with_statuses(site, *others, *gitea.statuses("failure")):
        seen = look(target, tmp_path)
    assert len(known(seen.statuses)) == 57
    assert len(seen.troubles(gitea.JOBS)) == 2


def test_the_declared_commit_is_judged_though_it_is_long_ago(
    target: Target, site: Site, tmp_path: Path
) -> None:
    older = "0" * 39 + "1"
    tasks = gitea.state(site).tasks
    many = tuple(task for number in range(100, 40, -1) for task in gitea.tasks(f"{number:040x}", number))
    with gitea.changed(site, tasks=(*many, *tasks)):
        compose = target.compose.model_copy(update={"commit": older})
        seen = look(target.model_copy(update={"compose": compose}), tmp_path)
    assert known(seen.commit).origin == "compose.commit of the target file"
    assert seen.troubles(gitea.JOBS) == seen.contradictions(gitea.JOBS) == ()
    assert known(seen.tasks).read > 120


def test_without_a_section_nothing_is_asked(target: Target, tmp_path: Path) -> None:
    compose = target.compose.model_copy(update={"commit": SHA})
    seen = look(target.model_copy(update={"gitea": None, "compose": compose}), tmp_path)
    assert known(seen.commit).id == SHA
    assert isinstance(seen.version, Unavailable)
    assert isinstance(seen.statuses, Unavailable)
    assert seen.statuses.reason == "the target file has no [gitea]"
