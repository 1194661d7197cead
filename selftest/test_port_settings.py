"""The inquiry settings are judged by their types, and no address is kept."""

from __future__ import annotations

import pytest

from acceptance.errors import NotApplicableError
from acceptance.facts.base import Known
from acceptance.facts.port_settings import WANTED, PortSettings, Setting, setting

RECIPIENTS, CONTACT, SWITCH = (
    "inquiry_notification_recipients",
    "inquiry_contact_email",
    "website_intake_email_enabled",
)


def settings(*rows: Setting) -> PortSettings:
    return PortSettings(table="system_settings", has_database=True, settings=Known(value=rows))


@pytest.mark.parametrize(
    ("name", "value", "is_right", "told"),
    [
        (SWITCH, "true", True, "true"),
        (SWITCH, '"false"', False, "text that reads like a boolean"),
        (SWITCH, "0", False, "a number"),
        (SWITCH, "null", False, "null"),
        (RECIPIENTS, '["a@b.dev", "C <c@d.dev>"]', True, "a list of 2 addresses"),
        (RECIPIENTS, "[]", True, "a list of 0 addresses"),
        (RECIPIENTS, '["a@b.dev", "nobody", 1]', False, "a list of 1 addresses and 2 other entries"),
        (RECIPIENTS, '"[\\"a@b.dev\\"]"', False, "text that holds a JSON list"),
        (RECIPIENTS, '["a@b.dev"', False, "text"),
        (RECIPIENTS, '"a@b.dev"', False, "an address"),
        (RECIPIENTS, '{"a@b.dev": 1}', False, "a JSON object"),
        (CONTACT, '"a@b.dev"', True, "an address"),
        (CONTACT, "a@b.dev", True, "an address"),
        (CONTACT, '""', False, "empty text"),
        (CONTACT, '["a@b.dev"]', False, "a list of 1 addresses"),
    ],
)
def test_types(name: str, value: str, is_right: bool, told: str) -> None:
    row = setting(name, value, "1")
    assert (row.is_right, row.told) == (is_right, told)
    assert "b.dev" not in row.model_dump_json()


def test_every_port_must_have_every_setting() -> None:
    seen = settings(
        setting(SWITCH, "false", "1"),
        setting(SWITCH, "true", "2"),
        setting(RECIPIENTS, "[]", "1"),
        setting(CONTACT, "a@b.dev", None),
    )
    assert seen.is_right(SWITCH)
    assert seen.summary(SWITCH) == "false for port 1, true for port 2"
    assert not seen.is_right(RECIPIENTS)
    assert seen.summary(RECIPIENTS) == "a list of 0 addresses for port 1, not stored for port 2"
    assert seen.is_right(CONTACT)
    assert not settings().is_right(CONTACT)
    assert settings().summary(CONTACT) == "not stored"


@pytest.mark.parametrize("name", WANTED)
def test_before_there_is_a_database_nothing_is_claimed(name: str) -> None:
    seen = PortSettings(table="system_settings", has_database=False, settings=Known(value=()))
    with pytest.raises(NotApplicableError, match="no database container yet"):
        seen.is_right(name)
