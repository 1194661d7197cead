"""The answers: paths, shapes and refusals of Gitea 1.25's REST API, read in its source and documentation."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from rehearsal.apps.gitea.issuer import Issuer
from rehearsal.apps.gitea.state import Commit, State, Token

DEFAULT_LIMIT = 30
LONGEST_PAGE = 50
"""A larger `limit` is cut silently."""

_API_HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN"}
_RUN_ID = 1


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class _Refused(Exception):  # noqa: N818
    """The request ends with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class _Request:
    state: State
    path: str
    query: Mapping[str, list[str]]
    token: Token | None

    def page(self, rows: Sequence[object]) -> list[object]:
        """Return the page that is asked for."""
        length = min(self._number("limit", DEFAULT_LIMIT), LONGEST_PAGE)
        start = (self._number("page", 1) - 1) * length
        return list(rows[start : start + length])

    def _number(self, name: str, default: int) -> int:
        value = self.query.get(name, [""])[0]
        return int(value) if value.isdigit() and int(value) > 0 else default


def answer(state: State, issuer: Issuer, method: str, target: str, authorization: str) -> Answer:
    """Return what Gitea answers.

    Args:
        state: what it knows.
        issuer: signs the registry's tokens.
        method: of the request.
        target: path and query as they came.
        authorization: the header; empty without one.
    """
    parts = urlsplit(target)
    try:
        if parts.path == "/v2/token":
            return _registry_token(state, issuer, method, parse_qs(parts.query), authorization)
        if state.gone or method != "GET" or not parts.path.startswith("/api/v1/"):
            return Answer(
                404, b"<!DOCTYPE html>\n<title>Page Not Found</title>\n", {"Content-Type": "text/html"}
            )
        path = unquote(parts.path.removeprefix("/api/v1"))
        return _api(_Request(state, path, parse_qs(parts.query), _token_of(state, authorization)))
    except _Refused as refused:
        return refused.answer


def _json(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    kind = {"Content-Type": "application/json;charset=utf-8"}
    return Answer(status, json.dumps(document).encode(), {**kind, **_API_HEADERS, **(headers or {})})


def _refusal(status: int, message: str) -> _Refused:
    return _Refused(_json({"message": message, "url": "https://code.portnimara.test/api/swagger"}, status))


def _not_found(message: str = "not found") -> _Refused:
    document = {"errors": None, "message": message, "url": "https://code.portnimara.test/api/swagger"}
    return _Refused(_json(document, 404))


def _token_of(state: State, authorization: str) -> Token | None:
    """Return the token that was presented; what is not exactly a scheme and a token counts as nothing."""
    words = authorization.split()
    if len(words) != 2 or words[0].lower() not in ("token", "bearer"):
        return None
    known = re.fullmatch(r"[0-9a-f]{40}", words[1]) and state.tokens.get(words[1])
    if not known:
        raise _refusal(401, "user does not exist [uid: 0, name: ]")
    return known


def _api(request: _Request) -> Answer:
    if request.path == "/version":
        return _json({"version": request.state.version})
    match = re.fullmatch(r"/repos/(?P<repository>[^/]+/[^/]+)(?P<rest>/.*)?", request.path)
    if match is None:
        raise _not_found("")
    _admit(request, match["repository"])
    for pattern, route in _ROUTES:
        if found := re.fullmatch(pattern, match["rest"] or ""):
            return route(request, *found.groups())
    raise _not_found("")


def _admit(request: _Request, repository: str) -> None:
    """Refuse a repository that is missing or hidden, both alike, and a token that does not reach."""
    state, token = request.state, request.token
    if repository != state.repository or (state.private and token is None):
        raise _not_found()
    if token is None:
        return
    if "public-only" in token.scopes and state.private:
        raise _refusal(403, "token scope is limited to public repos")
    wanted = "read:repository"
    if not {wanted, "write:repository", "all"} & set(token.scopes):
        raise _refusal(
            403,
            "token does not have at least one of required scope(s), "
            f"required=[{wanted}], token scope={','.join(token.scopes)}",
        )


def _branch(request: _Request, name: str) -> Answer:
    sha = request.state.branches.get(name)
    if sha is None:
        raise _not_found(f"branch does not exist [name: {name}]")
    return _json(
        {
            "name": name,
            "commit": {"id": sha, "message": "Release", "timestamp": "2026-06-01T00:00:00Z"},
            "protected": False,
            "required_approvals": 0,
            "enable_status_check": False,
            "status_check_contexts": [],
            "user_can_push": False,
            "user_can_merge": False,
            "effective_branch_protection_name": "",
        }
    )


def _commit(state: State, reference: str) -> tuple[str, Commit]:
    sha = state.branches.get(reference, reference)
    found = [each for each in state.commits if len(sha) >= 7 and each.startswith(sha)]
    if len(found) != 1:
        raise _not_found(f"object does not exist [id: {reference}, rel_path: ]")
    return found[0], state.commits[found[0]]


def _combined(words: Sequence[str]) -> str:
    """Return the combined state; all skipped is success."""
    if set(words) & {"error", "failure"}:
        return "failure"
    return "success" if set(words) <= {"success", "warning", "skipped"} else "pending"


def _commit_status(request: _Request, reference: str) -> Answer:
    sha, commit = _commit(request.state, reference)
    rows = request.page(
        [
            {"id": number, "context": one.context, "status": one.status, "description": one.description}
            for number, one in enumerate(commit.statuses, 1)
        ]
    )
    words = [str(row["status"]) for row in rows if isinstance(row, dict)]
    document = {
        "state": _combined(words) if words else "",
        "sha": sha,
        "total_count": len(rows),
        "statuses": rows or None,
        "commit_url": "",
        "url": "",
    }
    return _json(document, headers={"X-Total-Count": str(len(commit.statuses))})


def _tasks(request: _Request) -> Answer:
    tasks = request.state.tasks
    rows = [
        {
            "id": len(tasks) - place,
            "name": task.name,
            "head_branch": task.head_branch,
            "head_sha": task.head_sha,
            "run_number": task.run_number,
            "event": task.event,
            "display_title": "Release",
            "status": task.status,
            "workflow_id": task.workflow_id,
            "url": "",
            "created_at": "2026-06-01T00:00:00Z",
            "updated_at": "2026-06-01T00:00:00Z",
            "run_started_at": "2026-06-01T00:00:00Z",
        }
        for place, task in enumerate(tasks)
    ]
    return _json({"workflow_runs": request.page(rows), "total_count": len(rows)})


def _runs(request: _Request) -> Answer:
    if request.token is None:
        raise _refusal(401, "token is required")
    if request.token.owner != request.state.owner:
        raise _refusal(403, "user should be the owner of the repo")
    return _json({"workflow_runs": [], "total_count": 0})


def _run_jobs(request: _Request, number: str) -> Answer:
    del request
    if int(number) < _RUN_ID:
        raise _refusal(400, "runID must be a positive integer")
    return _json({"jobs": [], "total_count": 0})


def _raw(request: _Request, path: str) -> Answer:
    _, commit = _commit(request.state, request.query.get("ref", ["main"])[0])
    if path not in commit.files:
        raise _not_found(f"object does not exist [id: , rel_path: {path}]")
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Gitea-Object-Type": "blob"}
    return Answer(200, commit.files[path].encode(), {**headers, **_API_HEADERS})


_ROUTES: Sequence[tuple[str, Callable[..., Answer]]] = (
    (r"/branches/(.+)", _branch),
    (r"/commits/(.+)/status", _commit_status),
    (r"/actions/tasks", _tasks),
    (r"/actions/runs", _runs),
    (r"/actions/runs/(-?\d+)/jobs", _run_jobs),
    (r"/raw/(.+)", _raw),
)


def _registry_token(
    state: State, issuer: Issuer, method: str, query: Mapping[str, list[str]], authorization: str
) -> Answer:
    """Give a token for the registry; strangers get one too, since the packages' owner is public.

    Gitea's own tokens name no repository; the real registry behind the rehearsal wants to be told.
    """
    if method != "GET":
        raise _not_found()
    subject = _account(state, authorization) if authorization else "Ghost"
    scope = re.fullmatch(r"repository:(?P<name>[^:]+):(?P<actions>[a-z,*]+)", query.get("scope", [""])[0])
    allowed = ["pull"] if scope and scope["name"].startswith(f"{state.repository}/") else []
    return _json({"token": issuer.sign(subject, scope["name"] if scope else "", allowed)})


def _account(state: State, authorization: str) -> str:
    """Return who logs in by HTTP Basic: an account with its password, or anybody with an access token."""
    try:
        user, _, password = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = password = ""
    token = state.tokens.get(password)
    if token and {"read:package", "write:package", "all"} & set(token.scopes):
        return token.owner
    if user and state.accounts.get(user) == password:
        return user
    raise _Refused(Answer(401, b"Failed to authenticate user\n", {"Content-Type": "text/plain"}))
