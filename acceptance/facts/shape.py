"""What a variable's value looks like, by the shape that its contract asks for, kept without the value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection

from acceptance.contract import (
    Address,
    Addresses,
    Bucket,
    Choice,
    Flag,
    Host,
    Number,
    Port,
    ServiceUrl,
    Shape,
    Strength,
    Url,
    Variable,
)
from acceptance.facts.base import Fact

_LONGEST_SHOWN = 60

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?)(?::([0-9]{1,5}))?")
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\[\]]+@[A-Za-z0-9]([A-Za-z0-9-]*\.)+[A-Za-z0-9-]*[A-Za-z0-9]")
_NAMED_ADDRESS = re.compile(r"\"?[^<>@\"]*\"?\s*<([^<>]+)>")
_BUCKET = re.compile(r"(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

PLACEHOLDER = re.compile(
    r"change[-_ ]?(?:me|it|this)|place[-_ ]?holder|replace[-_ ]?(?:me|this|with)|insert[-_ ]|your[-_ ]"
    r"|example|password|passw0rd|secret|dummy|letmein|qwerty|123456|test[-_]|x{6}|^<.*>$|^\$\{.*\}$|^api[-_]?key$",
    re.IGNORECASE,
)
"""What stands in examples in place of a secret. Nothing of it is likely to occur in a random one."""

_KINDS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("lower case", str.islower),
    ("upper case", str.isupper),
    ("digits", str.isdigit),
    ("others", lambda one: not (one.islower() or one.isupper() or one.isdigit())),
)


class UrlParts(Fact):
    """A URL in its parts, without what is never shown.

    Attributes:
        scheme: in lower case.
        host: in lower case; empty if it is no host name, None if it may not be shown.
        path: what stands behind the host, `/` for a trailing slash; None if it may not be shown.
        has_path: whether anything stands there.
        besides: which of user, password, query and fragment it has.
        is_clear: False if an `@` stands behind the host: then a part of the password may be taken for it.
    """

    scheme: str
    host: str | None
    port: int | None
    path: str | None
    has_path: bool
    besides: tuple[str, ...]
    is_clear: bool


class Guessable(Fact):
    """What tells how hard a secret is to guess; of a URL it is the password.

    Attributes:
        kinds: of its characters.
        distinct: how many different ones.
        is_placeholder: whether it reads like one of an example.
    """

    length: int
    kinds: tuple[str, ...]
    distinct: int
    is_placeholder: bool

    def weaknesses(self, wanted: Strength) -> tuple[str, ...]:
        """Say what it lacks."""
        found = {
            "no secret at all": not self.length,
            "a known placeholder": self.is_placeholder,
            _characters(self.length): 0 < self.length < wanted.length,
            f"only {', '.join(self.kinds)}": 0 < len(self.kinds) < wanted.kinds,
            f"only {self.distinct} different characters": 0 < self.distinct < wanted.distinct,
        }
        return tuple(text for text, holds in found.items() if holds)


class Seen(Fact):
    """A variable that is there, without its value. Of the last eight only what its shape asks for is known.

    Attributes:
        equals: its equality class: equal within a run for equal values.
        length: in characters.
        kinds: of its characters.
        blank: True if it is empty or only white space.
        padded: True if white space stands around it, or a control character in it, a carriage return say.
        quoted: True if quotes stand around it that whoever reads it takes for a part.
        word: the declared choice that it is.
        addresses, strangers: how many e-mail addresses it lists, and how many entries that are none.
    """

    equals: str
    length: int
    kinds: tuple[str, ...]
    blank: bool
    padded: bool
    quoted: bool
    url: UrlParts | None = None
    host: str | None = None
    number: int | None = None
    word: str | None = None
    addresses: int = 0
    strangers: int = 0
    is_bucket: bool = False
    guessable: Guessable | None = None

    @property
    def words(self) -> str:
        """How long it is and of what."""
        return f"{_characters(self.length)}: {', '.join(self.kinds)}"

    def trouble(self, shape: Shape, equals: Collection[str] = (), port: int | None = None) -> str:
        """Say how it differs from a shape; empty if it does not. Not for a blank one.

        Args:
            shape: the contract's.
            equals: the address or the hosts that it must have, with the target's values put in.
            port: that a service listens on.
        """
        if self.padded:
            return "white space around it, or a control character in it"
        if self.quoted:
            return "quotes around it that are part of the value"
        if isinstance(shape, Url):
            return self._no_url(shape, *equals)
        if isinstance(shape, ServiceUrl):
            return self._no_service(shape, equals, port)
        if isinstance(shape, Host):
            return self._no_host(equals)
        return "" if self._is(shape) else self._otherwise(shape)

    def _is(self, shape: Shape) -> bool:
        if isinstance(shape, Port | Number):
            number = self.number
            return (
                number is not None and shape.least <= number and (shape.most is None or number <= shape.most)
            )
        if isinstance(shape, Choice | Flag):
            return self.word in shape.values
        if isinstance(shape, Address | Addresses):
            return not self.strangers and 1 <= self.addresses <= shape.most
        return self.is_bucket or not isinstance(shape, Bucket)

    def _otherwise(self, shape: Shape) -> str:
        if isinstance(shape, Port | Number) and self.number is not None:
            return "a number out of range"
        if isinstance(shape, Address | Addresses):
            return f"{self.addresses} e-mail addresses, {self.strangers} entries that are none"
        return self.words

    def _no_url(self, shape: Url, equals: str = "") -> str:
        url = self.url
        if url is None:
            return f"no URL: {self.words}"
        found = [
            *([] if url.scheme in shape.schemes else [f"{url.scheme}://"]),
            *(f"a {part}" for part in url.besides),
            *([] if url.is_clear else ["an @ behind the host"]),
            *(_elsewhere(url, parts(equals)) if equals else _no_host_there(url)),
        ]
        if not equals and url.has_path and shape.path == "none":
            found.append(_path(url))
        return ", ".join(found)

    def _no_service(self, shape: ServiceUrl, hosts: Collection[str], port: int | None) -> str:
        url = self.url
        if url is None:
            return f"no URL: {self.words}"
        if not url.is_clear:
            return "an @ behind the host; in a password such characters are percent-encoded"
        found = [
            *([] if url.scheme in shape.schemes else [f"{url.scheme}://"]),
            *([] if url.host in hosts else [_host_of(url)]),
            *([f"port {url.port}"] if url.port not in (None, port) else []),
        ]
        if shape.service == "postgres":
            found += [] if "user" in url.besides else ["no user"]
            found += [] if url.has_path else ["no database"]
        return ", ".join(found)

    def _no_host(self, hosts: Collection[str]) -> str:
        if self.host is None:
            return "a URL" if self.url else f"no host name: {self.words}"
        if not hosts or self.host in hosts:
            return ""
        return f"host `{self.host}`" if "." in self.host or self.host == "localhost" else "another name"


def look_at(value: str, variable: Variable, equals: str) -> Seen:
    """Reduce a value to what its contract's shape and strength ask for; pure.

    Args:
        value: the variable's.
        variable: of the contract.
        equals: the value's equality class.
    """
    shape = variable.shape
    seen = Seen(
        equals=equals,
        length=len(value),
        kinds=_kinds(value),
        blank=not value.strip(),
        padded=value != value.strip() or any(ord(one) < 32 or ord(one) == 127 for one in value),
        quoted=len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`",
        guessable=_guessable(value, shape) if variable.strength else None,
    )
    return seen.model_copy(update=_of_the_shape(value.strip(), shape))


def _of_the_shape(value: str, shape: Shape) -> dict[str, object]:
    if isinstance(shape, Url | ServiceUrl | Host):
        path = isinstance(shape, Url) and shape.shown
        url = parts(value, host=path or isinstance(shape, ServiceUrl), path=path)
        return {"url": url, "host": _host(value) if isinstance(shape, Host) else None}
    if isinstance(shape, Port | Number):
        return {"number": int(value) if re.fullmatch(r"[0-9]{1,9}", value) else None}
    if isinstance(shape, Choice | Flag):
        return {"word": value if value in shape.values else None}
    if isinstance(shape, Address | Addresses):
        entries = listed(value) if isinstance(shape, Addresses) else [value]
        good = sum(map(is_address, entries))
        return {"addresses": good, "strangers": len(entries) - good}
    return {"is_bucket": _BUCKET.fullmatch(value) is not None} if isinstance(shape, Bucket) else {}


def parts(value: str, *, host: bool = True, path: bool = True) -> UrlParts | None:
    """Take a URL apart; None if it is none. Pure.

    Args:
        value: the URL.
        host: whether the host may be kept.
        path: whether the path may be.
    """
    match = _URL.fullmatch(value)
    if match is None:
        return None
    scheme, authority, behind, query, fragment = match.groups(default="")
    credentials, at, place = authority.rpartition("@")
    user, colon, _ = credentials.partition(":")
    is_clear = "@" not in f"{behind}{query}{fragment}{credentials}"
    found = _PLACE.fullmatch(place) if is_clear else None
    besides = {"user": user, "password": colon, "query": query, "fragment": fragment}
    is_harmless = is_clear and not at and len(behind) <= _LONGEST_SHOWN
    return UrlParts(
        scheme=scheme.lower(),
        host=(found[1].lower() if found else "") if host else None,
        port=int(found[3]) if found and found[3] else None,
        path=behind if path and is_harmless else None,
        has_path=bool(behind),
        besides=tuple(name for name, there in besides.items() if there),
        is_clear=is_clear,
    )


def is_address(text: str) -> bool:
    """Tell whether a text is one e-mail address, by itself or as `Name <address>`; pure."""
    named = _NAMED_ADDRESS.fullmatch(text.strip())
    return _ADDRESS.fullmatch(named[1] if named else text.strip()) is not None


def listed(value: str) -> list[str]:
    """Return the entries of a list, written with commas or as JSON; pure. A JSON entry is kept as text."""
    if value.startswith("["):
        try:
            return [entry if isinstance(entry, str) else "" for entry in json.loads(value)]
        except (ValueError, RecursionError):
            return [value]
    return [entry.strip() for entry in re.split(r"[,;]", value)]


def _guessable(value: str, shape: Shape) -> Guessable:
    secret = _password(value) if isinstance(shape, ServiceUrl) else value
    return Guessable(
        length=len(secret),
        kinds=_kinds(secret),
        distinct=len(set(secret)),
        is_placeholder=PLACEHOLDER.search(secret) is not None,
    )


def _password(url: str) -> str:
    match = _URL.fullmatch(url.strip())
    return match[2].rpartition("@")[0].partition(":")[2] if match else ""


def _host(value: str) -> str | None:
    match = _PLACE.fullmatch(value)
    return match[1].lower() if match and match[3] is None else None


def _kinds(value: str) -> tuple[str, ...]:
    return tuple(name for name, belongs in _KINDS if any(map(belongs, value)))


def _characters(count: int) -> str:
    return f"{count} character" + ("s" if count != 1 else "")


def _elsewhere(url: UrlParts, wanted: UrlParts | None) -> list[str]:
    """Say in what a URL leads elsewhere than another one."""
    if wanted is None or not url.is_clear:
        return []
    return [
        *([_host_of(url)] if url.host != wanted.host else []),
        *([f"port {url.port}" if url.port else "no port"] if url.port != wanted.port else []),
        *([_path(url)] if url.path != wanted.path else []),
    ]


def _no_host_there(url: UrlParts) -> list[str]:
    return ["no host name"] if url.is_clear and url.host == "" else []


def _host_of(url: UrlParts) -> str:
    if url.host is None:
        return "another host"
    return f"host `{url.host}`" if url.host else "no host name"


def _path(url: UrlParts) -> str:
    if not url.has_path:
        return "no path"
    if url.path is None:
        return "a path"
    return "a trailing slash" if url.path == "/" else f"path `{url.path}`"
