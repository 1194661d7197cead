"""What nginx does with a request: which server, which location, and what is in force there; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from acceptance.errors import UnavailableError
from acceptance.facts.base import Source
from acceptance.facts.nginx_parse import Directive

T = TypeVar("T")

_SIZES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_TIMES = {
    "ms": 0.001,
    "s": 1.0,
    "": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "M": 2592000.0,
    "y": 31536000.0,
}
_CLIENT_ADDRESS = ("$remote_addr", "$realip_remote_addr", "$http_cf_connecting_ip")
_CARRIES = {
    "host": ("$host", "$http_host"),
    "x-real-ip": _CLIENT_ADDRESS,
    "x-forwarded-for": ("$proxy_add_x_forwarded_for", *_CLIENT_ADDRESS),
    "x-forwarded-proto": ("$scheme", "https", "$http_x_forwarded_proto"),
    "cf-connecting-ip": ("$http_cf_connecting_ip",),
    "upgrade": ("$http_upgrade",),
}
"""What a header's value must hold to tell the app what its name says."""

FORWARDED_HEADERS = ("Host", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "CF-Connecting-IP")
KEPT_HEADERS = frozenset({*_CARRIES, "connection"})


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A value that is in force at a location.

    Attributes:
        text: the directive, or that it is the default.
    """

    value: T
    text: str
    source: Source


def size_of(text: str) -> int:
    """Return the bytes of a size like `64M`, `65536k` or `1024`.

    Raises:
        UnavailableError: it is none.
    """
    match = re.fullmatch(r"(\d+)([kmg]?)", text.lower())
    if not match:
        raise UnavailableError(f"the size {text} is not understood")
    return int(match[1]) * _SIZES[match[2]]


def seconds_of(text: str) -> float:
    """Return the seconds of a time like `300`, `300s`, `5m` or `1h30m`.

    Raises:
        UnavailableError: it is none.
    """
    if not re.fullmatch(r"(\d+(ms|[smhdwMy]?)\s*)+", text):
        raise UnavailableError(f"the time {text} is not understood")
    return sum(int(number) * _TIMES[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwMy]?)", text))


_JUDGED = frozenset(
    {
        "access_log",
        "client_max_body_size",
        "listen",
        "location",
        "map",
        "proxy_buffering",
        "proxy_http_version",
        "proxy_pass",
        "proxy_read_timeout",
        "proxy_set_header",
        "return",
        "server",
        "server_name",
        "ssl",
        "upstream",
    }
)


def judged(directive: Directive) -> Directive:
    """Return a block reduced to what is judged; whatever else it says may be secret and is not kept."""
    if directive.block is None:
        return directive.model_copy(update={"args": _shown(directive)})
    if directive.name == "map":
        return directive
    kept = [one for one in directive.block if one.name in _JUDGED and not _foreign_map(one)]
    return directive.model_copy(update={"block": tuple(judged(one) for one in kept)})


def _foreign_map(directive: Directive) -> bool:
    return directive.name == "map" and directive.args[:1] != ("$http_upgrade",)


def _shown(directive: Directive) -> tuple[str, ...]:
    args = directive.args
    if directive.name == "proxy_set_header" and args and args[0].lower() not in KEPT_HEADERS:
        return (args[0], "…")
    if directive.name == "return":
        return tuple(one for one in args if one.isdigit() or one.startswith(("http:", "https:")))
    return args


@dataclass(frozen=True)
class Vhost:
    """The server block that answers for a name.

    Attributes:
        http: the `http` block around it.
        server: None if no block answers for the name: nginx then uses its defaults or another site's.
        variables: names the configuration defines itself.
        absent: what was looked for, where there is none.
    """

    http: Directive
    server: Directive | None
    variables: frozenset[str]
    absent: str

    def location(self, uri: str) -> Proxied:
        """Return what is in force for a path, chosen as nginx chooses."""
        if self.server is None:
            return Proxied(self, (self.http,))
        return Proxied(self, (self.http, self.server, *_chosen(self.server, uri)[1]))


@dataclass(frozen=True)
class Proxied:
    """What is in force for one path.

    Attributes:
        chain: the blocks from `http` to the innermost location.
    """

    vhost: Vhost
    chain: tuple[Directive, ...]

    @property
    def place(self) -> Source:
        """Where the innermost block begins."""
        return self.chain[-1].source

    def _nearest(self, name: str) -> Directive | None:
        found = (list(block.inside(name)) for block in reversed(self.chain))
        return next((directives[-1] for directives in found if directives), None)

    def _value(self, name: str, default: str) -> Setting[str]:
        directive = self._nearest(name)
        if directive is None or not directive.args:
            return Setting(default, f"{name} {default}, nginx's default{self._lacks}", self.place)
        return Setting(directive.args[0], directive.text, directive.source)

    @property
    def _lacks(self) -> str:
        return f" ({self.vhost.absent})" if self.vhost.server is None else ""

    @property
    def body_size(self) -> Setting[int]:
        """`client_max_body_size` in bytes."""
        setting = self._value("client_max_body_size", "1m")
        return Setting(size_of(setting.value), setting.text, setting.source)

    @property
    def read_timeout(self) -> Setting[float]:
        """`proxy_read_timeout` in seconds."""
        setting = self._value("proxy_read_timeout", "60s")
        return Setting(seconds_of(setting.value), setting.text, setting.source)

    @property
    def buffering(self) -> Setting[bool]:
        """`proxy_buffering`."""
        setting = self._value("proxy_buffering", "on")
        return Setting(setting.value.lower() == "on", setting.text, setting.source)

    @property
    def access_log(self) -> Setting[str]:
        """The file that requests are logged to: of several the last; `off` if they are not logged.

        Empty if the configuration does not say.
        """
        return self._value("access_log", "")

    @property
    def http_version(self) -> Setting[str]:
        """`proxy_http_version`."""
        return self._value("proxy_http_version", "1.0")

    @property
    def answered_here(self) -> Setting[bool]:
        """Whether nginx answers by itself, with `return`, before any request is passed on."""
        asked = (*self.chain[1:2], *self.chain[2:][-1:])
        returns = [one for block in asked for one in block.inside("return")]
        if returns:
            return Setting(True, returns[0].text, returns[0].source)
        return Setting(False, "no return", self.place)

    @property
    def _proxy_pass(self) -> Directive | None:
        if self.vhost.server is None:
            return None
        return next(self.chain[-1].inside("proxy_pass"), None)

    @property
    def destinations(self) -> Setting[frozenset[str]]:
        """Every `address:port` that requests may go to; an `upstream` is resolved to its servers.

        Raises:
            UnavailableError: it depends on a variable.
        """
        directive = self._proxy_pass
        if directive is None or not directive.args:
            return Setting(frozenset(), f"no proxy_pass{self._lacks}", self.place)
        scheme, host, _ = _split(directive.args[0])
        if "$" in host:
            raise UnavailableError(f"where {directive.text} leads depends on a variable ({directive.file})")
        upstream = next((one for one in self.vhost.http.inside("upstream") if one.args == (host,)), None)
        if upstream is None:
            return Setting(frozenset({_with_port(host, scheme)}), directive.text, directive.source)
        servers = [one for one in upstream.inside("server") if one.args and "down" not in one.args]
        return Setting(
            frozenset(_with_port(one.args[0], "http") for one in servers),
            f"{directive.text}, upstream {', '.join(one.text for one in servers) or 'empty'}",
            upstream.source,
        )

    @property
    def keeps_path(self) -> Setting[bool]:
        """Whether the app sees the path the client asked for."""
        directive = self._proxy_pass
        if directive is None or not directive.args:
            return Setting(False, f"no proxy_pass{self._lacks}", self.place)
        uri = _split(directive.args[0])[2]
        kept = uri in ("", "$request_uri", _pattern(self.chain[-1]))
        return Setting(kept, directive.text, directive.source)

    def header(self, name: str) -> Setting[str]:
        """Return the value that a header is set to towards the app; empty if it is not set.

        One `proxy_set_header` at a level drops all those of the levels above.
        """
        levels = (list(block.inside("proxy_set_header")) for block in reversed(self.chain))
        level = next((directives for directives in levels if directives), [])
        for directive in reversed(level):
            if directive.args and directive.args[0].lower() == name.lower():
                return Setting(" ".join(directive.args[1:]), directive.text, directive.source)
        defaults = {"host": "$proxy_host", "connection": "close"}
        value = defaults.get(name.lower(), "")
        shown = f"{name} {value}, nginx's default" if value else f"{name} is not set"
        return Setting(value, f"{shown}{self._lacks}", self.place)

    def carries(self, name: str) -> Setting[bool]:
        """Tell whether a header reaches the app with what its name says.

        Raises:
            UnavailableError: its value comes from a variable the configuration defines itself.
        """
        setting = self.header(name)
        if any(part in setting.value for part in _CARRIES[name.lower()]):
            return Setting(True, setting.text, setting.source)
        own = [one for one in re.findall(r"\$\{?(\w+)", setting.value) if one in self.vhost.variables]
        if own:
            raise UnavailableError(
                f"{setting.text} ({setting.source.where}): what ${own[0]} holds was not worked out"
            )
        return Setting(False, setting.text, setting.source)

    @property
    def upgrade_connection(self) -> Setting[bool]:
        """Whether the app sees `Connection: upgrade` when a client asks for a websocket.

        Raises:
            UnavailableError: it depends on a variable other than the client's request for an upgrade.
        """
        setting = self.header("Connection")
        value = setting.value
        text = setting.text
        mapped = re.fullmatch(r"\$\{?(\w+)\}?", value)
        if mapped and mapped[1] in self.vhost.variables:
            value = self._map_for_websocket(mapped[1], setting.source)
            text = f"{text}, which is {value or 'empty'} for a websocket"
        asked = value.lower() == "upgrade" or value in ("$http_connection", "${http_connection}")
        return Setting(asked, text, setting.source)

    def _map_for_websocket(self, variable: str, source: Source) -> str:
        for block in self.vhost.http.inside("map"):
            if block.args == ("$http_upgrade", f"${variable}"):
                return _mapped(block, "websocket")
        raise UnavailableError(
            f"${variable} ({source.where}) does not come from a map of $http_upgrade; "
            "what it holds was not worked out"
        )


def _mapped(block: Directive, value: str) -> str:
    """Return what a map yields: exact entries first, then regular expressions in order, then the default."""
    entries = [(entry.name, entry.args[0]) for entry in block.block or () if len(entry.args) == 1]
    for pattern, result in entries:
        if pattern.lower() == value and pattern not in ("default", "volatile", "hostnames", "include"):
            return result
    for pattern, result in entries:
        ignore_case = pattern.startswith("~*")
        if pattern.startswith("~") and _matches_regex(pattern[1 + ignore_case :], value, ignore_case):
            return result
    return next((result for pattern, result in entries if pattern == "default"), "")


def _split(target: str) -> tuple[str, str, str]:
    """Split what proxy_pass names into scheme, address and URI part."""
    match = re.fullmatch(r"(?:(https?)://)?([^/]*)(.*)", target)
    return (match[1] or "http", match[2], match[3]) if match else ("http", target, "")


def _with_port(address: str, scheme: str) -> str:
    if re.search(r":\d+$", address) or address.startswith("unix:"):
        return address
    return f"{address}:{443 if scheme == 'https' else 80}"


def _matches_regex(pattern: str, text: str, ignore_case: bool) -> bool:
    """Match a PCRE pattern; named groups are written differently there.

    Raises:
        UnavailableError: the pattern is not understood here.
    """
    translated = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    try:
        return re.search(translated, text, re.IGNORECASE if ignore_case else 0) is not None
    except re.error as error:
        raise UnavailableError(f"the regular expression {pattern} is not understood ({error})") from error


def _modifier(location: Directive) -> str:
    if len(location.args) >= 2:
        return location.args[0]
    first = location.args[0] if location.args else ""
    found = re.match(r"(\^~|=|~\*|~|@)", first)
    return found[1] if found else ""


def _pattern(location: Directive) -> str:
    if not location.args:
        return ""
    if len(location.args) >= 2:
        return location.args[1]
    return location.args[0].removeprefix(_modifier(location))


def _chosen(block: Directive, uri: str) -> tuple[bool, tuple[Directive, ...]]:
    """Return the locations, outermost first, that nginx picks below a block.

    As `ngx_http_core_find_location` does: the longest prefix, then inside it, then the regular expressions
    of this level unless the prefix forbids them. The first value is True if the choice is final for the
    levels above.
    """
    locations = list(block.inside("location"))
    for location in locations:
        if _modifier(location) == "=" and _pattern(location) == uri:
            return True, (location,)
    prefixes = [one for one in locations if _modifier(one) in ("", "^~") and uri.startswith(_pattern(one))]
    best = max(prefixes, key=lambda one: len(_pattern(one)), default=None)
    below: tuple[Directive, ...] = ()
    if best is not None:
        final, below = _chosen(best, uri)
        if final:
            return True, (best, *below)
    if best is None or _modifier(best) != "^~":
        for location in locations:
            modifier = _modifier(location)
            if modifier in ("~", "~*") and _matches_regex(_pattern(location), uri, modifier == "~*"):
                return True, (location, *_chosen(location, uri)[1])
    return False, (best, *below) if best is not None else ()


def find(http: Directive, name: str, port: int, variables: Iterable[str]) -> Vhost:
    """Return the server block with TLS on a port that answers for a name, as nginx picks it.

    Exact names come before wildcards at the beginning, those before wildcards at the end, and regular
    expressions last; of equals the first counts.
    """
    servers = [one for one in http.inside("server") if _listens(one, port)]
    ranked = [(rank, order, one) for order, one in enumerate(servers) if (rank := _rank(one, name))]
    chosen = min(ranked, key=lambda entry: (entry[0], entry[1]))[2] if ranked else None
    absent = f"no server block with TLS on port {port} has the name {name}"
    return Vhost(http, chosen, frozenset(variables), absent)


def _listens(server: Directive, port: int) -> bool:
    legacy = any(one.args == ("on",) for one in server.inside("ssl"))
    return any(
        _listen_port(one.args[0]) == port and ("ssl" in one.args or legacy) and "quic" not in one.args
        for one in server.inside("listen")
        if one.args
    )


def _listen_port(address: str) -> int:
    """Return the port of `443`, `*:443`, `127.0.0.1:443`, `[::]:443` or an address alone (80)."""
    if address.isdigit():
        return int(address)
    match = re.search(r":(\d+)$", address) if not address.startswith("unix:") else None
    return int(match[1]) if match else 80


def _rank(server: Directive, name: str) -> tuple[int, int] | None:
    """Return how well a server's names match, smaller is better; None if they do not."""
    patterns = [pattern.lower() for one in server.inside("server_name") for pattern in one.args]
    ranks = [rank for pattern in patterns if (rank := _name_rank(pattern, name)) is not None]
    return min(ranks, default=None)


def _name_rank(pattern: str, name: str) -> tuple[int, int] | None:
    if pattern == name:
        return (0, 0)
    if pattern.startswith("."):
        return (1, -len(pattern)) if name == pattern[1:] or name.endswith(pattern) else None
    if pattern.startswith("*."):
        return (1, -len(pattern)) if name.endswith(pattern[1:]) else None
    if pattern.endswith(".*"):
        return (2, -len(pattern)) if name.startswith(pattern[:-1]) else None
    if pattern.startswith("~"):
        return (3, 0) if _matches_regex(pattern[1:], name, True) else None
    return None
