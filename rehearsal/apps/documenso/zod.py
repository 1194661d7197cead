"""Validation of requests, with the errors that Zod 3 reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rehearsal.apps.documenso.http import CORS, as_json
from rehearsal.apps.web import Answer

Issue = dict[str, Any]

_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
_MISSING = object()


@dataclass(frozen=True)
class Field:
    """A field of a JSON object: its type, and whether it may be missing or null.

    Attributes:
        items: if it is an array, the fields of each object in it.
    """

    type: type
    optional: bool = False
    items: Mapping[str, Field] | None = None


def body_issues(body: object, fields: Mapping[str, Field], path: Sequence[str | int] = ()) -> list[Issue]:
    """Return what is wrong with a JSON object."""
    if not isinstance(body, dict):
        return [_wrong("object", body, path)]
    issues = []
    for name, field in fields.items():
        issues += _field_issues(body.get(name, _MISSING), field, [*path, name])
    return issues


def number_issues(query: Mapping[str, str], names: Sequence[str]) -> list[Issue]:
    """Return which of these parameters of a query are not numbers."""
    return [
        {
            "code": "invalid_type",
            "expected": "number",
            "received": "nan",
            "path": [name],
            "message": "Expected number, received nan",
        }
        for name in names
        if name in query and not query[name].strip().replace(".", "", 1).isdigit()
    ]


def refused(*, headers: list[Issue], query: list[Issue], body: list[Issue]) -> Answer | None:
    """Return the 400 of ts-rest, None if nothing is wrong."""
    if not (headers or query or body):
        return None
    return as_json(
        {
            "message": "Request validation failed",
            "pathParameterErrors": None,
            "headerErrors": _error(headers),
            "queryParameterErrors": _error(query),
            "bodyErrors": _error(body),
        },
        400,
        CORS,
    )


def required(name: str, expected: str = "string") -> Issue:
    """Return the issue of something that is missing."""
    return _wrong(expected, _MISSING, [name])


def _error(issues: list[Issue]) -> dict[str, Any] | None:
    return {"issues": issues, "name": "ZodError"} if issues else None


def _field_issues(value: object, field: Field, path: Sequence[str | int]) -> list[Issue]:
    if field.optional and (value is _MISSING or value is None):
        return []
    numeric = field.type is float and isinstance(value, int) and not isinstance(value, bool)
    if not (isinstance(value, field.type) or numeric):
        return [_wrong(_TYPES[field.type], value, path)]
    if field.items is None or not isinstance(value, list):
        return []
    return [
        issue
        for number, item in enumerate(value)
        for issue in body_issues(item, field.items, [*path, number])
    ]


def _wrong(expected: str, value: object, path: Sequence[str | int]) -> Issue:
    received = (
        "undefined" if value is _MISSING else "null" if value is None else _TYPES.get(type(value), "unknown")
    )
    message = "Required" if value is _MISSING else f"Expected {expected}, received {received}"
    return {
        "code": "invalid_type",
        "expected": expected,
        "received": received,
        "path": list(path),
        "message": message,
    }
