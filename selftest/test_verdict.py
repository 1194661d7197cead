"""The algebra of outcomes and verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance.outcome import Outcome, Severity, combine, graded
from acceptance.verdict import EXIT_CODES, Verdict, decide

ITEMS = st.lists(st.tuples(st.sampled_from(Severity), st.sampled_from(Outcome)), max_size=12)
EARNS = {Outcome.PASS, Outcome.WAIVED, Outcome.NOT_APPLICABLE}


def _blockers(items: list[tuple[Severity, Outcome]]) -> list[Outcome]:
    return [outcome for severity, outcome in items if severity is Severity.BLOCKER]


@given(ITEMS, st.booleans())
def test_go_is_earned(items: list[tuple[Severity, Outcome]], whole: bool) -> None:
    blockers = _blockers(items)
    earned = whole and bool(blockers) and all(outcome in EARNS for outcome in blockers)
    assert (decide(items, whole_gate=whole) is Verdict.GO) == earned


@given(ITEMS, st.booleans())
def test_a_failed_blocker_is_always_no_go(items: list[tuple[Severity, Outcome]], whole: bool) -> None:
    assert (decide(items, whole_gate=whole) is Verdict.NO_GO) == (Outcome.FAIL in _blockers(items))


@given(ITEMS, st.sampled_from(Outcome), st.booleans())
def test_advisories_never_change_the_verdict(
    items: list[tuple[Severity, Outcome]], outcome: Outcome, whole: bool
) -> None:
    with_advisory = [*items, (Severity.ADVISORY, outcome)]
    assert decide(with_advisory, whole_gate=whole) is decide(items, whole_gate=whole)


@given(ITEMS, st.randoms(use_true_random=False))
def test_order_does_not_matter(items: list[tuple[Severity, Outcome]], random: object) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(shuffled, whole_gate=True) is decide(items, whole_gate=True)


@given(st.lists(st.sampled_from(Outcome), max_size=6))
def test_unknown_is_never_green(outcomes: list[Outcome]) -> None:
    combined = combine(outcomes)
    if not outcomes:
        assert combined is Outcome.NOT_RUN
    elif {Outcome.UNKNOWN, Outcome.NOT_RUN, Outcome.FAIL, Outcome.WARN} & set(outcomes):
        assert combined not in EARNS
    else:
        assert combined in EARNS


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=6))
def test_an_item_is_never_better_than_one_of_its_checks(outcomes: list[Outcome]) -> None:
    assert combine(outcomes) in outcomes
    if Outcome.FAIL in outcomes:
        assert combine(outcomes) is Outcome.FAIL


def test_an_empty_gate_is_on_hold() -> None:
    assert decide([], whole_gate=True) is Verdict.HOLD
    assert decide([(Severity.ADVISORY, Outcome.PASS)], whole_gate=True) is Verdict.HOLD


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.GO, 0), (Verdict.NO_GO, 1), (Verdict.HOLD, 10)])
def test_exit_codes(verdict: Verdict, code: int) -> None:
    assert EXIT_CODES[verdict] == code


def test_a_failed_advisory_is_a_warning() -> None:
    assert graded(Outcome.FAIL, Severity.ADVISORY) is Outcome.WARN
    assert graded(Outcome.FAIL, Severity.BLOCKER) is Outcome.FAIL
    assert graded(Outcome.UNKNOWN, Severity.ADVISORY) is Outcome.UNKNOWN
