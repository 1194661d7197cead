"""Both sides of the benchmark see the same; how fast they are is no test's business."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import target as targets
from acceptance.target import Target
from benchmarks import sides
from benchmarks.sides import Login
from rehearsal.client import Rehearsal


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Iterator[Target]:
    with sides.root_login(rehearsal):
        yield targets.load(rehearsal.target_file)


def test_one_login_against_one_per_command(rehearsal: Rehearsal, target: Target, tmp_path: Path) -> None:
    before = sides.logins(rehearsal)
    ours = sides.ask_ours(target, tmp_path)
    between = sides.logins(rehearsal)
    shared = sides.ask_plain(Login(target, tmp_path, control_path=True))
    assert (between - before, sides.logins(rehearsal) - between) == (1, 1)
    assert ours.round_trips <= 3
    assert shared.round_trips >= shared.questions


@pytest.mark.parametrize("fault", ["", "nginx-header-missing", "container-worker-stopped"])
def test_same_answers(rehearsal: Rehearsal, target: Target, tmp_path: Path, fault: str) -> None:
    if fault:
        rehearsal.inject(fault)
    try:
        ours = sides.ask_ours(target, tmp_path)
        plain = sides.ask_plain(Login(target, tmp_path, control_path=True))
    finally:
        if fault:
            rehearsal.revert(fault)
    assert plain.items == {item: ours.items[item] for item in plain.items}
    assert all(plain.items.values()) is not bool(fault)


def test_the_far_server_is_the_same_server(target: Target, tmp_path: Path) -> None:
    with sides.far(target, 1) as far:
        assert far.server.endpoint != target.server.endpoint
        assert sides.ask_ours(far, tmp_path).items == sides.ask_ours(target, tmp_path).items
