"""The name system, asked by the target's resolver or the system's; the hosts file has no say."""

from __future__ import annotations

import time

import dns.asyncresolver
import dns.exception
import dns.resolver
from pydantic import BaseModel, ConfigDict

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.dns import QUESTIONS, Kind
from acceptance.ledger import Ledger
from acceptance.target import Target


class Answer(BaseModel):
    """What the resolver said.

    Attributes:
        exists: False if there is no such name (NXDOMAIN).
        addresses: of the asked type, at the end of the chain; sorted.
        aliases: where CNAME records led on the way, in their order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    exists: bool
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class Resolver:
    """Asks declared questions, over UDP and, where an answer is too long for it, over TCP."""

    def __init__(self, target: Target, ledger: Ledger) -> None:
        self._settings = target.dns
        self._names = frozenset(target.public_names.values())
        self._ledger = ledger
        self._resolver: dns.asyncresolver.Resolver | None = None

    @property
    def where(self) -> str:
        """Who is asked, for people."""
        endpoint = self._settings.resolver
        return (
            f"the resolver {endpoint.address} port {endpoint.port}" if endpoint else "the system's resolver"
        )

    async def ask(self, name: str, kind: Kind) -> Answer:
        """Return a public name's addresses; the resolver follows CNAME records.

        Raises:
            RefusedError: the question is not declared.
            UnavailableError: no nameserver answered, none with an answer (SERVFAIL, REFUSED), or the resolver
                denies the name's top-level domain too.
        """
        if kind not in QUESTIONS or name not in self._names:
            self._ledger.record("dns", kind, kind="refused", detail=name, result="not declared")
            raise RefusedError(f"dns: {kind} of {name} is not declared; nothing was sent")
        answer = await self._asked(name, kind)
        if not answer.exists:
            await self._require_public_names(name.rpartition(".")[2], kind)
        return answer

    async def _require_public_names(self, top: str, kind: Kind) -> None:
        """See that the resolver knows a top-level domain, without which "no such name" says nothing.

        Raises:
            UnavailableError: it does not: it serves names of its own, or denies them all.
        """
        if not (await self._asked(top, kind)).exists:
            raise UnavailableError(
                f"{self.where} does not see the public names: to it even `{top}` does not exist",
                "run on a machine that can resolve public names, or set dns.resolver in the target file",
            )

    async def _asked(self, name: str, kind: Kind) -> Answer:
        started = time.perf_counter()
        outcome = "no answer"
        try:
            answer = await self._resolve(name, kind)
            outcome = ", ".join(answer.addresses) or ("no record" if answer.exists else "no such name")
        except dns.exception.DNSException as error:
            outcome = _why(error)
            raise UnavailableError(
                f"{kind} records of {name}: {self.where} gives no answer ({outcome})",
                "check that it can be reached from here, or set dns.resolver in the target file",
            ) from error
        finally:
            self._ledger.record(
                "dns",
                QUESTIONS[kind].name,
                detail=f"{name} at {self.where}",
                seconds=time.perf_counter() - started,
                result=outcome,
            )
        return answer

    async def _resolve(self, name: str, kind: Kind) -> Answer:
        try:
            answer = await self._open().resolve(
                f"{name}.", kind, raise_on_no_answer=False, lifetime=self._settings.timeout_s
            )
        except dns.resolver.NXDOMAIN:
            return Answer(exists=False)
        chain = [str(record.target).rstrip(".") for link in answer.chaining_result.cnames for record in link]
        addresses = sorted(record.address for record in answer.rrset or ())
        return Answer(exists=True, addresses=tuple(addresses), aliases=tuple(chain))

    def _open(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            endpoint = self._settings.resolver
            resolver = dns.asyncresolver.Resolver(configure=endpoint is None)
            if endpoint is not None:
                resolver.nameservers = [endpoint.address]
                resolver.port = endpoint.port
            self._resolver = resolver
        return self._resolver


def _why(error: dns.exception.DNSException) -> str:
    if isinstance(error, dns.resolver.NoResolverConfiguration):
        return "this machine's resolver is not configured"
    if isinstance(error, dns.resolver.NoNameservers):
        told = {str(entry[3]) or type(entry[3]).__name__ for entry in error.kwargs.get("errors", ())}
        return ", ".join(sorted(told)) or "there is no nameserver"
    if isinstance(error, dns.exception.Timeout):
        return "no answer within the time limit"
    return type(error).__name__
