"""Deny by default: everything the suite may do to a target is declared here, or refused."""

from __future__ import annotations

import shlex
from collections import Counter
from functools import cache

from acceptance.errors import RefusedError, UnavailableError, UsageError
from acceptance.guard import commands, messages, mutations, requests, testinfra
from acceptance.guard.approvals import Approvals
from acceptance.guard.commands import Call, Command
from acceptance.guard.listing import Declaration, declarations
from acceptance.guard.messages import UPGRADE_REQUEST, Message
from acceptance.guard.mutations import Action
from acceptance.guard.parameters import fit, look_up
from acceptance.guard.requests import Request
from acceptance.ledger import Kind, Ledger
from acceptance.target import Target

__all__ = [
    "Approvals",
    "Declaration",
    "Guard",
    "actions",
    "declarations",
    "declared_actions",
    "declared_commands",
    "declared_messages",
    "declared_requests",
]


@cache
def declared_commands() -> frozenset[Command]:
    """Return every declared remote command."""
    own = {value for value in vars(commands).values() if isinstance(value, Command)}
    return frozenset(own | set(testinfra.COMMANDS))


@cache
def declared_requests() -> dict[str, Request]:
    """Return every declared HTTP request by name."""
    return {value.name: value for value in vars(requests).values() if isinstance(value, Request)}


@cache
def declared_messages() -> frozenset[Message]:
    """Return every declared websocket message."""
    return frozenset(value for value in vars(messages).values() if isinstance(value, Message))


@cache
def declared_actions() -> dict[str, Action]:
    """Return every action that needs approval, by name."""
    return {value.name: value for value in vars(mutations).values() if isinstance(value, Action)}


def actions() -> tuple[str, ...]:
    """Return the names of all actions that need approval."""
    return tuple(sorted(declared_actions()))


class Guard:
    """Lets declared reads and approved mutations pass, refuses the rest, and writes down both.

    Args:
        approvals: what was approved for this target and this run.
        target: whose values the declarations mean.

    Raises:
        UsageError: an action was approved that does not exist.
    """

    def __init__(self, ledger: Ledger, approvals: Approvals, target: Target) -> None:
        self.approvals = approvals
        self._ledger = ledger
        self._target = target
        self._used: Counter[str] = Counter()
        unknown = sorted(set(approvals.actions) - set(actions()))
        if unknown:
            raise UsageError(
                f"--approve {', '.join(unknown)}: there is no such action; use one of {', '.join(actions())}."
            )
        for name in self.approved:
            ledger.record("guard", name, kind="approval", detail=f"for {target.name}", result=approvals.told)

    @property
    def approved(self) -> tuple[str, ...]:
        """The approved actions, sorted."""
        return tuple(sorted(set(self.approvals.actions)))

    def may(self, action: str) -> bool:
        """Tell whether an action is approved."""
        return action in self.approvals.actions

    def refuse(
        self, transport: str, name: str, detail: str = "", why: str = "not declared in acceptance/guard"
    ) -> RefusedError:
        """Write down that something was refused and return the error to raise."""
        self._ledger.record(transport, name, kind="refused", detail=detail, result=why)
        return RefusedError(f"{transport}: {f'{name} {detail}'.strip()} is {why}; nothing was sent")

    def _kind(self, transport: str, name: str, action: str) -> Kind:
        """Spend one use of an approval, if it needs one."""
        if not action:
            return "read"
        declared = declared_actions().get(action)
        if declared is None:
            raise self.refuse(transport, name, f"({action})")
        if not self.may(action):
            self._ledger.record(transport, name, kind="refused", result=f"needs approval: {action}")
            raise UnavailableError(f"needs approval: {action}", f"run again with --approve {action}")
        if self._used[action] >= declared.uses:
            raise self.refuse(transport, name, why=f"more than the approval of {action} covers")
        self._used[action] += 1
        return "mutation"

    def command(self, call: Call) -> Kind:
        """Let a remote command pass.

        Raises:
            RefusedError: it is not declared, or not with these arguments, or its approval is used up.
            UnavailableError: it changes something and was not approved.
        """
        command = call.command
        if command not in declared_commands():
            raise self.refuse("ssh", command.name)
        if not fit(command.parameters, call.arguments, self._target):
            raise self.refuse("ssh", command.name, f"with {shlex.join(call.arguments) or 'no arguments'}")
        return self._kind("ssh", command.name, command.action)

    def request(
        self,
        name: str,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        scheme: str = "https",
        on: str = "crm",
    ) -> Request:
        """Let an HTTP request pass and return its declaration.

        Raises:
            RefusedError: no such request is declared for that name, its method, address or body differs,
                or its approval is used up.
            UnavailableError: it changes something and was not approved.
        """
        request = declared_requests().get(name)
        if request is None or request in requests.BROWSER:
            raise self.refuse("http", name, f"{method} {path}")
        if (request.method, request.scheme, request.on) != (method, scheme, on):
            raise self.refuse("http", name, f"{method} {scheme} {path} on {on}")
        if not self._leads_to(request, path):
            raise self.refuse("http", name, f"{method} {path}")
        if not request.allows_content(content or b""):
            raise self.refuse("http", name, f"{method} {path} with this body")
        self._kind("http", name, request.action)
        return request

    def page(self, name: str, method: str, path: str) -> None:
        """Let a page that the browser shows ask for something.

        Raises:
            RefusedError: pages may not do that.
        """
        request = declared_requests().get(name)
        if request not in requests.BROWSER or request.method != method or not request.allows(path):
            raise self.refuse("browser", name, f"{method} {path}")

    def upgrade(self, path: str) -> None:
        """Let a websocket be opened.

        Raises:
            RefusedError: not at this path.
        """
        if not self._leads_to(UPGRADE_REQUEST, path):
            raise self.refuse("websocket", UPGRADE_REQUEST.name, path)

    def message(self, message: Message) -> None:
        """Let a websocket message pass.

        Raises:
            RefusedError: it is not declared.
        """
        if message not in declared_messages():
            raise self.refuse("websocket", message.name)

    def _leads_to(self, request: Request, path: str) -> bool:
        base = look_up(self._target, request.base) if request.base else ""
        return base is not None and request.allows(path, base)
