"""Secrets that nobody was told of, recognised by the place where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SEPARATOR = r"""\\*["']?\s*(?:[:=]|,\s*(?=b?["']))\s*(?:b(?=["'])|(?!b["']))\\*+["']?+"""
_NO_VALUE = (
    r"(?!«|\$|\*{3}|(?:env|file|cmd):"
    r"|(?:undefined|required|missing|invalid|expired|unknown|redacted)\b)"
)
_UNQUOTED = rf"{_NO_VALUE}[^\s\"'\\,;&<>()\[\]{{}}«»]{{6,}}"
_SCHEME = "(?:bearer|basic|token|digest|negotiate)"
_TOKEN = r"[A-Za-z0-9_-]{8,2000}+"
_KEY_END = re.compile(r"-----YEK ETAVIRP [A-Z ]{0,40}DNE-----(?:(?:\s|[nr]\\)*[A-Za-z0-9+/=]{16,}+)+")
"""The end of a private key whose beginning was cut off, read backwards: so it is found in one pass."""

_COOKIE_ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "samesite", "priority"})

_NAME = (
    r"(?:passwords?|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key"
    r"|encryption[_-]?key|token|signature|credential|\bpwd)[\w-]{0,20}"
)
_PASS = (
    "".join(rf"(?<!{module}_)" for module in ("proxy", "fastcgi", "uwsgi", "scgi", "grpc", "memcached"))
    + r"(?:(?<![A-Za-z.-])pass|(?<=_)PASS)"
)
"""The word as the name of a password; nginx's directives are none, and neither is a result in capitals."""
_ODD = r"(?=[^\s@]{0,100}[0-9])(?=[^\s@]{0,100}[A-Za-z])"
"""Stands before a value with a digit and a letter: a word that goes on with a sentence has no digit."""
_CODED_QUOTE = r"(?:&quot;|&\#34;|%22)"
_BEGINNINGS = (
    *("passw", "passphrase", "secret", "token", "signature", "credential", "pwd"),
    *("api", "access", "private", "signing", "encryption"),
)

Replacement = Callable[[re.Match[str]], str]


class _Anchor(NamedTuple):
    """A place that gives a secret away.

    Attributes:
        words: one of them begins it, in small letters.
        pattern: what follows from there on.
        replacement: what is read instead.
        among: one of them stands in every text with such a place, in small letters; none if that says little.
    """

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: Replacement
    among: tuple[str, ...] = ()

    def matches(self, text: str, lowered: str) -> Iterator[re.Match[str]]:
        if self.among and not any(mark in lowered for mark in self.among):
            return
        end = 0
        for place in sorted({place for word in self.words for place in _places(lowered, word)}):
            match = self.pattern.match(text, place) if place >= end else None
            if match:
                end = match.end()
                yield match

    def replaced(self, text: str, lowered: str) -> str:
        parts: list[str] = []
        position = 0
        for match in self.matches(text, lowered):
            parts += (text[position : match.start()], self.replacement(match))
            position = match.end()
        return "".join([*parts, text[position:]]) if parts else text


def clean(text: str) -> str:
    """Return a text without what its place tells to be a secret."""
    lowered = _lowered(text)
    for anchor in _ANCHORS:
        cleaned = anchor.replaced(text, lowered)
        if cleaned is not text:
            text, lowered = cleaned, _lowered(cleaned)
    if "PRIVATE KEY-----" in text:
        text = _KEY_END.sub("«redacted: private key»"[::-1], text[::-1])[::-1]
    return text


def touch(text: str) -> bool:
    """Tell whether `clean` would change a text."""
    lowered = _lowered(text)
    if any(True for anchor in _ANCHORS for _ in anchor.matches(text, lowered)):
        return True
    return "PRIVATE KEY-----" in text and _KEY_END.search(text[::-1]) is not None


def _places(text: str, word: str) -> Iterator[int]:
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + 1)


def _lowered(text: str) -> str:
    """Return the text in small letters, each where it was."""
    lowered = text.lower()
    return (
        lowered
        if len(lowered) == len(text)
        else "".join(character.lower() if character.isascii() else character for character in text)
    )


def _anchor(*words: str, pattern: str, cased: bool = False, among: tuple[str, ...] = ()) -> _Anchor:
    flags = re.DOTALL if cased else re.DOTALL | re.IGNORECASE
    return _Anchor(words, re.compile(pattern, flags), lambda match: f"{match[1]}«redacted»", among)


def _cookies(match: re.Match[str]) -> str:
    def pair(found: re.Match[str]) -> str:
        return found[0] if found[1].strip().lower() in _COOKIE_ATTRIBUTES else f"{found[1]}=«redacted»"

    return match[1] + re.sub(r"([^=;,\s\"']+)=[^;,\s\"'\\«»]+", pair, match[2])


_ANCHORS = (
    _anchor("://", pattern=r"((?<=[a-z0-9+.-])://[^\s/:@\"'«»]*:)[^\s/\"'«»]+(?=@)"),
    _Anchor(
        ("-----begin ",),
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        lambda _: "«redacted: private key»",
    ),
    _anchor(
        "authorization",
        pattern=rf"(\bauthorization{_SEPARATOR}(?:{_SCHEME}\s+|(?!{_SCHEME}\s)))"
        r"(?!«)[^\s\"',;\\«»]+",
    ),
    _anchor("bearer", "basic", pattern=r"(\b(?:bearer|basic)\s+)(?=[^\s\"']*\d)[a-z0-9+/=._~-]{8,}"),
    _Anchor(
        ("cookie",),
        re.compile(rf"(\bcookie2?{_SEPARATOR}(?:\[\s*\\*[\"']?)?)([^\r\n\"'\\]*)", re.IGNORECASE),
        _cookies,
    ),
    _anchor("session_token", pattern=rf"(session_token{_SEPARATOR})(?!«)[^\s\"',;\\«»]+"),
    _anchor("__secure-", "__host-", pattern=r"(\b__(?:secure|host)-[\w.-]{1,80}=)(?!«)[^\s\"',;\\«»]+"),
    _anchor("eyj", pattern=rf"()(?<![A-Za-z0-9_-])eyJ{_TOKEN}\.{_TOKEN}\.{_TOKEN}", cased=True),
    _anchor(*_BEGINNINGS, pattern=rf"({_NAME}\s*=\s*){_UNQUOTED}"),
    _anchor(
        *_BEGINNINGS,
        pattern=rf"({_NAME}\\*[\"']?\s*(?:=>|[:=])\s*\\*\")(?:{_NO_VALUE}[^\"\\«»]{{6,}})(?=\\*\")",
    ),
    _anchor(
        *_BEGINNINGS,
        pattern=rf"({_NAME}\\*[\"']?\s*(?:=>|[:=])\s*\\*')(?:{_NO_VALUE}[^'\\«»]{{6,}})(?=\\*')",
    ),
    _anchor(
        *_BEGINNINGS,
        pattern=rf"({_NAME}{_CODED_QUOTE}\s*(?::|%3A)\s*{_CODED_QUOTE})"
        rf"{_NO_VALUE}[^\"'\s<>«»]{{6,200}}?(?={_CODED_QUOTE})",
        among=("&quot;", "&#34;", "%22"),
    ),
    _anchor(*_BEGINNINGS, pattern=rf"({_NAME}%3D){_NO_VALUE}[^\s\"'&%<>«»]{{6,}}", among=("%3d",)),
    _anchor(
        *("passw", "passphrase", "secret"),
        pattern=rf"(\b(?:password|passwd|passphrase|secret)\s*:\s*){_ODD}{_UNQUOTED}",
    ),
    _anchor(
        *("password", "identified by"),
        pattern=rf"((?:\bpassword\s+(?:is\s+)?|\bidentified\s+by\s+)'){_NO_VALUE}[^'\\«»]{{6,200}}(?=')",
    ),
    _anchor(
        "password",
        pattern=rf"(\bpassword\s+(?:is\s+)?\\*\"){_NO_VALUE}[^\"\\«»]{{6,200}}(?=\\*\")",
    ),
    _anchor("pass", pattern=rf"((?<=[A-Z0-9]_)PASS\s*[:=]\s*){_UNQUOTED}", cased=True),
    _anchor("pass", pattern=rf"({_PASS}\s*=\s*){_ODD}{_UNQUOTED}", cased=True),
    _anchor(
        "pass",
        pattern=rf"({_PASS}\\*[\"']?\s*(?:=>|[:=])\s*\\*([\"']))"
        rf"{_NO_VALUE}(?:(?!\2)[^\\«»]){{6,200}}(?=\\*\2)",
        cased=True,
    ),
    _anchor(*("requirepass", "masterauth"), pattern=rf"(\b(?:requirepass|masterauth)\s+[\"']?){_UNQUOTED}"),
    _anchor(
        *("--pass", "--token", "--secret"),
        pattern=rf"(--(?:pass(?:word|phrase)?|token|secret)\s+[\"']?){_ODD}{_UNQUOTED}",
    ),
    _anchor(
        *("password>", "secret>", "token>", "accesskey>"),
        pattern=r"((?:password|secret|token|accesskey)>)[^<>\s«»]{6,}(?=</)",
    ),
    _anchor(
        *("xc-", "private-token", "api-", "auth-", "access-", "job-", "deploy-"),
        pattern=r"(\b(?:xc-(?:token|auth)|private-token|(?:api|auth|access|job|deploy)-(?:token|key))\s*:\s*)"
        rf"{_UNQUOTED}",
    ),
    _anchor(
        *("ghp_", "gho_", "ghu_", "ghs_", "github_pat_", "glpat-", "xox", "sk_live_", "rk_live_"),
        pattern=r"()(?<![A-Za-z0-9])(?:gh[opsu]_[A-Za-z0-9]{36}|github_pat_\w{40,}|glpat-[\w-]{20,}"
        r"|xox[abprs]-[\w-]{10,}|[rs]k_live_\w{16,})",
    ),
    _anchor("://", pattern=rf"((?<=[a-z0-9+.-])://){_ODD}[\w.~%-]{{20,}}(?=@)"),
    _anchor("sig=", pattern=r"((?<=[?&])sig=)[^\s&\"'<>«»]{12,}"),
    _anchor("x-", pattern=rf"(\bx-[\w-]{{0,30}}(?:secret|token|key|signature)\s*:\s*){_UNQUOTED}"),
    _anchor(
        *("password", "secret", "token", "_key"),
        pattern=rf"((?<=[A-Z0-9_])(?:PASSWORD|SECRET|TOKEN|_KEY)\s*:\s*){_UNQUOTED}",
        cased=True,
    ),
)
