"""What strangers may see of the server's address."""

from __future__ import annotations

from pydantic import Field

from acceptance.sections.base import Port, Section


class Outside(Section):
    """Ports of the server's own address, the one that SSH goes to, asked by the operator's machine.

    Attributes:
        private: must not answer there; the databases'.
        control: known to answer there. Only then does another port's silence say that it is closed.
        timeout_s: how long to wait for an answer.
    """

    private: tuple[Port, ...] = Field(default=(5432, 6379), min_length=1)
    control: Port = 443
    timeout_s: float = Field(default=3, gt=0)
