"""The cutover as data, the stage that follows from what is set, and `acceptance cutover plan`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from acceptance import checklist, contract, cutover, guard
from acceptance.cli import main
from acceptance.cutover import Seen

CUTOVER = cutover.load()
SWITCHES = [switch.name for switch in CUTOVER.switches]


def seen(on: Collection[str]) -> dict[str, Seen]:
    return {name: Seen(on=name in on, told="set" if name in on else "not set") for name in SWITCHES}


def set_at(stage: int) -> list[str]:
    return [switch.name for switch in CUTOVER.switches if switch.stage <= stage]


@pytest.mark.parametrize("stage", range(checklist.LAST_STAGE + 1))
def test_each_stage_follows_from_its_own_switches(stage: int) -> None:
    assert CUTOVER.differences(stage, seen(set_at(stage))) == ()
    assert stage in CUTOVER.derive(seen(set_at(stage)))


def test_stages_with_the_same_switches_cannot_be_told_apart() -> None:
    assert [CUTOVER.derive(seen(set_at(stage))) for stage in range(6)] == [
        (0, 1),
        (0, 1),
        (2,),
        (3,),
        (4, 5),
        (4, 5),
    ]


@pytest.mark.parametrize("stage", range(checklist.LAST_STAGE + 1))
@pytest.mark.parametrize("switch", SWITCHES)
def test_each_switch_flipped_out_of_order_is_named_with_its_stage(stage: int, switch: str) -> None:
    there = set(set_at(stage)) ^ {switch}
    (difference,) = CUTOVER.differences(stage, seen(there))
    belongs = next(each.stage for each in CUTOVER.switches if each.name == switch)
    assert switch in difference
    assert f"stage {belongs}" in difference


def test_flips_out_of_order_are_no_stage_at_all() -> None:
    assert CUTOVER.derive(seen({"CRM_BERTHS_ENABLED"})) == ()
    assert cutover.listed(()) == "no stage"
    assert cutover.listed((4, 5)) == "stage 4 or 5"


def test_what_was_not_seen_contradicts_nothing() -> None:
    assert CUTOVER.derive({}) == (0, 1, 2, 3, 4, 5)


def test_stages_are_whole_and_in_order() -> None:
    assert [stage.number for stage in CUTOVER.stages] == list(range(checklist.LAST_STAGE + 1))
    assert [switch.stage for switch in CUTOVER.switches] == sorted(
        switch.stage for switch in CUTOVER.switches
    )


def test_the_websites_contract_agrees() -> None:
    declared = {
        name: one.from_stage
        for name, one in contract.of("website").variable.items()
        if one.from_stage is not None
    }
    assert declared == {switch.name: switch.stage for switch in CUTOVER.of_the("website")}


def test_every_command_of_the_plan_exists() -> None:
    commands = [*(stage.verify for stage in CUTOVER.stages), CUTOVER.rollback.verify]
    gates = checklist.load().gates
    for command in commands:
        assert re.match(r"pytest -m (\S+) --target \{target\} --stage \d", command)
        assert command.split()[2] in gates
        assert set(re.findall(r"--approve (\S+)", command)) <= set(guard.actions())


@pytest.mark.parametrize("stage", range(checklist.LAST_STAGE + 1))
def test_the_plan_names_the_next_flip(stage: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cutover", "plan", "--target", "production", "--stage", str(stage)]) == 0
    told = capsys.readouterr().out
    for switch in CUTOVER.flipped_at(stage + 1):
        assert f"{switch.name} = " in told
    assert "{" not in told
    assert ("To go back from stage" in told) is (stage >= 2)
    assert f" --stage {min(stage + 1, checklist.LAST_STAGE)}" in told
    assert [line for line in told.splitlines() if len(line) > 80 and " pytest -m " not in line] == []
    assert ("There is no flip left." in told) is (stage == checklist.LAST_STAGE)


def test_the_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cutover", "plan", "--target", "production", "--stage", "1", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in plan["next"]["set"]] == ["CRM_INTAKE_URL", "CRM_INTAKE_SECRET"]
    assert plan["next"]["set"][0]["value"].startswith("https://crm.portnimara.com ")
    assert plan["next"]["before"][0] == "pytest -m cutover --target production --stage 1 is GO"
    assert "--approve test-inquiry" in plan["next"]["verify"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "production"], "declares no stage; give --stage 0 to 5"),
        (["--target", "nowhere", "--stage", "1"], "there is no such target"),
        (["--target", "nowhere.toml", "--stage", "1"], "there is no such file"),
        (["--target", "production", "--stage", "6"], "the stages are 0 to 5"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_4(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cutover", "plan", *arguments]) == 4
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1


def test_the_targets_own_stage_is_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parent.parent / "targets" / "production.toml").read_text(encoding="utf-8")
    path = tmp_path / "staged.toml"
    path.write_text(
        text.replace('name = "production"\n', 'name = "production"\nstage = 3\n', 1), encoding="utf-8"
    )
    assert main(["cutover", "plan", "--target", str(path), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["stage"], plan["next"]["stage"]) == (3, 4)
