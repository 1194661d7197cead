"""Every action that changes something and needs approval. What is not declared here cannot be approved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """A named change of the target.

    Attributes:
        purpose: why the suite does it, for the target's owner.
        uses: how many commands and requests one approval covers; the next one is refused.
    """

    name: str
    purpose: str
    uses: int = 1


SIGN_IN = Action("sign-in", "sign in once, for what only a signed-in user can see")
NGINX_TEST = Action("nginx-test", "let nginx itself judge its configuration")
TEST_INQUIRY = Action(
    "test-inquiry",
    "send one marked inquiry through the website's form; its rows stay, and the staff gets its mails",
)
