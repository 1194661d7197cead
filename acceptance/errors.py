"""The errors that may reach a user, each of them one clear sentence."""

from __future__ import annotations


class UsageError(Exception):
    """The operator's input is wrong; ends the run with exit code 4.

    The message says what is wrong, where, and what to do.
    """


class UnavailableError(Exception):
    """A source could not be looked at, so what depends on it is UNKNOWN.

    Attributes:
        reason: why there is no answer, in one sentence, without a secret.
        remedy: what to do to get one; empty where the reason says it.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class NotApplicableError(Exception):
    """A fact of the target makes the claim meaningless there; the message is that fact."""


class RefusedError(Exception):
    """The guard refused an operation before anything was sent.

    It is a mistake in the suite (an undeclared operation), not a fact about the target.
    """
