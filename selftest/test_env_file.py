"""The .env file: parsed as Docker Compose parses it, and reduced at once."""

from __future__ import annotations

import os
import string
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance.access import Access
from acceptance.errors import UnavailableError
from acceptance.facts import env_file
from acceptance.facts.base import known
from acceptance.guard.commands import DEPLOY_ENV_FILE, call
from acceptance.secrets import Redactor, Secrets
from acceptance.transports.host import Result

names = st.from_regex(r"[A-Z][A-Z0-9_]{0,12}", fullmatch=True)
printable = st.text(string.ascii_letters + string.digits + string.punctuation + " äß€", max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("\ufeffA=1\n", {"A": "1"}),
        ("A=1\r\nB='x'\r\nC=\"y\"\r\n", {"A": "1", "B": "x", "C": "y"}),
        ("  export A = 1  \n", {"A": "1"}),
        ("exporter=1\n", {"exporter": "1"}),
        ("# A=1\n\n   # B=2\nC=3", {"C": "3"}),
        ("A=x # comment\nB=x# no comment\nC=x\t#tab", {"A": "x", "B": "x# no comment", "C": "x\t#tab"}),
        ("A='x # y' # comment\n", {"A": "x # y"}),
        ('A="x # y" # comment\nB=1', {"A": "x # y", "B": "1"}),
        ("A=\nB=''\nC=\"\"\n", {"A": "", "B": "", "C": ""}),
        ("A='$B ${C} \\n \\\\'\n", {"A": "$B ${C} \\n \\\\"}),
        ("A='it\\'s'\n", {"A": "it's"}),
        ('A="a\\nb\\tc \\"q\\" \\\\ \\$X $$Y"', {"A": 'a\nb\tc "q" \\ $X $Y'}),
        ('A="two\nlines"\nB=1', {"A": "two\nlines", "B": "1"}),
        ("A=1\nB=$A-${A}-x\n", {"A": "1", "B": "1-1-x"}),
        ("A=${X:-d} B\nC=${X-d}\nD=${X:+d}.\n", {"A": "d B", "C": "d", "D": "."}),
        ("E=\nA=${E:-d}\nB=${E-d}.\nC=${E+d}\nD=${E:+d}.", {"E": "", "A": "d", "B": ".", "C": "d", "D": "."}),
        ("A=${X:-${Y:-deep}}!", {"A": "deep!"}),
        ("A=p$$w", {"A": "p$w"}),
        ('A=$5 p$%w $\nB="x$!"', {"A": "$5 p$%w $", "B": "x$!"}),
        ("A=gone$word.", {"A": "gone."}),
        ("a.b-c=1\n", {"a.b-c": "1"}),
        ("A: yaml\n", {"A": "yaml"}),
        ("URL=postgres://u:p@h:5432/d?x=1#f", {"URL": "postgres://u:p@h:5432/d?x=1#f"}),
    ],
)
def test_compose_rules(text: str, expected: dict[str, str]) -> None:
    assert env_file.parse(text)[0] == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1\nB='open\n", "line 2"),
        ('A="open', "line 1"),
        ("A=1\n\nB C=1", "line 3"),
        ("A+B=1", "line 1"),
        ("=1", "line 1"),
        ("A=${X:?needed}", "line 1"),
        ("A=${X", "line 1"),
        ("A=${X!}", "line 1"),
    ],
)
def test_what_compose_refuses_is_refused_without_a_value(text: str, line: str) -> None:
    with pytest.raises(env_file.EnvFileError, match=f"^{line}: ") as caught:
        env_file.parse(text)
    assert "needed" not in str(caught.value)


def test_a_name_without_a_value_is_taken_from_the_shell() -> None:
    assert env_file.parse("A=1\nB\nC=2\nD") == ({"A": "1", "C": "2"}, ("B", "D"))


def test_the_projects_own_file_is_read_twice_so_it_may_refer_forward() -> None:
    text = "A=${B}\nB=1\n"
    assert env_file.as_compose_passes(text, is_project_file=True)[0] == {"A": "1", "B": "1"}
    assert env_file.as_compose_passes(text, is_project_file=False)[0] == {"A": "", "B": "1"}


@given(st.dictionaries(names, printable, max_size=8))
def test_single_quotes_keep_every_value(values: dict[str, str]) -> None:
    lines = [
        f"{name}='{value}'\n"
        for name, value in values.items()
        if "'" not in value and not value.endswith("\\")
    ]
    parsed, inherited = env_file.parse("".join(lines))
    assert parsed == {n: v for n, v in values.items() if "'" not in v and not v.endswith("\\")}
    assert inherited == ()


@given(st.dictionaries(names, printable | st.text(max_size=20), max_size=8))
def test_double_quotes_with_escapes_keep_every_value(values: dict[str, str]) -> None:
    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")

    text = "".join(f'{name}="{quoted(value)}"\n' for name, value in values.items())
    assert env_file.parse(text)[0] == values


@given(st.text(st.sampled_from("AB=:'\"$\\{}#\n\r\t -?+x1é"), max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        values, inherited = env_file.parse(text)
    except env_file.EnvFileError as error:
        assert str(error).startswith("line ")  # noqa: PT017 - refusing is one of two good answers
    else:
        assert not set(values) & set(inherited)


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("WEBSITE_INTAKE_SECRET", "abcdef", ["abcdef"]),
        ("S3_ACCESS_KEY", "abcdefgh", []),
        ("AWS_ACCESS_KEY_ID", "abcdefgh", []),
        ("VAPID_PUBLIC_KEY", "abcdefgh", []),
        ("SITE_KEY", "abcdefgh", []),
        ("AWS_SECRET_ACCESS_KEY", "abcdefgh", ["abcdefgh"]),
        ("WEBSITE_KEY", "abcdefgh", ["abcdefgh"]),
        ("SMTP_PWD", "abcdefgh", ["abcdefgh"]),
        ("DBPASS", "abcdefgh", ["abcdefgh"]),
        ("SMTP_PASS_2", "abcdefgh", ["abcdefgh"]),
        ("PWD", "/usr/src/app", []),
        ("SMTP_PASS", "short", []),
        ("DATABASE_URL", "postgres://crm:p%40ssword@db:5432/crm", ["p%40ssword", "p@ssword"]),
        ("REDIS_URL", "redis://:longer-one@redis:6379", ["longer-one"]),
        ("A_URL", "postgres://crm:pass/word@db:5432/crm", ["pass/word"]),
        ("A_URL", "postgres://crm:pa?ss#word@db:5432/crm", ["pa?ss#word"]),
        ("A_URL", "postgres://crm:pass@word@db:5432/crm?x=a@b", ["pass@word"]),
        ("A_URL", "redis://:first-one@a:1,redis://:other-one@b:1", ["first-one", "other-one"]),
        ("A_URL", "https://crm.example/@scope/x:y", []),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/password", []),
        ("APP_URL", "https://crm.example", []),
        ("MONKEY", "banana-split", []),
    ],
)
def test_secrets_are_told_by_name_and_by_place(name: str, value: str, secrets: list[str]) -> None:
    assert sorted(secret for _, secret in env_file.secrets_of(name, value)) == sorted(secrets)


@dataclass
class _Target:
    assumed: bool = False

    def is_assumed(self, key: str) -> bool:
        return self.assumed and key == "compose.directory"


class _Access:
    def __init__(self, *, assumed: bool = False) -> None:
        self._secrets = Secrets(Redactor())
        self.redactor = self._secrets.redactor
        self.learn = self.redactor.learn
        self.classify = self._secrets.classify
        self.target = _Target(assumed)


def _look(path: Path, *, assumed: bool = False, user: str = "") -> env_file.EnvFile:
    wanted = call(DEPLOY_ENV_FILE, path)
    as_user = ["setpriv", "--reuid", user, "--clear-groups"] if user else []
    done = subprocess.run(
        [*as_user, "/bin/sh", "-c", wanted.command.script, wanted.command.name, *wanted.arguments],
        capture_output=True,
        env={"LC_ALL": "C", "PATH": os.defpath},
        check=False,
    )
    result = Result(wanted, done.returncode, done.stdout, done.stderr.decode())
    return env_file.read(result, str(path), cast("Access", _Access(assumed=assumed)))


def test_a_file_is_reduced_to_classes(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=same\nB=same\nC=other\nD=  \nAPI_TOKEN=one-two-three\n")
    path.chmod(0o640)
    seen = _look(path)
    variables = known(seen.variables)
    assert (seen.kind, seen.mode) == ("file", "640")
    assert variables["A"].equals == variables["B"].equals != variables["C"].equals
    assert (variables["A"].length, variables["D"].blank) == (4, True)
    assert "one-two-three" not in seen.model_dump_json()
    assert set(seen.expected_in_containers(["A", "B"])) == {"C", "D", "API_TOKEN"}


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    assert known(_look(tmp_path / ".env").variables) == {}


def test_a_missing_file_a_directory_and_a_refused_one_differ(tmp_path: Path) -> None:
    missing = _look(tmp_path / ".env")
    assert missing.kind == "missing"
    with pytest.raises(UnavailableError, match="does not exist"):
        missing.expected_in_containers(())
    with pytest.raises(UnavailableError, match=r"^assumed name not found: "):
        _look(tmp_path / ".env", assumed=True)
    (tmp_path / ".env").mkdir()
    assert _look(tmp_path / ".env").kind == "directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another account's place")
def test_without_permission_nothing_is_claimed(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / ".env").write_text("A=1\n")
    with pytest.raises(UnavailableError, match="Permission denied"):
        _look(hidden / ".env", user="65534")


def test_a_file_that_compose_refuses_has_no_variables(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A='never closed\n")
    with pytest.raises(UnavailableError, match=r"line 1: .*Docker Compose refuses"):
        _look(tmp_path / ".env").expected_in_containers(())
