"""Which sources a fact needs, read from the code of its collector; nothing is run for it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Final

from acceptance.facts.base import Noun
from acceptance.guard.commands import Call, Command

SERVER: Final = "server"
ROOT: Final = "root"
ENGINE: Final = "engine"
CRM: Final = "crm"
WEBSITE: Final = "website"
GITEA: Final = "gitea"
REGISTRY: Final = "registry"
POSTGRES: Final = "postgres"
REDIS: Final = "redis"
STORAGE: Final = "storage"
DNS: Final = "dns"
BROWSER: Final = "browser"
MANIFEST: Final = "manifest"
WEBSITE_FILE: Final = "website-file"
DOCUMENTS: Final = "documents"

_TRANSPORTS: Mapping[str, tuple[str, ...]] = {
    "host": (SERVER,),
    "http": (CRM,),
    "tls": (CRM,),
    "websocket": (CRM,),
    "browser": (CRM, BROWSER),
    "registry": (REGISTRY,),
    "postgres": (POSTGRES,),
    "redis": (REDIS,),
    "storage": (STORAGE,),
    "dns": (DNS,),
}
"""By the attribute of `Access` that a collector uses."""

_SITES = (CRM, WEBSITE, GITEA)
_FILES: Mapping[str, str] = {"manifest": MANIFEST, "local_file": WEBSITE_FILE, "documents": DOCUMENTS}
"""Files on the operator's machine, by the key of the target file."""
_DOCKER = "server.tools.docker"
_FACTS = "acceptance.facts."


def of(names: Iterable[str], nouns: Mapping[str, Noun]) -> frozenset[str]:
    """Return the sources of these facts and of the facts that they are made from.

    Args:
        names: of nouns.
        nouns: all of them, by name.

    Returns:
        names of sources as above, and `secret.SECTION` where a secret of that section of the target file is
        presented by the collector itself.
    """
    found: set[str] = set()
    seen: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        collect = nouns[name].collect
        needed = _Walk()
        needed.function(inspect.getmodule(collect), collect.__qualname__)
        found |= needed.sources
        ahead += [*nouns[name].needs, *needed.facts]
    return frozenset(found)


@cache
def _definitions(module: ModuleType) -> dict[str, ast.AST]:
    tree = ast.parse(inspect.getsource(module))
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


class _Walk:
    """Follows a collector through the functions and classes of the facts that it uses."""

    def __init__(self) -> None:
        self.sources: set[str] = set()
        self.facts: set[str] = set()
        self._seen: set[tuple[str, str]] = set()

    def function(self, module: ModuleType | None, name: str) -> None:
        """Look at one definition, and at those that it names."""
        if module is None or (module.__name__, name) in self._seen:
            return
        self._seen.add((module.__name__, name))
        definition = _definitions(module).get(name)
        if definition is None:
            return
        if any(_is_of_access(node, "secret") for node in ast.walk(definition)):
            attributes = {node.attr for node in ast.walk(definition) if isinstance(node, ast.Attribute)}
            self.sources |= {f"secret.{name}" for name in attributes}
        for node in ast.walk(definition):
            self._transport(node)
            self._called(node)
            for value in _named(node, module):
                self._use(value)

    def _transport(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            transports = _TRANSPORTS.get(node.attr, ()) if _is_of_access(node, node.attr) else ()
            self.sources |= {*transports, *filter(None, [_FILES.get(node.attr)])}

    def _called(self, node: ast.AST) -> None:
        if not isinstance(node, ast.Call) or not node.args:
            return
        first = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if _is_of_access(node.func, "site"):
            self.sources |= {first} if first in _SITES else {CRM, WEBSITE}
        elif _is_of_access(node.func, "fact") and isinstance(first, str):
            self.facts.add(first)

    def _use(self, value: object) -> None:
        if isinstance(value, tuple | list | set | frozenset):
            for entry in value:
                self._use(entry)
        elif isinstance(value, dict):
            self._use(tuple(value.values()))
        elif isinstance(value, Call):
            self._use(value.command)
        elif isinstance(value, Command):
            self.sources |= {ROOT} if value.privileged else set()
            self.sources |= {ENGINE} if any(_DOCKER in one.keys for one in value.parameters) else set()
        elif (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__.startswith(_FACTS):
            self.function(inspect.getmodule(value), value.__name__)


def _is_of_access(node: ast.AST, attribute: str) -> bool:
    """Tell whether a node is `access.ATTRIBUTE` or `self.access.ATTRIBUTE`."""
    if not isinstance(node, ast.Attribute) or node.attr != attribute:
        return False
    holder = node.value
    name = holder.id if isinstance(holder, ast.Name) else getattr(holder, "attr", "")
    return name.removeprefix("_") == "access"


def _named(node: ast.AST, module: ModuleType) -> Iterator[object]:
    """Return what a name of the module stands for, be it of a module that it imports."""
    if isinstance(node, ast.Name):
        yield getattr(module, node.id, None)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        holder = getattr(module, node.value.id, None)
        if isinstance(holder, ModuleType):
            yield getattr(holder, node.attr, None)
