"""Every check is seen to fail: each fault turns exactly its items red."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import target as targets
from acceptance.outcome import Outcome
from acceptance.target import Target
from rehearsal.client import Rehearsal, boot
from rehearsal.faults.base import Fault
from rehearsal.faults.catalogue import FAULTS
from selftest import matrix

EVERYTHING = bool(os.environ.get("MATRIX_READ_EVERYTHING"))
"""Set by `make matrix`: read every source again for each fault, not only those it touches."""

SIGNING_IN = {"origin", "session"}
"""Read again only for a fault that touches them: the app allows three sign-ins in ten seconds."""

NOUNS = sorted({name for check in matrix.checks() for name in matrix.nouns_of(check)})


INJECTABLE = sorted(name for name, fault in FAULTS.items() if os.getuid() == 0 or not fault.root_only)
"""An ordinary user's rehearsal has no accounts of its own, so it cannot inject what needs one."""


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    """A rehearsal of the matrix's own: what other tests did to theirs must not show here."""
    with boot(lambda _line: None) as booted:
        yield booted


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    return targets.load(rehearsal.target_file)


@pytest.fixture(scope="module")
def observer(target: Target, tmp_path_factory: pytest.TempPathFactory) -> matrix.Observer:
    return matrix.Observer(target, tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="module")
def healthy(observer: matrix.Observer) -> matrix.Look:
    return observer.look(NOUNS)


@pytest.fixture
def injected(request: pytest.FixtureRequest, rehearsal: Rehearsal) -> Iterator[str]:
    rehearsal.inject(request.param)
    try:
        yield request.param
    finally:
        rehearsal.revert(request.param)


def nouns_to_read(fault: Fault) -> set[str]:
    return {*fault.touches} | ({*NOUNS} - SIGNING_IN if EVERYTHING else set())


@pytest.mark.user
def test_everything_passes_when_nothing_is_wrong(healthy: matrix.Look, target: Target) -> None:
    records = matrix.judged(healthy.facts, target)
    odd = {
        record.name: record.reason
        for found in records.values()
        for record in found
        if record.outcome is not Outcome.PASS
    }
    assert odd == {}


@pytest.mark.user
def test_one_login_and_at_most_three_round_trips(healthy: matrix.Look) -> None:
    assert healthy.logins == 1
    assert healthy.round_trips <= 3


@pytest.mark.parametrize("injected", INJECTABLE, indirect=True)
def test_fault(
    injected: str,
    observer: matrix.Observer,
    healthy: matrix.Look,
    rehearsal: Rehearsal,
    record_matrix: matrix.Table,
) -> None:
    fault = FAULTS[injected]
    again = observer.look(nouns_to_read(fault), healthy)
    declared = targets.load(rehearsal.target_file)
    found = matrix.outcomes(matrix.judged({**healthy.facts, **again.facts}, declared))
    red = matrix.with_outcome(found, Outcome.FAIL)
    unknown = matrix.with_outcome(found, Outcome.UNKNOWN)
    record_matrix.add(fault.name, red, unknown)
    assert red == set(fault.reddens)
    if fault.blinds:
        assert unknown


def test_every_item_has_a_fault() -> None:
    items = {matrix.item_of(check) for check in matrix.checks()}
    reddened = {item for fault in FAULTS.values() for item in fault.reddens}
    assert items - reddened == set()
    assert reddened - items == set()


def test_the_document_is_current() -> None:
    document = Path(__file__).parent.parent / "docs" / "fault-matrix.md"
    assert document.read_text(encoding="utf-8") == matrix.document(), "run `make matrix-document`"
