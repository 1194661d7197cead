"""The keys of Zod objects in a TypeScript file, read from its text; nothing of it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SKIPPED = re.compile(r"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_STRING = re.compile(r"'((?:\\.|[^'\\\n])*)'|\"((?:\\.|[^\"\\\n])*)\"")
_TEMPLATE = re.compile(r"`(?:\\.|[^`\\])*`", re.DOTALL)
_EXPRESSION = re.compile(r"/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/\w*")

_BEFORE_EXPRESSION = frozenset("(,=:[!&|?{};+") | {"", "return"}
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_BEFORE_KEY, _AFTER_KEY = frozenset("{,"), frozenset(":,}")
_OBJECTS = ("object", "strictObject", "looseObject", "extend", "safeExtend")
"""Methods whose first argument is an object of schemas, one for each key."""
_PARTS = ("server", "client", "shared")
"""Where `createEnv` of t3-env takes such objects."""


@dataclass(frozen=True)
class _Token:
    """A word, a string or a sign; comments and white space are none.

    Attributes:
        sign: the word or sign as it stands; a quotation mark for every string.
        name: what it means as a key; empty for a sign.
    """

    sign: str
    name: str = ""


_END = _Token("")


def keys(text: str) -> tuple[str, ...]:
    """Return the keys of the objects given to `z.object`, `.extend` and `createEnv`, each once; pure.

    Objects within those objects describe a value and no variable. What is spread into one from another file
    is not seen.
    """
    tokens = list(_tokens(text))
    found: dict[str, None] = {}
    brackets: list[bool] = []
    for place, token in enumerate(tokens):
        if token.sign in _OPENING:
            brackets.append(token.sign == "{" and _holds_schemas(tokens, place))
        elif token.sign in _CLOSING:
            del brackets[-1:]
        elif token.name and brackets[-1:] == [True] and sum(brackets) == 1 and _is_key(tokens, place):
            found[token.name] = None
    return tuple(found)


def _is_key(tokens: list[_Token], place: int) -> bool:
    return _sign(tokens, place - 1) in _BEFORE_KEY and _sign(tokens, place + 1) in _AFTER_KEY


def _holds_schemas(tokens: list[_Token], place: int) -> bool:
    first, second, third = (_sign(tokens, place - distance) for distance in (1, 2, 3))
    if first == "(" and third == ".":
        return second in _OBJECTS
    return first == ":" and second in _PARTS and third in _BEFORE_KEY


def _sign(tokens: list[_Token], place: int) -> str:
    return tokens[place].sign if 0 <= place < len(tokens) else ""


def _tokens(text: str) -> Iterator[_Token]:
    position, before = 0, _END
    while position < len(text):
        token, position = _token(text, position, before)
        if token is not None:
            before = token
            yield token


def _token(text: str, position: int, before: _Token) -> tuple[_Token | None, int]:
    """Return the token that begins here, if one does, and where it ends."""
    if match := _SKIPPED.match(text, position):
        return None, match.end()
    if match := _WORD.match(text, position):
        return _Token(match.group(), match.group()), match.end()
    if match := _STRING.match(text, position):
        return _Token("'", match[1] or match[2] or ""), match.end()
    if match := _TEMPLATE.match(text, position):
        return _Token("`"), match.end()
    if before.sign in _BEFORE_EXPRESSION and (match := _EXPRESSION.match(text, position)):
        return _Token("/"), match.end()
    return _Token(text[position]), position + 1
