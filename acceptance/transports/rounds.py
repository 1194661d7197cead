"""Gathers the calls of many collectors into few round trips."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from acceptance.errors import UnavailableError
from acceptance.guard.commands import Call
from acceptance.transports.batch import Deliver
from acceptance.transports.host import Result

_Answer = asyncio.Future[Result | UnavailableError]

Send = Callable[[Sequence[Call], Deliver], Awaitable[None]]
"""Sends calls in one round trip and delivers the outcome of each by its index."""


@dataclass(eq=False)
class _Collector:
    runs: list[list[_Answer]] = field(default_factory=list)

    @property
    def waiting(self) -> bool:
        return any(not answer.done() for answers in self.runs for answer in answers)


@dataclass(frozen=True, eq=False)
class _Order:
    call: Call
    answer: _Answer


_current: ContextVar[_Collector | None] = ContextVar("collector", default=None)


class Batcher:
    """Holds calls back until every live collector waits, then sends them all in one round trip.

    Equal calls are sent once and share their outcome, samples excepted. Callers that are no
    collectors are served at once.

    Attributes:
        round_trips: how many there were, those of a watch aside.
        samples: round trips of a watch: they carry nothing but declared samples for who is no collector.
    """

    def __init__(self, send: Send) -> None:
        self.round_trips = 0
        self.samples = 0
        self._send = send
        self._live: set[_Collector] = set()
        self._held: list[_Order] = []
        self._urgent: list[_Order] = []
        self._shared: dict[Call, _Answer] = {}
        self._trips: set[asyncio.Task[None]] = set()
        self._shared_trip: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def collector(self) -> AsyncIterator[None]:
        """Register the caller (and the tasks it starts) as a collector while the block lasts."""
        collector = _Collector()
        self._live.add(collector)
        token = _current.set(collector)
        try:
            yield
        finally:
            _current.reset(token)
            self._live.discard(collector)
            self._look_soon()

    def done(self) -> None:
        """Take the caller off the collectors though its block lasts; what it still runs is served at once."""
        collector = _current.get()
        if collector is not None:
            self._live.discard(collector)
            self._look_soon()

    async def run(self, calls: Sequence[Call]) -> tuple[Result, ...]:
        """Return the results of calls in order, sent now or with the others.

        Raises:
            UnavailableError: one of them has no answer.
        """
        collector = _current.get()
        registered = collector if collector in self._live else None
        orders = self._urgent if registered is None else self._held
        answers = [self._answer(call, orders) for call in calls]
        runs = registered.runs if registered else []
        runs.append(answers)
        self._look_soon()
        try:
            return tuple([_result(await asyncio.shield(answer)) for answer in answers])
        finally:
            runs.remove(answers)
            self._look_soon()

    def forget(self) -> None:
        """Forget all outcomes, so that the next call of each is sent again."""
        self._shared.clear()

    async def close(self) -> None:
        """End what is on its way; who still waits gets an UnavailableError."""
        for trip in self._trips:
            trip.cancel()
        await asyncio.gather(*self._trips, return_exceptions=True)
        for order in (*self._held, *self._urgent):
            _settle(order.answer, UnavailableError("the connection was closed"))
        self._held.clear()
        self._urgent.clear()

    def _answer(self, call: Call, orders: list[_Order]) -> _Answer:
        known = None if call.command.sample else self._shared.get(call)
        if known is not None:
            return known
        answer: _Answer = asyncio.get_running_loop().create_future()
        orders.append(_Order(call, answer))
        if not call.command.sample:
            self._shared[call] = answer
        return answer

    def _look_soon(self) -> None:
        # not at once: tasks that are ready to run now may have calls for the same round trip
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        orders, self._urgent = self._urgent, []
        full = self._held and self._live and all(collector.waiting for collector in self._live)
        share = bool(full) and self._shared_trip is None
        if share:
            orders, self._held = orders + self._held, []
        if not orders:
            return
        if not share and all(order.call.command.sample for order in orders):
            self.samples += 1
        else:
            self.round_trips += 1
        trip = asyncio.create_task(self._travel(orders))
        self._trips.add(trip)
        if share:
            self._shared_trip = trip
        trip.add_done_callback(lambda trip: self._arrived(trip, orders))

    async def _travel(self, orders: list[_Order]) -> None:
        def deliver(index: int, outcome: Result | UnavailableError) -> None:
            _settle(orders[index].answer, outcome)

        await self._send([order.call for order in orders], deliver)

    def _arrived(self, trip: asyncio.Task[None], orders: list[_Order]) -> None:
        self._trips.discard(trip)
        if trip is self._shared_trip:
            self._shared_trip = None
        mistake = None if trip.cancelled() else trip.exception()
        for order in orders:
            if mistake is not None and not order.answer.done():
                order.answer.set_exception(mistake)
            _settle(order.answer, UnavailableError("the connection was closed"))
        self._look_soon()


def _settle(answer: _Answer, outcome: Result | UnavailableError) -> None:
    if not answer.done():
        answer.set_result(outcome)


def _result(outcome: Result | UnavailableError) -> Result:
    if isinstance(outcome, UnavailableError):
        # a copy, because several callers may wait for it: each adds its own trace
        raise copy.copy(outcome)
    return outcome
