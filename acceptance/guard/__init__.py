"""Deny by default: everything the suite may do to a target is declared here, or refused."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from acceptance.errors import RefusedError, UnavailableError, UsageError
from acceptance.guard import commands, messages, requests, testinfra
from acceptance.guard.commands import Call, Command
from acceptance.guard.messages import Message
from acceptance.guard.requests import Request
from acceptance.ledger import Kind, Ledger


@cache
def declared_commands() -> frozenset[Command]:
    """Return every declared remote command."""
    own = {value for value in vars(commands).values() if isinstance(value, Command)}
    for shape in testinfra.SHAPES.values():
        own |= {command for command in (shape.command, shape.as_root) if command is not None}
    return frozenset(own)


@cache
def declared_requests() -> dict[str, Request]:
    """Return every declared HTTP request by name."""
    return {value.name: value for value in vars(requests).values() if isinstance(value, Request)}


@cache
def declared_messages() -> frozenset[Message]:
    """Return every declared websocket message."""
    return frozenset(value for value in vars(messages).values() if isinstance(value, Message))


def actions() -> tuple[str, ...]:
    """Return the names of all actions that need approval."""
    named = [command.action for command in declared_commands()]
    named += [request.action for request in declared_requests().values()]
    return tuple(sorted({name for name in named if name}))


class Guard:
    """Lets declared reads and approved mutations pass, refuses the rest, and writes down both.

    Args:
        approved: the actions approved for this target and this run.
    """

    def __init__(self, ledger: Ledger, approved: Iterable[str]) -> None:
        self._ledger = ledger
        self._approved = frozenset(approved)
        unknown = self._approved - set(actions())
        if unknown:
            raise UsageError(
                f"--approve {', '.join(sorted(unknown))}: there is no such action; "
                f"use one of {', '.join(actions())}."
            )

    @property
    def approved(self) -> tuple[str, ...]:
        """The approved actions, sorted."""
        return tuple(sorted(self._approved))

    def may(self, action: str) -> bool:
        """Tell whether an action is approved."""
        return action in self._approved

    def _kind(self, action: str) -> Kind:
        if not action:
            return "read"
        if action not in self._approved:
            raise UnavailableError(f"needs approval: {action}", f"run again with --approve {action}")
        return "mutation"

    def _refuse(self, transport: str, what: str) -> RefusedError:
        self._ledger.record(transport, what, kind="refused", result="not declared")
        return RefusedError(f"{transport}: {what} is not declared in acceptance/guard; nothing was sent")

    def command(self, call: Call) -> Kind:
        """Let a remote command pass.

        Raises:
            RefusedError: it is not declared.
            UnavailableError: it changes something and was not approved.
        """
        if call.command not in declared_commands():
            raise self._refuse("ssh", call.command.name)
        return self._kind(call.command.action)

    def request(self, name: str, method: str, path: str) -> Request:
        """Let an HTTP request pass and return its declaration.

        Raises:
            RefusedError: no such request is declared, or its method or path differs.
            UnavailableError: it changes something and was not approved.
        """
        request = declared_requests().get(name)
        if request is None or request.method != method or not request.allows(path):
            raise self._refuse("http", f"{name} {method} {path}")
        self._kind(request.action)
        return request

    def message(self, message: Message) -> None:
        """Let a websocket message pass.

        Raises:
            RefusedError: it is not declared.
        """
        if message not in declared_messages():
            raise self._refuse("websocket", message.name)
