"""The comparison of two bundles: what changed is told, what only moves is told apart, secrets not at all."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acceptance.cli import main
from acceptance.evidence.diff import ABSENT, Change, Difference, FactChange, Side, Summary, compare, load
from acceptance.evidence.record import RunRecord
from acceptance.evidence.verify import verify
from acceptance.evidence.volatile import VOLATILE, _matches, steady
from acceptance.report import diff
from acceptance.report.text import visible
from acceptance.verdict import Verdict
from rehearsal.client import Rehearsal
from selftest import bundles, records
from selftest.test_gate_run import GATE, injected, run
from selftest.test_reports import POISON, Page, skeleton

ROOT = Path(__file__).parent.parent


def side(key: str = "", /, **facts: object) -> Side:
    summary = Summary(
        verdict=Verdict.GO,
        reason="every blocker passed",
        gate="phase1_verify",
        target="production",
        rehearsal=False,
        started=datetime(2026, 3, 4, tzinfo=UTC),
        items=(),
    )
    return Side(
        "run", summary, (), key, {name: {"state": "known", "value": value} for name, value in facts.items()}
    )


def changed(before: object, after: object, fact: str = "fact", key: str = "") -> FactChange:
    facts = compare(side(key, **{fact: before}), side(key, **{fact: after})).facts
    return facts[0] if facts else FactChange(fact, (), (), ())


leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "équivalent"])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "id", "x", "y.z"]), inner)
    ),
    max_leaves=12,
)


@given(value=values)
@settings(max_examples=100, deadline=None)
def test_a_fact_does_not_differ_from_itself(value: object) -> None:
    assert changed(value, value) == FactChange("fact", (), (), ())


@given(before=values, after=values)
@settings(max_examples=300, deadline=None)
def test_two_facts_differ_exactly_if_their_json_does_but_for_the_order_of_named_elements(
    before: object, after: object
) -> None:
    there, back = changed(before, after), changed(after, before)
    assert bool(there.changes) == bool(back.changes)
    if not there.changes:
        assert _unordered(before) == _unordered(after)


def _unordered(value: object) -> object:
    if isinstance(value, list):
        return sorted(json.dumps(_unordered(entry), sort_keys=True) for entry in value)
    if isinstance(value, dict):
        return {name: _unordered(entry) for name, entry in value.items()}
    return value


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": 1}, {"a": 1.0}, [("a", 1, 1.0)]),
        ({"a": 0}, {"a": False}, [("a", 0, False)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({}, {"a": {"b": 1}}, [("a", ABSENT, {"b": 1})]),
        ({"a.b": {"c d": 1}}, {"a.b": {"c d": 2}}, [('"a.b"."c d"', 1, 2)]),
        (
            {"all": [{"name": "x", "n": 1}, {"name": "y", "n": 1}]},
            {"all": [{"name": "y", "n": 2}, {"name": "x", "n": 1}]},
            [("all[name=y].n", 1, 2)],
        ),
        (
            [{"name": "x", "n": 1}],
            [{"name": "z", "n": 1}],
            [("[name=x]", {"name": "x", "n": 1}, ABSENT), ("[name=z]", ABSENT, {"name": "z", "n": 1})],
        ),
        (
            [{"name": "set", "args": ["a"]}, {"name": "set", "args": ["b"]}],
            [
                {"name": "set", "args": ["a"]},
                {"name": "set", "args": ["new"]},
                {"name": "set", "args": ["b"]},
            ],
            [("[+1]", ABSENT, {"name": "set", "args": ["new"]})],
        ),
        (
            [{"name": "set", "args": ["a"]}, {"name": "set", "args": ["b"]}],
            [{"name": "set", "args": ["a"]}, {"name": "set", "args": ["c"]}],
            [("[1].args[0]", "b", "c")],
        ),
        (["a", "b", "c"], ["a", "c"], [("[1]", "b", ABSENT)]),
        ({"a": [1]}, {"a": {"b": 1}}, [("a", [1], {"b": 1})]),
    ],
)
def test_changes_are_told_leaf_by_leaf(
    before: object, after: object, changes: list[tuple[str, object, object]]
) -> None:
    assert list(changed(before, after).changes) == [Change(*change) for change in changes]


def test_a_fact_that_could_not_be_looked_at_says_why() -> None:
    blind = Side(
        "run", side().summary, (), "", {"tls": {"state": "unavailable", "value": {"reason": "refused"}}}
    )
    assert compare(side(tls={}), blind).facts[0].changes == (Change("", "known", "unavailable: refused"),)
    assert compare(side(), side(tls={})).facts[0].changes == (Change("", "not looked at", "known"),)
    assert compare(blind, blind).is_empty


def test_what_is_declared_volatile_is_told_apart() -> None:
    found = changed({"at": "1", "x": 1}, {"at": "2", "x": 2}, fact="containers")
    assert found.changes == (Change("x", 1, 2),)
    assert found.volatile == (Change("at", "1", "2"),)
    assert changed({"at": "1"}, {"at": "2"}).changes, "only what is declared for this fact"


def test_a_line_number_that_moved_does_not_hide_what_was_inserted() -> None:
    def directive(value: str, line: int) -> dict[str, object]:
        return {"name": "proxy_set_header", "args": [value], "line": line}

    before = {"http": {"block": [directive("a", 1), directive("b", 2)]}}
    after = {"http": {"block": [directive("a", 1), directive("new", 2), directive("b", 3)]}}
    found = changed(before, after, fact="nginx")
    assert found.changes == (Change("http.block[+1]", ABSENT, directive("new", 2)),)
    assert found.volatile == (Change("http.block[1].line", 2, 3),)


def test_moments_inside_a_text_are_volatile_and_a_moment_by_itself_is_not() -> None:
    first, second = '{"at":"2026-11-23T19:12:21.99+00:00"}', '{"at":"2026-11-23T19:12:22Z"}'
    assert steady(first) == steady(second)
    assert changed({"excerpt": first}, {"excerpt": second}).changes == ()
    assert changed({"started": "2026-11-23T19:12:21Z"}, {"started": "2026-11-23T19:12:22Z"}).changes


def test_secrets_compare_only_with_a_common_key() -> None:
    before = {"A": {"equals": "1" * 16, "length": 8}, "B": {"equals": "2" * 16, "length": 8}}
    after = {"A": {"equals": "1" * 16, "length": 8}, "B": {"equals": "3" * 16, "length": 9}}
    apart = changed(before, after)
    assert apart.not_comparable == ("A.equals", "B.equals")
    assert apart.changes == (Change("B.length", 8, 9),)
    together = changed(before, after, key="k")
    assert together.not_comparable == ()
    assert together.changes == (Change("B.equals", "one value", "another value"), Change("B.length", 8, 9))
    mixed = compare(side("k", fact=before), side("l", fact=after)).facts[0]
    assert mixed.not_comparable == ("A.equals", "B.equals")


def _classified(tree: ast.AST) -> Iterator[tuple[ast.Call, str | None]]:
    named = {id(node.value): node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "classify"
        ):
            yield node, named.get(id(node))


def test_every_equality_class_of_a_fact_is_in_a_field_of_that_name() -> None:
    names = [
        name
        for path in (ROOT / "acceptance" / "facts").glob("*.py")
        for _, name in _classified(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert names
    assert set(names) == {"equals"}


def test_outcomes_that_changed_are_told_with_their_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bundles.sealed(tmp_path / "a", records.healthy())
    after = bundles.sealed(tmp_path / "b", records.mixed())
    page = tmp_path / "diff.html"
    assert main(["diff", str(before), str(after), "--html", str(page)]) == 1
    output = capsys.readouterr().out
    assert "nginx.upstream (blocker): pass → fail" in output
    assert "B: expected proxy_pass to http://127.0.0.1:7100" in output
    assert "pages.login (blocker): not an item of the gate → not run" in output
    assert "tls.trusted" not in output
    text = Page(page.read_text(encoding="utf-8")).text
    assert "It was GO in A." in text
    assert "nginx.upstream" in text
    assert "REHEARSAL — not evidence about production" in text


def test_a_bundle_does_not_differ_from_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(bundles.sealed(tmp_path, _keyed(records.healthy())))
    assert main(["diff", bundle, bundle]) == 0
    assert capsys.readouterr().out.endswith("\nnothing changed\n")


def _keyed(record: RunRecord) -> RunRecord:
    return record.model_copy(update={"fingerprint_key_id": "k" * 16})


def test_a_changed_bundle_and_wrong_input_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = bundles.sealed(tmp_path, records.healthy())
    (bundle / "junit.xml").unlink()
    assert main(["diff", str(bundle), str(bundle)]) == 0
    assert capsys.readouterr().out.count("not as it was sealed: missing: junit.xml") == 2
    assert main(["diff", str(bundle), str(tmp_path)]) == 4
    (bundle / "facts" / "tls.json").write_text("[", encoding="utf-8")
    assert main(["diff", str(bundle), str(bundle)]) == 4


def poisoned(directory: Path, poison: str) -> Difference:
    before = bundles.sealed(
        directory / "a", records.healthy(), {"containers": bundles.containers(status="running")}
    )
    seen = {"containers": bundles.containers(status=poison)}
    return compare(load(before), load(bundles.sealed(directory / "b", records.mixed(poison), seen)))


@pytest.mark.parametrize("poison", POISON)
def test_nothing_from_a_target_can_act_in_the_comparison(tmp_path: Path, poison: str) -> None:
    difference = poisoned(tmp_path, poison)
    html = diff.render(difference, everything=True)
    page = Page(html)
    assert skeleton(page) == skeleton(
        Page(diff.render(poisoned(tmp_path / "plain", "plain"), everything=True))
    )
    assert visible(poison.strip()) in page.text
    assert "default-src 'none'" in html
    for line in diff.lines(difference, everything=True):
        assert visible(line) == line


def test_the_page_tells_what_an_item_claims(tmp_path: Path) -> None:
    assert records.CLAIMS["nginx.upstream"] in Page(_page(bundles_of(tmp_path))).text


def test_secrets_that_do_not_compare_are_told_by_what_they_belong_to() -> None:
    paths = [
        "all[service=a.b].environment.KEY.equals",
        'all[service=a.b].environment."K.E Y".equals',
        "equals",
    ]
    assert diff.grouped(paths) == {"all[service=a.b].environment": ["KEY", '"K.E Y"'], "": ["equals"]}


@pytest.mark.parametrize(("number", "length"), [(60_000, 5), (1_200, 5_000)])
def test_a_page_of_very_many_changes_is_small_and_says_what_it_leaves_out(number: int, length: int) -> None:
    before = side(logs=[f"{place} {'<' * length}" for place in range(number)])
    page = diff.render(compare(before, side(logs=[f"{place} a" for place in range(number)])), everything=True)
    assert len(page.encode()) <= 5_000_000
    assert f"of {number}; <code>acceptance diff</code> prints them all as text." in page


def test_the_page_is_the_same_for_the_same_bundles(tmp_path: Path) -> None:
    pages = {_page(bundles_of(tmp_path / name)) for name in "ab"}
    assert len(pages) == 1


def bundles_of(directory: Path) -> Difference:
    both = [
        bundles.sealed(directory / "a", records.healthy()),
        bundles.sealed(directory / "b", records.mixed()),
    ]
    for position, bundle in enumerate(both):
        both[position] = bundle.rename(bundle.with_name("run"))
    return compare(load(both[0]), load(both[1]))


def _page(difference: Difference) -> str:
    return diff.render(difference, everything=True)


@dataclass(frozen=True)
class Runs:
    """Runs on one rehearsal: two with the same key and nothing changed between them, a narrow one without."""

    first: Path
    second: Path
    faulty: Path


@pytest.fixture(scope="module")
def runs(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    reports = tmp_path_factory.mktemp("runs")
    arguments = ("-m", GATE, f"--target={rehearsal.target_file}")
    key = reports / "key"
    key.write_text("a key that is long enough", encoding="utf-8")
    same = f"--fingerprint-key=file:{key}"
    first = run(reports / "first", *arguments, same).bundle
    second = run(reports / "second", *arguments, same).bundle
    with injected(rehearsal, "health-degraded"):
        faulty = run(reports / "faulty", *arguments, "-k", "health or containers").bundle
    return Runs(first, second, faulty)


def test_a_real_bundle_is_as_it_was_sealed(runs: Runs) -> None:
    for bundle in (runs.first, runs.second, runs.faulty):
        assert verify(bundle).findings == ()


def test_the_statement_of_a_real_run_names_the_plan_and_the_image_that_runs(runs: Runs) -> None:
    text = (runs.first / "statement.json").read_text(encoding="utf-8")
    document = json.loads(text)
    target = json.loads((runs.first / "target.json").read_text(encoding="utf-8"))
    names = {subject["name"] for subject in document["subject"]}
    assert {f"documents/{Path(path).name}" for path in target["documents"]} <= names
    assert not any(path in text for path in target["documents"])
    registry = json.loads((runs.first / "facts" / "registry.json").read_text(encoding="utf-8"))
    expected = {digest["value"].removeprefix("sha256:") for digest in registry["value"]["digests"].values()}
    assert expected <= {subject["digest"].get("sha256") for subject in document["subject"]}


def test_two_looks_at_the_same_thing_show_no_change(runs: Runs) -> None:
    difference = compare(load(runs.first), load(runs.second))
    assert difference.items == ()
    assert {fact.fact: fact.changes for fact in difference.facts if fact.changes} == {}
    assert [fact.not_comparable for fact in difference.facts if fact.not_comparable] == []


def test_a_fault_shows_in_outcomes_and_facts_and_secrets_do_not_compare(runs: Runs) -> None:
    difference = compare(load(runs.first), load(runs.faulty))
    outcomes = {change.id: diff.outcome(change.after) for change in difference.items}
    assert outcomes["health.public"] == "fail"
    assert outcomes["tls.trusted"] == "not run"
    assert "health.authenticated" not in outcomes
    facts = {fact.fact: fact for fact in difference.facts}
    assert Change("public.state", "ok", "degraded") in facts["health"].changes
    assert facts["tls"].changes == (Change("", "known", "not looked at"),)
    assert not facts["containers"].changes
    assert {name for name, fact in facts.items() if fact.not_comparable} == {"containers", "env_file"}


def test_every_declared_volatile_place_exists(runs: Runs) -> None:
    looked_at = load(runs.first).facts
    for fact, patterns in ((fact, patterns) for fact, patterns in VOLATILE.items() if fact in looked_at):
        places = set(_places(looked_at[fact]["value"], ()))
        for pattern in patterns:
            assert any(_matches(pattern.split("."), place) for place in places), f"{fact}: {pattern}"


def _places(value: object, steps: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield steps
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _places(entry, (*steps, name))
    elif isinstance(value, list):
        for entry in value:
            yield from _places(entry, (*steps, "*"))


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("the key itself, by mistake", "give a reference"),
        ("env:NO_SUCH_KEY", "is not set"),
        ("env:SHORT_KEY", "less than 16 characters"),
    ],
)
def test_a_fingerprint_key_that_is_none_is_wrong_input(
    tmp_path: Path, reference: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORT_KEY", "short")
    done = run(tmp_path, "-m", GATE, "--target=production", f"--fingerprint-key={reference}")
    assert done.code == 4
    assert told in done.output
    assert "by mistake" not in done.output
