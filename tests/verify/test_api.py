"""Do the CRM's public routes answer as the website needs them?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.api import Api
from acceptance.target import Target


@pytest.mark.item("api.berths")
def test_berth_list_has_its_schema(api: Api, target: Target) -> None:
    """The public berth list is a list of berths.

    The website's map is drawn from it after the cutover; an error page there empties the map.
    """
    berths = api.berths
    verify(
        berths.in_schema(
            list_assumed=target.is_assumed("api.berth_list"), keys_assumed=target.is_assumed("api.berth_keys")
        ),
        expected=f"HTTP 200 and a list of berths, each with {', '.join(target.api.berth_keys)}",
        seen=berths.summary,
        source=berths.source,
    )


@pytest.mark.item("api.intake-guarded")
def test_intake_refuses_a_wrong_secret(api: Api) -> None:
    """Intake refuses a wrong secret with 401 or 403.

    503 means that the app has no secret, so the website's inquiries would be lost; anything else means
    that strangers may store inquiries. The body sent could not be stored even if it were accepted.
    """
    intake = api.intake
    verify(
        intake.verdict_status() in (401, 403),
        expected="HTTP 401 or 403",
        seen=intake.summary,
        source=intake.source,
    )
