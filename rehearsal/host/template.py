"""The part of Go's text/template that `docker --format` is used with: fields, `json`, `index`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_ACTION = re.compile(r"\{\{(.*?)\}\}")
_FIELD = re.compile(r"\.(\w+)")
_INDEX = re.compile(r'index\s+(\S+)\s+"([^"]*)"$')


class TemplateError(Exception):
    """A template that cannot be executed; `before` is what Docker prints until then."""

    def __init__(self, message: str, before: str = "") -> None:
        super().__init__(message)
        self.before = before


def go_json(value: object, indent: int | None = None) -> str:
    """Return JSON as Go's encoder writes it: no spaces, `<`, `>` and `&` escaped."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def render(template: str, document: object) -> str:
    """Execute a template on a document.

    Raises:
        TemplateError: a key is missing, or the template uses what is not supported here.
    """
    text = template.replace("\\t", "\t").replace("\\n", "\n")
    position = 0
    parts: list[str] = []
    for action in _ACTION.finditer(text):
        parts.append(text[position : action.start()])
        try:
            parts.append(_evaluate(action.group(1), action.start(1), document))
        except TemplateError as failure:
            failure.before = "".join(parts)
            raise
        position = action.end()
    if "{{" in text[position:]:
        raise TemplateError("template: :1: unclosed action")
    return "".join([*parts, text[position:]])


def _evaluate(expression: str, offset: int, document: object) -> str:
    stripped = expression.strip()
    offset += len(expression) - len(expression.lstrip())
    function: Callable[[object], str] = _show
    if stripped.startswith("json "):
        offset += len(stripped) - len(stripped[5:].lstrip())
        stripped, function = stripped[5:].strip(), go_json
    indexed = _INDEX.match(stripped)
    if indexed:
        found = _field(indexed.group(1), offset + 6, document)
        return function(found.get(indexed.group(2), "") if isinstance(found, dict) else None)
    return function(_field(stripped, offset, document))


def _field(path: str, offset: int, document: object) -> Any:  # noqa: ANN401
    if path == ".":
        return document
    if "".join(match.group(0) for match in _FIELD.finditer(path)) != path:
        raise TemplateError(f'template: :1: function "{path.partition(" ")[0]}" not defined')
    for match in _FIELD.finditer(path):
        if not isinstance(document, dict) or match.group(1) not in document:
            raise TemplateError(
                f'template: :1:{offset + match.start()}: executing "" at <{path}>: '
                f'map has no entry for key "{match.group(1)}"'
            )
        document = document[match.group(1)]
    return document


def _show(value: object) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_show(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(_show(item) for item in value)}]"
    return str(value)
