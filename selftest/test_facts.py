"""Facts survive the way into a bundle and back."""

from __future__ import annotations

import pytest

from acceptance import target as targets
from acceptance.facts.base import Unavailable
from acceptance.facts.catalogue import NOUNS
from rehearsal.client import Rehearsal
from selftest import matrix

SHOWN = sorted(name for name, noun in NOUNS.items() if not matrix.of_documenso(noun))


@pytest.fixture(scope="module")
def look(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> matrix.Look:
    observer = matrix.Observer(targets.load(rehearsal.target_file), tmp_path_factory.mktemp("facts"))
    return observer.look(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_a_fact_is_the_same_after_json(look: matrix.Look, name: str) -> None:
    fact = look.facts[name]
    assert not isinstance(fact, Unavailable), fact.reason
    assert NOUNS[name].model.model_validate_json(fact.model_dump_json()) == fact
