"""How Gitea's REST API is asked, and what its refusals mean (read in the source of Gitea 1.25)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from acceptance.errors import UnavailableError

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.sections.gitea import Gitea
    from acceptance.transports.http import HttpAnswer

PAGE_LENGTH = 50
"""The longest page that Gitea gives; it cuts a larger one silently."""

_TOKEN = "check gitea.token in the target file: it needs the scope read:repository"

M = TypeVar("M", bound=BaseModel)


def settings(access: Access) -> Gitea:
    """Return the target's section.

    Raises:
        UnavailableError: there is none.
    """
    if access.target.gitea is None:
        raise UnavailableError("the target file has no [gitea]", "describe it there: [gitea]")
    return access.target.gitea


async def ask(access: Access, request: str, path: str) -> HttpAnswer:
    """Send a declared request with the target's token, whatever the answer.

    Raises:
        UnavailableError: no answer, no such secret, or the answer was cut off.
    """
    token = settings(access).token
    headers = {"authorization": f"token {access.secret(token)}"} if token else {}
    answer = await access.site("gitea").send(request, path=path, headers=headers)
    if answer.truncated:
        raise UnavailableError(f"{answer.url}: the answer is too long")
    return answer


async def get(access: Access, request: str, path: str) -> HttpAnswer:
    """Send a declared request and return the answer, which is 200.

    Raises:
        UnavailableError: it is not, for the reason that is given.
    """
    answer = await ask(access, request, path)
    if answer.status != 200:
        raise refusal(answer)
    return answer


def read(answer: HttpAnswer, model: type[M]) -> M:
    """Return an answer's JSON; what the model does not name is left out.

    Raises:
        UnavailableError: it has another form.
    """
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False)[0]["loc"])) or "JSON"
        raise UnavailableError(
            f"{answer.url}: the answer has another form than Gitea 1.25's ({place})"
        ) from error


def refusal(answer: HttpAnswer) -> UnavailableError:
    """Say why Gitea gave another answer than 200, and what to do about it; pure."""
    said = _message(answer)
    told = f"{answer.url}: HTTP {answer.status}"
    if answer.status == 401 and "token is required" not in said:
        return UnavailableError(f"{told}, the token is refused: unknown, revoked or expired", _TOKEN)
    if answer.status == 401 or "Only signed in user" in said:
        return UnavailableError(f"{told}, only with a token", "set gitea.token in the target file")
    if answer.status == 403:
        return UnavailableError(f"{told}, {_forbidden(said)}", _TOKEN)
    if answer.status == 404:
        return UnavailableError(f"{told}, {_missing(answer)}", "check [gitea] and the token's owner")
    if 300 <= answer.status < 400:
        place = answer.headers.get("location", "elsewhere")
        return UnavailableError(
            f"{told}, moved to {place}; not followed", "correct [gitea] in the target file"
        )
    return UnavailableError(told)


def _message(answer: HttpAnswer) -> str:
    document = answer.json_body()
    message = document.get("message") if isinstance(document, dict) else None
    return message if isinstance(message, str) else ""


def _missing(answer: HttpAnswer) -> str:
    document = answer.json_body()
    if not isinstance(document, dict) or "message" not in document:
        return "and not from Gitea's API"
    return "it is missing, or private and the token may not see it: Gitea tells both alike"


def _forbidden(said: str) -> str:
    for words, meaning in (
        ("required scope", "the token lacks a scope"),
        ("limited to public repos", "the token is for public repositories only"),
        ("owner of the repo", "it is for the repository's owner only"),
        ("read permission", "the token's owner may not read it, or it is switched off"),
    ):
        if words in said:
            return f"{meaning} ({said.strip()[:200]})"
    return f"refused ({said.strip()[:200] or 'no message'})"
