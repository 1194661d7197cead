"""Every question the suite may ask the name system. What is not declared here cannot be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["A", "AAAA"]


@dataclass(frozen=True)
class Question:
    """A declared question about the target's public names, and about no others.

    If one does not exist, it is asked about that name's top-level domain too.

    Attributes:
        kind: the type of the records that are asked for.
    """

    name: str
    kind: Kind
    purpose: str
    footprint: str = "none but the resolver's cache"


IPV4 = Question("dns-a", "A", "see to which IPv4 addresses a public name leads")
IPV6 = Question("dns-aaaa", "AAAA", "see to which IPv6 addresses a public name leads")
QUESTIONS: dict[Kind, Question] = {question.kind: question for question in (IPV4, IPV6)}
"""Every question that is ever asked, by the type of the records."""
