"""Reads a bundle that an earlier run left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from acceptance.errors import UnavailableError, UsageError
from acceptance.evidence.record import RunRecord
from acceptance.evidence.verify import verify
from acceptance.facts.base import Fact, Noun, Unavailable
from acceptance.target import Target

M = TypeVar("M", bound=BaseModel)


class StoredBundle:
    """A bundle on disk; nothing of it is changed.

    Raises:
        UsageError: it is no bundle, a file of it is missing or malformed, or it is not what its
            manifest says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "record.json").is_file():
            raise UsageError(
                f"{path}: not a finished bundle (it has no record.json); give the directory of a run."
            )
        found = verify(path).findings
        if found:
            raise UsageError(f"{path}: the bundle is not as its run left it: {found[0]}; use the original.")
        self.record = self._model("record.json", RunRecord)
        self.target = self._model("target.json", Target)

    def fact(self, noun: Noun) -> Fact | Unavailable:
        """Return a stored fact, or why there is none.

        Raises:
            UsageError: the file is malformed, or written by a suite whose form of it is another.
        """
        name = f"facts/{noun.name}.json"
        if not self.has(noun):
            return Unavailable(reason=f"the bundle {self.path.name} holds no fact {noun.name}")
        document = self._document(name)
        model = Unavailable if document.get("state") == "unavailable" else noun.model
        try:
            return model.model_validate(document.get("value"))
        except ValidationError as error:
            raise self._mistake(name, f"{error.error_count()} mistakes") from error

    def has(self, noun: Noun) -> bool:
        """Tell whether it holds that fact, or why there was none."""
        return (self.path / f"facts/{noun.name}.json").is_file()

    def pictures(self) -> dict[str, bytes]:
        """Return its screenshots as PNG, by name.

        Raises:
            UsageError: one is missing.
        """
        try:
            return {shot.name: (self.path / shot.file).read_bytes() for shot in self.record.screenshots}
        except OSError as error:
            raise self._mistake("screenshots", str(error)) from error

    def _model(self, name: str, model: type[M]) -> M:
        try:
            return model.model_validate(self._document(name))
        except ValidationError as error:
            raise self._mistake(name, f"{error.error_count()} mistakes") from error

    def _document(self, name: str) -> dict[str, Any]:
        try:
            document = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._mistake(name, str(error)) from error
        if not isinstance(document, dict):
            raise self._mistake(name, "it holds no object")
        return document

    def _mistake(self, name: str, what: str) -> UsageError:
        return UsageError(
            f"{self.path / name}: cannot be read as this suite's form of it ({what}); "
            "use the suite's version that wrote it."
        )


class Baseline:
    """The facts of an earlier run, for checks that compare with it."""

    def __init__(self, bundle: StoredBundle | None, nouns: Mapping[str, Noun]) -> None:
        self._bundle = bundle
        self._nouns = nouns

    def fact(self, name: str) -> Fact:
        """Return a fact as it was then.

        Raises:
            UnavailableError: no baseline was given, or it could not be looked at then either.
        """
        if self._bundle is None:
            raise UnavailableError(
                "no baseline was given", "run again with --baseline BUNDLE of an earlier run"
            )
        fact = self._bundle.fact(self._nouns[name])
        if isinstance(fact, Unavailable):
            raise UnavailableError(f"in the baseline: {fact.reason}", fact.remedy)
        return fact
