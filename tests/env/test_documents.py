"""Are the plan and the runbooks free of secrets?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.documents import Documents


@pytest.mark.item("env.plan-has-no-secrets")
def test_documents(documents: Documents) -> None:
    """The documents hold no secret. They are mailed and copied, and their history keeps what was removed."""
    verify(
        not documents.secrets, expected="no secret", seen=documents.summary or "none", source=documents.source
    )
    verify(
        bool(documents.extent), expected="every document read", seen=documents.extent, source=documents.source
    )
