"""The plan as data is complete, readable and unambiguous."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from acceptance import checklist, judge
from acceptance.checklist import Item
from acceptance.errors import UsageError
from acceptance.facts.catalogue import actions_of
from acceptance.outcome import Severity
from selftest import matrix

CHECKLIST = checklist.load()
ITEMS = list(CHECKLIST.items.values())
SIZES = {
    "phase1_preflight": 32,
    "phase1_verify": 48,
    "env": 9,
    "cutover": 10,
    "readiness": 90,
    "phase2_dryrun": 6,
    "phase2_backup": 8,
    "phase2_collation": 2,
    "phase2_upgrade": 11,
    "phase2_verify": 14,
    "phase2_rollback": 3,
}
ASKS_APPROVAL = {
    "pages.cookies",
    "pages.berths",
    "pages.deal",
    "cutover.2-arrives",
    "cutover.2-utm",
    "verify.sign-in",
    "verify.envelope",
    "verify.seals",
    "verify.idempotent",
    "verify.reminder-void",
}
FILE = """
gate = "first"
title = "First"
[[item]]
id = "a.one"
severity = "blocker"
claim = "It is so."
plan = "Somewhere"
"""


def test_the_gates_come_in_the_order_of_the_plan_and_hold_all_their_items() -> None:
    assert {gate: len(CHECKLIST.of_gate(gate)) for gate in CHECKLIST.gates} == SIZES
    assert list(CHECKLIST.gates) == list(SIZES)


def test_the_environment_is_judged_before_the_deployment_too() -> None:
    preflight = {item.id for item in CHECKLIST.of_gate("phase1_preflight")}
    assert {item.id for item in CHECKLIST.of_gate("env")} < preflight


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_an_item_is_one_plain_sentence_with_its_origin_and_a_remedy(item: Item) -> None:
    assert re.fullmatch(r"(?:[A-Z0-9]|nginx|certbot|crm-app).*[^.]\.", item.claim)
    assert ". " not in item.claim
    assert item.plan
    assert item.remedy.endswith(".")
    assert "  " not in item.claim + item.plan + item.remedy
    assert "\n" not in item.claim + item.plan + item.remedy


def test_items_that_change_something_name_the_action_to_approve() -> None:
    assert {item.id for item in ITEMS if item.approval} == ASKS_APPROVAL


def test_advisories_are_the_exception() -> None:
    advisories = [item.id for item in ITEMS if item.severity is Severity.ADVISORY]
    assert len(advisories) == 13


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.toml").write_text(FILE, encoding="utf-8")
    (tmp_path / "2.toml").write_text(FILE.replace("first", "second"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"2\.toml: the id a\.one occurs twice"):
        checklist.load(tmp_path)


def test_every_mistake_of_a_file_is_named(tmp_path: Path) -> None:
    broken = FILE.replace('"blocker"', '"severe"').replace("claim", "clam")
    (tmp_path / "1.toml").write_text(broken, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        checklist.load(tmp_path)
    assert "item.0.severity" in str(caught.value)
    assert "item.0.claim" in str(caught.value)
    assert "item.0.clam" in str(caught.value)


def test_an_unknown_gate_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="use one of phase1_preflight, phase1_verify"):
        CHECKLIST.of_gate("phase3")


def test_what_a_check_asks_approval_for_is_what_its_facts_do() -> None:
    items = checklist.load().items
    for check in matrix.checks():
        approval = items[judge.item_of(check)].approval
        if approval:
            judged = [one for one in matrix.checks() if judge.item_of(one) == judge.item_of(check)]
            done = {action for one in judged for action in actions_of(matrix.nouns_of(one))}
            assert approval in done, judge.item_of(check)
