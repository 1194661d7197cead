"""The matrix at the other stages of the website's cutover: one rehearsal goes from stage to stage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acceptance.checklist import LAST_STAGE
from acceptance.options import REHEARSED_STAGE
from selftest import matrix

STAGES = [stage for stage in range(LAST_STAGE + 1) if stage != REHEARSED_STAGE]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[matrix.Bench]:
    with matrix.bench(tmp_path_factory.mktemp("matrix"), STAGES[0]) as made:
        yield made


@pytest.mark.parametrize(
    ("stage", "name"),
    [(stage, name) for stage in STAGES for name in (matrix.NOTHING, *matrix.injectable(stage))],
)
def test_fault(stage: int, name: str, bench: matrix.Bench, record_matrix: matrix.Table) -> None:
    bench.go_to(stage)
    matrix.prove(bench, name, record_matrix)
