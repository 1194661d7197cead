"""The containers of Documenso's compose project, looked at like the CRM's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Noun
from acceptance.facts.containers import Containers, inspected

if TYPE_CHECKING:
    from acceptance.access import Access


async def collect(access: Access) -> Containers:
    """Inspect the project's containers.

    Raises:
        UnavailableError: the target does not describe the project, or the engine cannot be asked.
    """
    documenso = access.target.documenso
    if documenso is None or documenso.compose is None:
        raise UnavailableError(
            "the target file has no [documenso.compose]", "describe it there: [documenso.compose]"
        )
    return await inspected(access, documenso.compose, "documenso.compose")


NOUN = Noun("documenso_containers", Containers, collect, sources=("engine",), host=True, teaches=True)
