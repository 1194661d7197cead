"""Compares an exchange with its recording: what is made anew may differ, but in the same way everywhere."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

RECORDED_ON = "2026-11-23"

_MADE_ANEW = re.compile(
    rf"(?P<time>(?:{RECORDED_ON}|2027-02-21)T[\d:.]+)"
    r"|(?P<envelope>envelope_[a-z]{16}(?![a-z]))"
    r"|(?P<item>envelope_item_[a-z]{16}(?![a-z]))"
    r"|(?P<prefix>(?<=/docs/)[0-9a-z]{12}(?=/))"
    r"|(?P<cuid>(?<![\w-])c[0-9a-z]{24}(?![\w-]))"
    r"|(?P<token>(?<![\w-])[\w-]{21}(?![\w-]))"
)
_FORMS = {
    "time": r"20\d\d-\d\d-\d\dT[\d:.]+",
    "envelope": r"envelope_[a-z]{16}",
    "item": r"envelope_item_[a-z]{16}",
    "prefix": r"[0-9a-z]{12}",
    "cuid": r"c[0-9a-z]{24}",
    "token": r"[\w-]{21}",
}
_PLACEHOLDERS = {"<value>", "<token>", "<stack trace omitted>"}
_SIGNED = re.compile(r"(X-Amz-(?:Credential|Date|Signature))=[^&]*")
_UNORDERED = {"emailSettings"}
_FACTS = {
    "form field email": r'<input[^>]+name="email"',
    "password input": r'<input[^>]+type="password"',
    "link to /signup": r'href="/signup"',
    "link to /forgot-password": r'href="/forgot-password"',
    'text "Sign in to your account"': "Sign in to your account",
    'text "404"': ">404<",
    'text "Page not found"': "Page not found",
    "script tags with a nonce": r"<script[^>]+nonce=",
    "reference to /assets/": '"/assets/',
}
_HEADERS = (
    "content-type",
    "location",
    "access-control-allow-origin",
    "cache-control",
    "allow",
    "www-authenticate",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
)
_COUNTDOWNS = ("retry-after", "ratelimit-reset")
_NOT_KEPT = "30-v1-rate-limit-last-allowed"


@dataclass
class Names:
    """What is made anew, by what it was in the recording; both sides use each name in the same places."""

    known: dict[str, str] = field(default_factory=dict)

    def here(self, recorded: str) -> str:
        """Return a recorded text as it must be in this run."""
        return _MADE_ANEW.sub(lambda found: self.known.get(found[0], found[0]), recorded)

    def differences(self, recorded: object, seen: object, where: str = "") -> list[str]:
        """Return what differs, learning the names of what is new."""
        if isinstance(recorded, str) and recorded in _PLACEHOLDERS:
            return [] if isinstance(seen, str) and seen else [f"{where}: no text"]
        if isinstance(recorded, str) and isinstance(seen, str):
            return self._texts(recorded, seen, where)
        if isinstance(recorded, dict) and isinstance(seen, dict):
            return self._objects(recorded, seen, where)
        if isinstance(recorded, list) and isinstance(seen, list) and len(recorded) == len(seen):
            pairs = enumerate(zip(recorded, seen, strict=True))
            return [line for number, (a, b) in pairs for line in self.differences(a, b, f"{where}[{number}]")]
        same = recorded == seen and type(recorded) is type(seen)
        return [] if same else [f"{where}: recorded {recorded!r}, seen {seen!r}"]

    def _objects(self, recorded: dict[str, Any], seen: dict[str, Any], where: str) -> list[str]:
        if list(recorded) != list(seen) and where.rpartition(".")[2] not in _UNORDERED:
            return [f"{where}: recorded keys {list(recorded)}, seen {list(seen)}"]
        return [
            line
            for name in recorded
            for line in self.differences(recorded[name], seen[name], f"{where}.{name}")
        ]

    def _texts(self, recorded: str, seen: str, where: str) -> list[str]:
        recorded, seen = _plain(recorded), _plain(seen)
        parts = list(_MADE_ANEW.finditer(recorded))
        pattern, end = "", 0
        for part in parts:
            form = self.known.get(part[0])
            known = re.escape(form) if form else _FORMS[str(part.lastgroup)]
            pattern += f"{re.escape(recorded[end : part.start()])}({known})"
            end = part.end()
        found = re.fullmatch(pattern + re.escape(recorded[end:]), seen)
        if found is None:
            return [f"{where}: recorded {self.here(recorded)!r}, seen {seen!r}"]
        for part, text in zip(parts, found.groups(), strict=True):
            self.known[part[0]] = text
        return []


def answer(name: str, recorded: dict[str, Any], seen: httpx.Response, names: Names) -> list[str]:
    """Return in what an HTTP answer differs from its recording."""
    if recorded["status"] != seen.status_code:
        return [f"status: recorded {recorded['status']}, seen {seen.status_code}: {seen.text[:300]}"]
    return [
        *_headers(name, recorded["headers"], seen),
        *(
            []
            if name == _NOT_KEPT
            else names.differences(recorded["body"], _body(recorded["body"], seen), "body")
        ),
    ]


def _headers(name: str, recorded: dict[str, Any], seen: httpx.Response) -> list[str]:
    found = {header: seen.headers[header] for header in _HEADERS if header in seen.headers}
    wanted = {header: value for header, value in recorded.items() if header in _HEADERS}
    if name == _NOT_KEPT:
        found = {header: value for header, value in found.items() if header in wanted}
    if name.startswith("54-"):
        found.pop("x-ratelimit-remaining", None)
        wanted.pop("x-ratelimit-remaining", None)
    lines = [] if wanted == found else [f"headers: recorded {wanted}, seen {found}"]
    if recorded.get("content-security-policy_present", False) != ("content-security-policy" in seen.headers):
        lines.append("content-security-policy")
    lines += [
        f"{header}: seen {seen.headers.get(header)}"
        for header in _COUNTDOWNS
        if header in recorded and not 0 < int(seen.headers.get(header, "0")) <= 60
    ]
    if "x-ratelimit-reset" in recorded:
        reset = int(seen.headers.get("x-ratelimit-reset", "1"))
        if reset % 60 or not -2 <= reset - time.time() <= 60:
            lines.append(f"x-ratelimit-reset: seen {reset}")
    cookies = [_cookie(header) for header in seen.headers.get_list("set-cookie")]
    if cookies != recorded.get("set-cookie", []):
        lines.append(f"set-cookie: recorded {recorded.get('set-cookie')}, seen {cookies}")
    return lines


def _cookie(header: str) -> dict[str, Any]:
    first, *attributes = header.split("; ")
    return {"name": first.partition("=")[0], "value": "<value>", "attributes": attributes}


def _body(recorded: object, seen: httpx.Response) -> object:
    if not seen.content:
        return None
    if isinstance(recorded, dict) and "html_title" in recorded:
        title = re.search("<title>(.*?)</title>", seen.text)
        contains = [fact for fact in recorded["contains"] if re.search(_FACTS[fact], seen.text)]
        lacks = [fact for fact in recorded["does_not_contain"] if not re.search(_FACTS[fact], seen.text)]
        return {"html_title": title[1] if title else "", "contains": contains, "does_not_contain": lacks}
    body = seen.json()
    if isinstance(recorded, dict) and "number_of_paths" in recorded:
        return _summary(body, recorded)
    if isinstance(recorded, dict) and isinstance(recorded.get("documents"), list):
        return {**body, "documents": body["documents"][: len(recorded["documents"])]}
    return body


def _summary(body: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """Words a description of the API as the recording does; of v2 the stand-in knows few paths."""
    paths = body["paths"]
    count = len(paths) if "v2" not in body["info"]["title"] else recorded["number_of_paths"]
    return {
        "openapi": body["openapi"],
        "title": body["info"]["title"],
        "info_version": body["info"]["version"],
        "number_of_paths": count,
        "has_path_/envelope/get-many": "/envelope/get-many" in paths,
        "has_path_/document": "/document" in paths,
    }


def _plain(text: str) -> str:
    """Leave out what hangs on keys and time, and TLS, which bucket and CRM lack here."""
    for host in ("s3.acme.example", "crm.acme.example"):
        text = text.replace(f"https://{host}", f"http://{host}")
    return _SIGNED.sub(r"\1=", text)
