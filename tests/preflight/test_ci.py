"""Did the commit to deploy pass its builds?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.builds import Builds, oldest, required
from acceptance.target import Target


@pytest.mark.item("ci.main-green")
def test_required_jobs_succeeded(builds: Builds, target: Target) -> None:
    """Each required job succeeded for the very commit. A deploy takes the images whatever the jobs said."""
    jobs, commit = required(target), known(builds.commit)
    troubles = builds.troubles(jobs)
    verify(
        not troubles,
        expected=f"success of {', '.join(jobs)} for {commit}",
        seen="; ".join(troubles) or "success",
        source=builds.source,
    )
    missing = builds.missing(jobs, assumed=target.is_assumed("gitea.jobs"))
    verify(
        not missing,
        expected=f"a status of each of {', '.join(jobs)} for {commit}",
        seen=f"none of {', '.join(missing)}" if missing else "one of each",
        source=builds.source,
    )


@pytest.mark.item("ci.main-green")
def test_runners_agree(builds: Builds, target: Target) -> None:
    """What runners did agrees with the statuses, which anybody who may write to the repository can set."""
    contradictions = builds.contradictions(required(target))
    verify(
        not contradictions,
        expected=f"success of what runners were given for {known(builds.commit)}",
        seen="; ".join(contradictions) or "success",
        source=builds.tasks_source,
    )


@pytest.mark.item("ci.version")
def test_version(builds: Builds, target: Target) -> None:
    """The API answers, at least as the version that was read. An older one may mean other things by it."""
    version, wanted = known(builds.version), oldest(target)
    verify(
        version.is_at_least(wanted),
        expected=f"Gitea {wanted} or newer",
        seen=version,
        source=builds.version_source,
    )
