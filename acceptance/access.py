"""One run's access to one target: its transports, and the facts collected through them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, LookRecord, Noun, Unavailable
from acceptance.guard import Guard, queries
from acceptance.ledger import Ledger
from acceptance.meter import Meter
from acceptance.secrets import Redactor, Secrets
from acceptance.sections.compose import Compose
from acceptance.sections.documenso import Documenso
from acceptance.target import Target
from acceptance.transports.browser import Browser
from acceptance.transports.dns import Resolver
from acceptance.transports.http import Http
from acceptance.transports.ports import Ports
from acceptance.transports.postgres import Database
from acceptance.transports.redis import Queue
from acceptance.transports.registry import Registry
from acceptance.transports.s3 import ObjectStore
from acceptance.transports.ssh import SshHost
from acceptance.transports.tls import Tls
from acceptance.transports.websocket import WebSocket

if TYPE_CHECKING:
    from acceptance.facts.containers import Containers

_CLOSED = ("browser", "postgres", "documenso", "redis", "registry", "storage", "documents")
"""Transports that hold a connection, besides the host's, through which some of them go."""

LONGEST_LOOK_S = 150.0
"""A fact that takes longer than this is given up, unless it is the `last` one."""

Keep = Callable[[str, Fact | Unavailable], None]
"""Is handed a fact under its name, redacted."""

_looking: ContextVar[Noun | None] = ContextVar("looking", default=None)


class Access:
    """The transports of a run and the facts seen through them, each looked at once.

    Attributes:
        session_cookie: the Cookie header of the approved sign-in; empty before it.
        pictures: the browser's screenshots as PNG, each under the name that a `Source` gives.
        pictured: the text that each of them shows.
        withheld: the names of pictures that were dropped because they show a secret.
        watch_s: for how long the operator wants it to be watched, in seconds; None if nothing was said.
        meter: shows how far that has come.
    """

    def __init__(
        self,
        target: Target,
        secrets: Secrets,
        guard: Guard,
        ledger: Ledger,
        nouns: Mapping[str, Noun],
        *,
        watch_s: float | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.target = target
        self.guard = guard
        self.watch_s = watch_s
        self.meter = meter or Meter()
        self.session_cookie = ""
        self.pictures: dict[str, bytes] = {}
        self.pictured: dict[str, str] = {}
        self.withheld: tuple[str, ...] = ()
        self._secrets = secrets
        self.redactor.spare(target.declared_names)
        self._nouns = nouns
        self._tasks: dict[str, asyncio.Task[Fact]] = {}
        self._keep: Keep | None = None
        self._wanted: tuple[str, ...] = ()
        self._kept: set[str] = set()
        self._started = time.monotonic()
        self._looks: list[LookRecord] = []
        self._ledger = ledger
        self._sites = {name: Http(public, guard, ledger, name) for name, public in target.sites.items()}

    @cached_property
    def host(self) -> SshHost:
        """The server behind SSH."""
        return SshHost(
            self.target.server,
            password=self._root_password,
            authorise=self.guard.command,
            ledger=self._ledger,
        )

    @cached_property
    def websocket(self) -> WebSocket:
        """Websockets to the CRM's public name."""
        return WebSocket(self.target.public, self.guard, self._ledger, self.target.realtime.namespace)

    @cached_property
    def tls(self) -> Tls:
        """TLS handshakes with the CRM's public name."""
        return Tls(self.target.public, self._ledger)

    @cached_property
    def ports(self) -> Ports:
        """Bare connections to the server."""
        return Ports(self.target, self._ledger)

    @cached_property
    def browser(self) -> Browser:
        """A browser that shows the CRM's pages."""
        target = self.target
        return Browser(
            target.public, target.pages.elsewhere, self.guard, self._ledger, self.tls.verified_leaf
        )

    @cached_property
    def dns(self) -> Resolver:
        """Questions to the name system."""
        return Resolver(self.target, self._ledger)

    @cached_property
    def registry(self) -> Registry:
        """The container registry."""
        return Registry(self.target.registry, self._registry_password, self._ledger)

    @cached_property
    def postgres(self) -> Database:
        """The CRM's database."""
        settings = self.target.postgres
        return Database(settings, self._postgres_tunnel, lambda: self.secret(settings.password), self._ledger)

    @cached_property
    def documenso(self) -> Database:
        """Documenso's database.

        Raises:
            UnavailableError: the target does not describe it.
        """
        settings = described(self.target).database
        if settings is None:
            raise UnavailableError("the target file has no [documenso.database]", "describe it there")
        return Database(
            settings,
            self._documenso_tunnel,
            lambda: self.secret(settings.password),
            self._ledger,
            of=queries.DOCUMENSO,
            direct=settings.connect,
        )

    @cached_property
    def redis(self) -> Queue:
        """The CRM's Redis."""
        return Queue(self._redis_tunnel, self.target.redis.user, self._redis_password, self._ledger)

    @cached_property
    def storage(self) -> ObjectStore:
        """The CRM's bucket."""
        return ObjectStore(self.target.storage, self.secret, self._ledger)

    @cached_property
    def documents(self) -> ObjectStore:
        """Documenso's bucket."""
        documenso = self.target.documenso
        return ObjectStore(
            documenso.storage if documenso else None, self.secret, self._ledger, of="documenso.storage"
        )

    @property
    def http(self) -> Http:
        """HTTP to the CRM's public name."""
        return self.site("crm")

    @property
    def redactor(self) -> Redactor:
        """The run's redactor."""
        return self._secrets.redactor

    @property
    def looks(self) -> tuple[LookRecord, ...]:
        """Every look so far in the order of their beginnings, redacted with all that is known by now."""
        clean = self.redactor.clean
        told = (
            look.model_copy(update={"reason": clean(look.reason), "remedy": clean(look.remedy)})
            for look in self._looks
        )
        return tuple(sorted(told, key=lambda look: (look.started_s, look.fact)))

    @property
    def visits(self) -> tuple[int, int, int]:
        """How often the server was logged in to, asked in a round trip, and sampled while watching."""
        host: SshHost | None = self.__dict__.get("host")
        return (host.logins, host.round_trips, host.samples) if host else (0, 0, 0)

    def site(self, name: str) -> Http:
        """Return HTTP to one of the target's public names.

        Raises:
            UnavailableError: the target does not say where it is.
        """
        if name not in self._sites:
            section = {"crm": "public", "documenso": "documenso.public"}.get(name, name)
            raise UnavailableError(f"the target file has no [{section}]", f"describe it there: [{section}]")
        return self._sites[name]

    def secret(self, reference: str) -> str:
        """Resolve a secret reference.

        Raises:
            UnavailableError: it cannot be resolved.
        """
        return self._secrets.resolve(reference)

    def learn(self, name: str, value: str) -> None:
        """Make a secret that was come across known to the redactor, under a name that may be shown."""
        noun = _looking.get()
        assert noun is None or noun.teaches, f"the noun {noun.name} must say `teaches`"
        self.redactor.learn(name, value)

    def classify(self, value: str) -> str:
        """Return the equality class of a value within this run."""
        return self._secrets.classify(value)

    def approved(self, action: str) -> bool:
        """Tell whether an action is approved for this run."""
        return self.guard.may(action)

    def _root_password(self) -> str:
        reference = self.target.server.privilege.password
        return self.secret(reference) if reference else ""

    def _registry_password(self) -> str | None:
        reference = self.target.registry.password
        return self.secret(reference) if reference else None

    def _redis_password(self) -> str | None:
        reference = self.target.redis.password
        return self.secret(reference) if reference else None

    async def _postgres_tunnel(self) -> Path:
        return await self._tunnel("postgres", self.target.postgres.port)

    async def _redis_tunnel(self) -> Path:
        return await self._tunnel("redis", self.target.redis.port)

    async def _documenso_tunnel(self) -> Path:
        documenso = described(self.target)
        if documenso.compose is None or documenso.database is None:
            raise UnavailableError(
                "the target file does not say how Documenso's database is reached",
                "describe [documenso.compose], or say documenso.database.connect",
            )
        return await self._tunnel(
            "postgres", documenso.database.port, "documenso_containers", documenso.compose
        )

    async def _tunnel(
        self, kind: str, port: int, noun: str = "containers", compose: Compose | None = None
    ) -> Path:
        containers: Containers = await self.fact(noun)  # type: ignore[assignment]
        address = containers.address((compose or self.target.compose).of_kind(kind).name)
        return await self.host.forward(address, port)

    async def fact(self, name: str) -> Fact:
        """Return another noun's fact, collecting it first if that has not begun.

        Raises:
            UnavailableError: that noun could not look.
        """
        noun = _looking.get()
        assert noun is None or name in noun.needs, f"the noun {noun.name} must say that it `needs` {name}"
        return await asyncio.shield(self._task(name))

    def inherit(self, facts: Mapping[str, Fact | Unavailable], session_cookie: str) -> None:
        """Take facts from an earlier look instead of looking again; those it could not get are looked for."""
        self.session_cookie = session_cookie
        for name, fact in facts.items():
            if isinstance(fact, Fact):
                self._tasks[name] = asyncio.create_task(_already(fact), name=name)

    def _task(self, name: str) -> asyncio.Task[Fact]:
        if name not in self._tasks:
            noun = self._nouns[name]
            for needed in noun.needs:
                self._task(needed)
            reached = noun.host and self.target.has("server")
            collector = self.host.collector() if reached else contextlib.nullcontext()
            self._tasks[name] = asyncio.create_task(self._collect(noun, collector), name=name)
            self._tasks[name].add_done_callback(lambda _: self._keep_what_is_safe())
        return self._tasks[name]

    async def _collect(self, noun: Noun, collector: AbstractAsyncContextManager[None]) -> Fact:
        _looking.set(noun)
        begun = time.monotonic()
        problem: UnavailableError | None = UnavailableError("the look was cut short")
        try:
            async with collector, asyncio.timeout(None if noun.last else LONGEST_LOOK_S):
                fact = await noun.collect(self)
            problem = None
        except UnavailableError as error:
            problem = error
            raise
        except TimeoutError as error:
            problem = UnavailableError(f"{noun.name}: gave up after {LONGEST_LOOK_S:g} s")
            raise problem from error
        else:
            return fact
        finally:
            self._looks.append(
                LookRecord(
                    fact=noun.name,
                    started_s=round(begun - self._started, 3),
                    seconds=round(time.monotonic() - begun, 3),
                    state="unavailable" if problem else "known",
                    reason=problem.reason if problem else "",
                    remedy=problem.remedy if problem else "",
                )
            )

    async def collect(self, names: Iterable[str], keep: Keep | None = None) -> dict[str, Fact | Unavailable]:
        """Look for all named facts concurrently.

        Args:
            names: which.
            keep: is handed each fact as soon as nothing is under way any more that could show that it holds
                a secret.

        Returns:
            each fact, or why there is none, redacted once all collectors have told the redactor what
            they came across. A collector that breaks in an unforeseen way leaves its fact unavailable,
            with the exception's name: it must not take the others with it.
        """
        self._wanted, self._keep = tuple(names), keep
        last = [name for name in self._wanted if self._nouns[name].last]
        first = [name for name in self._wanted if name not in last]
        needed = [name for late in last for name in self._nouns[late].needs]
        for name in (*first, *needed):
            self._task(name)
        found: dict[str, Fact | Unavailable] = {}
        for group in (first, last):
            tasks = {name: self._task(name) for name in group}
            found |= {name: await self._settled(name, task) for name, task in tasks.items()}
        return self._finished({name: found[name] for name in self._wanted})

    def _keep_what_is_safe(self) -> None:
        """Hand over each fact whose look has ended, unless a secret in it may become known as one later."""
        tasks = self._tasks.items()
        teaching = any(self._nouns[name].teaches and not task.done() for name, task in tasks)
        if self._keep is None or teaching or not self._secrets.are_known:
            return
        for name, task in tasks:
            if name in self._wanted and name not in self._kept and task.done() and not task.cancelled():
                self._kept.add(name)
                self._keep(name, self._redacted(name, _ended(name, task)))

    async def salvage(self, names: Iterable[str]) -> dict[str, Fact | Unavailable]:
        """Return what is known of the named facts after an interruption; what is under way is given up."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        return self._finished({name: await self._rest(name) for name in names})

    async def _rest(self, name: str) -> Fact | Unavailable:
        task = self._tasks.get(name)
        if task is None or task.cancelled():
            return Unavailable(reason=f"{name}: the run was interrupted", remedy="run again")
        return await self._settled(name, task)

    def _finished(self, found: Mapping[str, Fact | Unavailable]) -> dict[str, Fact | Unavailable]:
        self._withhold()
        return {name: self._redacted(name, fact) for name, fact in found.items()}

    def _redacted(self, name: str, fact: Fact | Unavailable) -> Fact | Unavailable:
        cleaned = self.redactor.clean_leaves(fact.model_dump(mode="json"))
        try:
            return type(fact).model_validate(cleaned)
        except ValidationError as error:
            places = {".".join(map(str, mistake["loc"])) for mistake in error.errors(include_input=False)}
            return Unavailable(
                reason=f"{name}: a secret stands where none can ({self.redactor.clean(', '.join(places))})",
                remedy="see whether a value of the .env file is an ordinary word, and choose another",
            )

    def _withhold(self) -> None:
        """Drop the pictures that show a secret; the account's own name is none there."""
        account = self.target.sign_in
        but = frozenset({account.email} if account else ())
        shown = [name for name, text in self.pictured.items() if self.redactor.would_change(text, but)]
        self.withheld = tuple(sorted(shown))
        for name in shown:
            self.pictures.pop(name, None)

    async def _settled(self, name: str, task: asyncio.Task[Fact]) -> Fact | Unavailable:
        await asyncio.wait([task])
        return _ended(name, task)

    async def close(self) -> None:
        """Close every connection; ends what is still being collected."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        used = [self.__dict__[name] for name in _CLOSED if name in self.__dict__]
        await asyncio.gather(
            *(transport.close() for transport in (*self._sites.values(), *used)), return_exceptions=True
        )
        if "host" in self.__dict__:
            await self.host.close()


async def _already(fact: Fact) -> Fact:
    return fact


def _ended(name: str, task: asyncio.Task[Fact]) -> Fact | Unavailable:
    """Return what a look that has ended came to."""
    try:
        return task.result()
    except UnavailableError as error:
        return Unavailable.of(error)
    except Exception as error:
        return Unavailable(
            reason=f"collecting {name} broke ({type(error).__name__}: {error})",
            remedy="report it as a mistake in the suite",
        )


def described(target: Target) -> Documenso:
    """Return what the target says of Documenso.

    Raises:
        UnavailableError: nothing.
    """
    if target.documenso is None:
        raise UnavailableError("the target file has no [documenso]", "describe it there: [documenso]")
    return target.documenso
