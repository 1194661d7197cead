"""Do the CRM's and the website's variables hold what the contracts ask for?"""

from __future__ import annotations

import pytest

from acceptance import contract
from acceptance.check import verify
from acceptance.contract import Requirement, Strength, Variable
from acceptance.facts.base import known
from acceptance.facts.environments import UNSET, Environments
from acceptance.target import Target

CRM = contract.of("crm")
WEBSITE = contract.of("website")


@pytest.mark.item("env.crm.required")
@pytest.mark.parametrize("requirement", CRM.required, ids=str)
def test_required(environments: Environments, requirement: Requirement) -> None:
    """What the CRM needs is set and not blank. A missing value shows when a customer needs what it is for."""
    crm = known(environments.crm)
    missing = crm.missing(requirement, CRM)
    verify(not missing, expected=requirement.expected, seen=missing or "set", source=crm.source)


@pytest.mark.item("env.crm.forbidden")
@pytest.mark.parametrize("service", ["crm", "worker"])
@pytest.mark.parametrize("name", CRM.forbidden)
def test_forbidden(environments: Environments, name: str, service: str) -> None:
    """What is for development is unset. EMAIL_REDIRECT_TO sends every customer's mail to one developer."""
    environment = known(environments.of(service))
    state = environment.state_among_others(name)
    verify(state == UNSET, expected=f"{name} {UNSET}", seen=f"{name} {state}", source=environment.source)


@pytest.mark.item("env.crm.shape")
@pytest.mark.parametrize("variable", CRM.shaped, ids=str)
def test_shape(environments: Environments, target: Target, variable: Variable) -> None:
    """A variable looks as the CRM will read it. A path too much in an address is a 404 much later."""
    crm = known(environments.crm)
    trouble = crm.trouble(variable, target)
    expected = crm.expected(variable, target)
    verify(not trouble, expected=expected, seen=f"{variable}: {trouble or 'as expected'}", source=crm.source)


@pytest.mark.item("env.crm.strength")
@pytest.mark.parametrize(
    ("variable", "strength"), [pytest.param(*each, id=str(each[0])) for each in CRM.secrets]
)
def test_strength(environments: Environments, variable: Variable, strength: Strength) -> None:
    """A secret withstands guessing. One from an example is the first that is tried."""
    crm = known(environments.crm)
    weak = crm.weaknesses(variable, strength)
    verify(
        not weak,
        expected=f"{variable}: {strength.expected}",
        seen=f"{variable}: {', '.join(weak) or 'as expected'}",
        source=crm.source,
    )


@pytest.mark.item("env.website.shape")
@pytest.mark.parametrize("requirement", WEBSITE.required, ids=str)
def test_website_keeps_its_own(environments: Environments, requirement: Requirement) -> None:
    """The website's own values are still set. Its forms run on them, and going back does."""
    website = known(environments.website)
    missing = website.missing(requirement, WEBSITE)
    verify(not missing, expected=requirement.expected, seen=missing or "set", source=website.source)


@pytest.mark.item("env.website.shape")
@pytest.mark.parametrize("variable", WEBSITE.shaped, ids=str)
def test_website_shape(environments: Environments, target: Target, variable: Variable) -> None:
    """A variable looks as the website will read it. Behind a trailing slash every address gets two."""
    website = known(environments.website)
    trouble = website.trouble(variable, target)
    expected = website.expected(variable, target)
    verify(
        not trouble, expected=expected, seen=f"{variable}: {trouble or 'as expected'}", source=website.source
    )


@pytest.mark.item("env.shared-secret")
def test_shared_secret(environments: Environments) -> None:
    """Website and CRM have the same secret. With two the CRM refuses every inquiry with 401."""
    website, crm = known(environments.website).in_touch, known(environments.crm)
    differs = website.differs("CRM_INTAKE_SECRET", crm, "WEBSITE_INTAKE_SECRET")
    verify(
        not differs,
        expected="the website's CRM_INTAKE_SECRET equal to the CRM's WEBSITE_INTAKE_SECRET",
        seen=differs or "equal",
        source=website.source,
    )
