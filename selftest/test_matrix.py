"""Every check is seen to fail: each fault turns exactly its items red."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.options import REHEARSED_STAGE
from rehearsal.faults.catalogue import FAULTS
from selftest import matrix


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[matrix.Bench]:
    with matrix.bench(tmp_path_factory.mktemp("matrix"), REHEARSED_STAGE) as made:
        yield made


@pytest.mark.user
def test_nothing_is_odd_when_nothing_is_wrong(bench: matrix.Bench) -> None:
    matrix.prove(bench, matrix.NOTHING, matrix.Table())


@pytest.mark.user
def test_one_login_and_at_most_three_round_trips(bench: matrix.Bench) -> None:
    assert bench.healthy.logins == 1
    assert bench.healthy.round_trips <= 3


@pytest.mark.parametrize("name", matrix.injectable(REHEARSED_STAGE))
def test_fault(name: str, bench: matrix.Bench, record_matrix: matrix.Table) -> None:
    matrix.prove(bench, name, record_matrix)


def test_every_item_has_a_fault() -> None:
    items = {matrix.item_of(check) for check in matrix.checks()}
    reddened = {item for fault in FAULTS.values() for item in fault.reddens}
    assert items - reddened == set()
    assert reddened - items == set()


def test_the_document_is_current() -> None:
    document = Path(__file__).parent.parent / "docs" / "fault-matrix.md"
    assert document.read_text(encoding="utf-8") == matrix.document(), "run `make matrix-document`"
