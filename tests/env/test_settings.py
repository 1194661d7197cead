"""Are the inquiry settings stored as the CRM reads them?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.port_settings import WANTED, PortSettings, expected


@pytest.mark.item("env.port-settings")
@pytest.mark.parametrize("name", WANTED)
def test_port_settings(port_settings: PortSettings, name: str) -> None:
    """A setting is stored with its type. With another one the alert of an inquiry reaches nobody."""
    verify(
        port_settings.is_right(name),
        expected=f"{name}: {expected(name)}",
        seen=port_settings.summary(name),
        source=port_settings.source,
    )
