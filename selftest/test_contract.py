"""The contracts: what they hold, that a variable is one table, and that each mistake is a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import contract, cutover
from acceptance import target as targets
from acceptance.contract import Contract
from acceptance.errors import UsageError
from acceptance.facts.environments import filled

PRODUCTION = targets.load(targets.path_of("production"))

GOOD = """\
instance = "crm"
[group]
redis = [["REDIS_URL"], ["REDIS_HOST", "REDIS_PORT"]]
[variable.APP_URL]
shape = { kind = "url", equals = "https://{public.name}" }
why = "links"
"""
REDIS = "".join(
    f'[variable.{name}]\nneed = "optional"\nwhy = "queues"\n'
    for name in ("REDIS_URL", "REDIS_HOST", "REDIS_PORT")
)


def load(path: Path, text: str) -> Contract:
    path.write_text(text, encoding="utf-8")
    return contract.load(path)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(contract, "DIRECTORY", tmp_path)
    contract.of.cache_clear()
    yield tmp_path
    contract.of.cache_clear()


def test_the_crms_contract_holds_what_the_plan_names() -> None:
    crm = contract.of("crm")
    assert crm.forbidden == ("EMAIL_REDIRECT_TO",)
    assert {"APP_URL", "DATABASE_URL", "WEBSITE_INTAKE_SECRET", "redis"} <= {str(one) for one in crm.required}
    assert {"DOCUMENSO_API_URL", "DOCUMENSO_API_VERSION"} <= {
        name for name, one in crm.variable.items() if one.named == "plan"
    }
    assert "WEBSITE_INTAKE_SECRET" in {str(one) for one, _ in crm.secrets}


def test_the_websites_four_variables_have_the_stages_of_the_cutover() -> None:
    website = contract.of("website")
    switches = cutover.load().of_the("website")
    assert {one.name: one.stage for one in switches} == {
        name: one.from_stage for name, one in website.variable.items() if one.from_stage is not None
    }
    assert website.staged(1) == ()
    assert set(website.staged(2)) == {"CRM_INTAKE_URL", "CRM_INTAKE_SECRET"}
    assert set(website.staged(5)) == {one.name for one in switches}


@pytest.mark.parametrize("instance", ["crm", "website"])
def test_every_expectation_can_be_filled_from_the_production_target(instance: contract.Instance) -> None:
    for variable in contract.of(instance).shaped:
        assert "{" not in filled(variable.shape.expected, PRODUCTION)


def test_a_variable_is_one_table(tmp_path: Path) -> None:
    added = '[variable.SENTRY_DSN]\nnamed = "assumed"\nstrength = {}\nwhy = "errors"\n'
    found = load(tmp_path / "a.toml", GOOD + REDIS + added)
    assert found.names[-1] == "SENTRY_DSN"
    assert [str(one) for one in found.required] == ["APP_URL", "SENTRY_DSN", "redis"]
    assert [str(one) for one, _ in found.secrets] == ["SENTRY_DSN"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + REDIS + "[variable.B]\n", "variable.B.why: Field required"),
        (GOOD + REDIS + '[variable.B]\nwhy = "x"\nrequired = true\n', "variable.B.required: Extra inputs"),
        (GOOD + REDIS + '[variable.B]\nwhy = "x"\nneed = "must"\n', "variable.B.need"),
        (GOOD + REDIS + '[variable.B]\nwhy = "x"\nshape = { kind = "uri" }\n', "variable.B.shape"),
        (GOOD + REDIS + '[variable.B]\nwhy = "x"\nshape = { kind = "url", equal = "" }\n', "equal"),
        (GOOD + REDIS + '[variable.B]\nwhy = "x"\nfrom_stage = 2\n', 'it goes with need = "optional"'),
        (GOOD + REDIS + '[variable.B]\nwhy = "x"\nneed = "optional"\nfrom_stage = 6\n', "from_stage"),
        (GOOD + REDIS + '[variable."A B"]\nwhy = "x"\n', "variable.A B.name"),
        (GOOD, "there is no variable REDIS_URL"),
        (GOOD + REDIS.replace('need = "optional"', "", 1), 'REDIS_URL must have need = "optional"'),
        ('instance = "shop"\n', "instance"),
        ("instance = \n", "not valid TOML"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "crm.toml", text)
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/crm.toml: ")
    assert "union" not in str(caught.value)


def test_every_contract_is_read_before_a_run(elsewhere: Path) -> None:
    (elsewhere / "crm.toml").write_text(GOOD + REDIS)
    with pytest.raises(UsageError, match=r"website\.toml: cannot be read"):
        contract.check()
    (elsewhere / "website.toml").write_text(GOOD + REDIS)
    contract.check()
