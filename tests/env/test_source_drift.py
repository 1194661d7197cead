"""Does the contract know every variable that the commit to deploy knows?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.source_keys import SourceKeys


@pytest.mark.item("env.crm.source-drift")
def test_schema(source_keys: SourceKeys) -> None:
    """Every key of the schema is in the contract. A new required one keeps the new version from starting."""
    file = known(source_keys.schema_file)
    new = source_keys.new_in(file)
    verify(
        not new,
        expected=f"every key of {file.path} at {known(source_keys.commit)} in contracts/crm.toml",
        seen=f"new: {', '.join(new)}" if new else f"{len(file.keys)} keys, all there",
        source=file.source,
    )


@pytest.mark.item("env.crm.source-drift")
def test_example(source_keys: SourceKeys) -> None:
    """Every name of the example is in the contract. A new one hints at something new to be set up."""
    file = known(source_keys.example_file)
    new = source_keys.new_in(file)
    verify(
        not new,
        expected=f"every name of {file.path} at {known(source_keys.commit)} in contracts/crm.toml",
        seen=f"new: {', '.join(new)}" if new else f"{len(file.keys)} names, all there",
        source=file.source,
    )
