"""Where the files of a deploy are looked for, and who gets at the storage."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from acceptance import contract
from acceptance import target as targets
from acceptance.errors import UnavailableError
from acceptance.facts.base import Known, Unavailable
from acceptance.facts.deploy import Deploy, DeployFile, Place, choose
from acceptance.facts.storage_access import CrmSettings, Reply, StorageAccess, settings_of
from acceptance.ledger import Ledger
from acceptance.outcome import Outcome
from acceptance.secrets import Redactor, Secrets
from acceptance.sections.base import Endpoint
from acceptance.target import Storage, Target
from acceptance.transports.s3 import NOBODY, Listing, ObjectStore, Signer
from rehearsal.client import Rehearsal
from selftest import matrix
from selftest.rehearsed import site_of


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    return targets.load(rehearsal.target_file)


def place(where: str, files: str) -> Place:
    """Return a place with the files named by their first letters: c for compose, e for .env."""
    compose, env = (
        DeployFile(path=f"/{where}/{letter}", kind="file" if letter in files else "missing")
        for letter in "ce"
    )
    return Place(where=where, directory=f"/{where}", compose_file=compose, env_file=env)


@pytest.mark.parametrize(
    ("deployed", "staged", "runs", "chosen"),
    [
        ("ce", "ce", False, "deploy"),
        ("", "ce", False, "staging"),
        ("c", "ce", False, "staging"),
        ("c", "e", False, "deploy"),
        ("", "e", False, "staging"),
        ("", "", False, "deploy"),
        ("", "ce", True, "deploy"),
    ],
)
def test_staging_counts_only_while_nothing_runs(deployed: str, staged: str, runs: bool, chosen: str) -> None:
    found = choose(place("deploy", deployed), place("staging", staged), something_runs=runs)
    assert found.where == chosen


def test_without_knowing_what_runs_staging_is_not_enough() -> None:
    silent = Unavailable(reason="the Docker engine does not answer")
    staged = Deploy(running=silent, place=place("staging", "ce"), compose=silent)
    with pytest.raises(UnavailableError, match="engine"):
        assert staged.is_the_place
    assert staged.model_copy(update={"place": place("deploy", "c")}).is_the_place


@pytest.mark.parametrize(
    ("mode", "private"), [("600", True), ("640", True), ("644", False), ("601", False), ("", False)]
)
def test_private(mode: str, private: bool) -> None:
    assert DeployFile(path="/x", kind="file", mode=mode).is_private is private


# Before the first deploy


def undeployed(target: Target, *, staging: str | None) -> Target:
    """Return the rehearsal as it would be if nothing of it ran and its files waited in `staging`."""
    compose = target.compose.model_copy(
        update={"project": "unborn", "directory": f"{target.compose.directory}-later"}
    )
    deploy = target.deploy.model_copy(update={"staging": staging})
    return target.model_copy(update={"compose": compose, "deploy": deploy})


def judged(target: Target, tmp_path: Path) -> tuple[matrix.Look, dict[str, Outcome]]:
    """Look at the noun of this file and judge its items."""
    look = matrix.Observer(target, tmp_path).look(["deploy", "storage_access"])
    found = matrix.outcomes(matrix.judged(look.facts, target))
    items = ("deploy.files", "deploy.compose", "storage.reachable", "storage.private")
    return look, {item: found[item] for item in items}


@pytest.mark.user
def test_everything_can_be_judged_in_the_staging_directory(target: Target, tmp_path: Path) -> None:
    look, found = judged(undeployed(target, staging=target.compose.directory), tmp_path)
    deploy, access = look.facts["deploy"], look.facts["storage_access"]
    assert set(found.values()) == {Outcome.PASS}
    assert isinstance(deploy, Deploy)
    assert deploy.said_of_place == f"the staging directory {target.compose.directory}, as nothing runs yet"
    assert isinstance(access, StorageAccess)
    assert access.origin == f"{target.compose.directory}/.env and docker-compose.prod.yml (crm-app)"
    assert look.round_trips == 1


def test_files_that_are_nowhere(target: Target, tmp_path: Path) -> None:
    _, found = judged(undeployed(target, staging=None), tmp_path)
    assert found == {
        "deploy.files": Outcome.FAIL,
        "deploy.compose": Outcome.UNKNOWN,
        "storage.reachable": Outcome.UNKNOWN,
        "storage.private": Outcome.PASS,
    }


def test_files_that_are_at_no_assumed_place(target: Target, tmp_path: Path) -> None:
    bare = undeployed(target, staging="/no/such/directory")
    guessed = bare.model_copy(update={"assumed": ("compose.directory", "deploy.staging")})
    look, found = judged(guessed, tmp_path)
    assert {found[item] for item in ("deploy.files", "deploy.compose")} == {Outcome.UNKNOWN}
    deploy = look.facts["deploy"]
    assert isinstance(deploy, Deploy)
    with pytest.raises(UnavailableError, match=r"^assumed name not found") as caught:
        assert deploy.is_the_place
    assert (
        caught.value.remedy == "set compose.directory and deploy.staging in the target file to the real place"
    )


def test_no_key_of_the_crm_is_in_a_fact_or_the_ledger(
    target: Target, rehearsal: Rehearsal, tmp_path: Path
) -> None:
    look, _ = judged(target, tmp_path)
    credentials = site_of(rehearsal).credentials
    told = (tmp_path / "ledger.jsonl").read_text() + "".join(
        fact.model_dump_json() for fact in look.facts.values()
    )
    assert "crm-files, signed by the CRM" in told
    for secret in (credentials.s3_secret_key, credentials.s3_access_key, credentials.redis_password):
        assert secret not in told


# Who gets at the storage


def listing(storage: Storage, signer: Signer, tmp_path: Path) -> Listing:
    """List the bucket of the rehearsal's storage."""

    async def listing() -> Listing:
        ledger = Ledger(tmp_path / "ledger.jsonl", Redactor())
        store = ObjectStore(storage, Secrets(Redactor()).resolve, ledger)
        try:
            return await store.listing(store.operator() if signer is NOBODY else signer)
        finally:
            await store.close()
            ledger.close()

    return asyncio.run(listing())


def test_a_certificate_that_is_not_trusted_is_an_answer(target: Target, tmp_path: Path) -> None:
    assert target.storage is not None
    seen = listing(target.storage.model_copy(update={"ca_file": None}), NOBODY, tmp_path)
    assert (seen.status, seen.code[:30]) == (None, "the certificate is not trusted")
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["detail"] == "crm-files, signed by the operator"


def test_no_answer_is_none(target: Target, tmp_path: Path) -> None:
    assert target.storage is not None
    nowhere = target.storage.model_copy(update={"connect": Endpoint(address="127.0.0.1", port=9)})
    with pytest.raises(UnavailableError, match="Connection refused"):
        listing(nowhere, NOBODY, tmp_path)


def test_a_region_that_is_none(target: Target, tmp_path: Path) -> None:
    assert target.storage is not None
    with pytest.raises(UnavailableError, match="InvalidRegionError"):
        listing(target.storage, Signer("the CRM", "k" * 20, "s" * 40, region="not a region"), tmp_path)


SETTINGS = CrmSettings(secure=True, same_endpoint=True, same_bucket=True)


def seen(crm: Reply | None = None, nobody: Reply | None = None, **change: object) -> StorageAccess:
    """Return the bucket as a healthy storage shows it, but for these answers."""
    listed = Known[Reply](value=Reply(status=200))
    refused = Known[Reply](value=Reply(status=403, code="AccessDenied"))
    healthy = StorageAccess(
        endpoint="https://s3.example",
        bucket="crm",
        origin="container app",
        settings=Known(value=SETTINGS),
        crm=Known(value=crm) if crm else listed,
        operator=listed,
        nobody=Known(value=nobody) if nobody else refused,
    )
    return healthy.model_copy(update=change)


@pytest.mark.parametrize("status", [None, 301, 400, 404, 429, 503])
def test_what_is_no_refusal_for_want_of_keys_is_unknown(status: int | None) -> None:
    with pytest.raises(UnavailableError, match="no refusal for want of keys"):
        assert seen(nobody=Reply(status=status)).is_refused_unsigned


def test_a_public_bucket_is_red_whatever_else_works() -> None:
    silent = Unavailable(reason="no keys")
    assert not seen(nobody=Reply(status=200), crm=None, operator=silent).is_refused_unsigned
    with pytest.raises(UnavailableError, match="proves nothing"):
        assert seen(crm=Reply(status=403), operator=silent).is_refused_unsigned


def test_keys_that_may_not_list_are_accepted_and_tell_nothing_of_the_bucket(target: Target) -> None:
    limited = seen(crm=Reply(status=403, code="AccessDenied"))
    assert limited.answers
    assert limited.accepts_keys
    with pytest.raises(UnavailableError, match="does not tell the CRM"):
        limited.has_bucket(target)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ()),
        ({"S3_ENDPOINT": "HTTPS://s3.portnimara.test:443/"}, ()),
        ({"S3_ENDPOINT": "http://s3.portnimara.test"}, ("an endpoint without TLS",)),
        ({"S3_ENDPOINT": "https://minio.internal"}, ("another endpoint",)),
        ({"S3_BUCKET": "crm"}, ("another bucket",)),
        ({"S3_SECRET_KEY": " "}, ("no S3_SECRET_KEY",)),
    ],
)
def test_what_the_environment_names(target: Target, change: dict[str, str], said: tuple[str, ...]) -> None:
    assert target.storage is not None
    storage = target.storage
    right = {
        "S3_ENDPOINT": storage.endpoint,
        "S3_BUCKET": storage.bucket,
        "S3_ACCESS_KEY": "k",
        "S3_SECRET_KEY": "s",
    }
    found = settings_of({**right, **change}, storage)
    assert seen(settings=Known(value=found)).mismatches(target) == said


def test_names_that_are_assumed_are_unknown(target: Target) -> None:
    assumed = ("storage.bucket", "storage.variables.secret_key")
    guessed = target.model_copy(update={"assumed": assumed})
    for settings in (
        SETTINGS.model_copy(update={"same_bucket": False}),
        SETTINGS.model_copy(update={"missing": ("S3_SECRET_KEY",)}),
    ):
        with pytest.raises(UnavailableError, match=r"^assumed name not found"):
            seen(settings=Known(value=settings)).mismatches(guessed)
    both = SETTINGS.model_copy(update={"missing": ("S3_SECRET_KEY", "S3_BUCKET")})
    assert seen(settings=Known(value=both)).mismatches(guessed) == ("no S3_BUCKET",)


def test_the_contract_knows_the_same_variables() -> None:
    declared = targets.load(targets.path_of("production")).storage
    crm = contract.load(contract.DIRECTORY / "crm.toml")
    assert declared is not None
    assert set(declared.variables.model_dump().values()) <= set(crm.variable)
