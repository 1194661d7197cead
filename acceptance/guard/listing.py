"""Everything the suite may ever do to one target, in one uniform list. Nothing is sent for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from acceptance.guard import (
    commands,
    deeds,
    dns,
    handshakes,
    messages,
    ports,
    queries,
    redis,
    registry,
    requests,
    s3,
    testinfra,
)
from acceptance.guard.commands import Command
from acceptance.guard.messages import UPGRADE_REQUEST, Message
from acceptance.guard.parameters import look_up
from acceptance.guard.requests import Request
from acceptance.sections.database import Database
from acceptance.target import Target


@dataclass(frozen=True)
class Declaration:
    """Something the suite may do.

    Attributes:
        transport: how it gets there; the ledger's word, but for testinfra's commands, which go over ssh.
        name: the ledger's.
        sends: what exactly, with the target's values; `<…>` is learned on the way.
        privilege: what it needs on the other side.
        purpose: why the suite does it.
        footprint: what it leaves behind; "none" for nothing but access times.
        action: the approval it needs; empty for a read.
    """

    transport: str
    name: str
    sends: str
    privilege: str
    purpose: str
    footprint: str
    action: str = ""

    @property
    def kind(self) -> str:
        """Whether it reads, or which action it is."""
        return f"action {self.action}" if self.action else "read"


def declarations(target: Target) -> list[Declaration]:
    """Return all of it, by transport and in the order in which it is declared."""
    return [
        *(_on_server(target) if target.has("server") else ()),
        *_requests(target),
        *(_of_public_name(target) if target.has("public") else ()),
        *(_ports(target) if target.has("server") else ()),
        *(_registry(target) if target.has("compose") else ()),
        *_questions(target),
        *_queries(target),
        *(_redis(target) if target.has("compose") else ()),
        *_operations(target),
    ]


def _on_server(target: Target) -> Iterator[Declaration]:
    yield from _deeds(target)
    for command in vars(commands).values():
        if isinstance(command, Command):
            yield _command("ssh", command, target)
    for command in testinfra.COMMANDS:
        yield _command("testinfra", command, target)


def _of_public_name(target: Target) -> Iterator[Declaration]:
    yield from _websocket(target)
    yield from _handshakes(target)


def root_by(target: Target) -> str:
    """Return how privileged commands get their rights on this target."""
    privilege = target.server.privilege
    if privilege.method == "none":
        return "the login's own rights"
    return (
        f"root by sudo, only through {privilege.helper}"
        if privilege.helper
        else f"root by {privilege.method}"
    )


def _deeds(target: Target) -> Iterator[Declaration]:
    server = target.server
    for deed in deeds.DEEDS:
        if deed is deeds.ROOT and server.privilege.method == "none":
            continue
        footprint = deed.footprint
        sends = {
            deeds.LOGIN.name: f"ssh -p {server.port} {server.user}@{server.address}: a kept /bin/sh",
            deeds.ROOT.name: f"{server.privilege.method}: a kept /bin/sh as root",
            deeds.TUNNEL.name: f"-L <private socket>:<container's address>:{_tunnelled(target)}",
        }[deed.name]
        if deed is deeds.ROOT and server.privilege.helper:
            sends = f"sudo -n -- {server.privilege.helper} <command's name> <arguments>: no root shell"
            footprint = deeds.HELPER_FOOTPRINT
        yield Declaration(
            "ssh", deed.name, sends, f"login as {server.user}", deed.purpose, footprint, deed.action
        )


def _tunnelled(target: Target) -> str:
    documenso = target.documenso
    ports = [target.postgres.port, target.redis.port] if target.has("postgres") else []
    if documenso and documenso.database and documenso.database.connect is None:
        ports.append(documenso.database.port)
    return " and ".join(map(str, dict.fromkeys(ports)))


def _command(transport: str, command: Command, target: Target) -> Declaration:
    given = [parameter.shown(target) for parameter in command.parameters]
    head = f"with {' '.join(given)}:\n" if given else ""
    return Declaration(
        transport=transport,
        name=command.name,
        sends=head + command.script.strip(),
        privilege=_privilege(command, target),
        purpose=command.purpose,
        footprint=command.footprint,
        action=command.action,
    )


def _privilege(command: Command, target: Target) -> str:
    login = f"login as {target.server.user}"
    if not command.privileged or (command.any_file and target.server.privilege.helper):
        return login
    return f"{root_by(target)}; without it, {login}" if command.plain_too else root_by(target)


def _requests(target: Target) -> Iterator[Declaration]:
    pages = target.pages
    visited = [path for path in (pages.login, pages.guarded, pages.berths, pages.deal) if path]
    for request in vars(requests).values():
        if not isinstance(request, Request) or (request.base and look_up(target, request.base) is None):
            continue
        if request.on not in target.sites:
            continue
        where = _address(target.sites[request.on].name, request, target)
        if request is requests.PAGE_GET:
            where += f"\nfirst {', '.join(dict.fromkeys(visited))}"
        if request is requests.PAGE_ELSEWHERE:
            if not pages.elsewhere:
                continue
            where = f"GET https://{'|'.join(pages.elsewhere)}{request.path}"
        transport = "browser" if request in requests.BROWSER else "http"
        yield _request(transport, request, where)


def _request(transport: str, request: Request, sends: str) -> Declaration:
    if request.content:
        sends += f"\nbody, as a regular expression: {request.content}"
    return Declaration(
        transport=transport,
        name=request.name,
        sends=sends,
        privilege=f"the target file's {request.credential}" if request.credential else "none",
        purpose=request.purpose,
        footprint=request.footprint,
        action=request.action,
    )


def _address(host: str, request: Request, target: Target) -> str:
    base = (look_up(target, request.base) or "") if request.base else ""
    address = f"{request.method} {request.scheme}://{host}{base}"
    return f"{address}\nthen, as a regular expression: {request.path}" if request.path else address


def _websocket(target: Target) -> Iterator[Declaration]:
    yield _request("websocket", UPGRADE_REQUEST, _address(target.public.name, UPGRADE_REQUEST, target))
    namespace = "" if target.realtime.namespace == "/" else f"{target.realtime.namespace},"
    for message in vars(messages).values():
        if isinstance(message, Message):
            text = message.text.replace("{namespace}", namespace)
            yield Declaration("websocket", message.name, text, "none", message.purpose, message.footprint)


def _handshakes(target: Target) -> Iterator[Declaration]:
    for handshake in handshakes.HANDSHAKES.values():
        sends = f"a handshake with {target.public.name} port 443: {handshake.offers}"
        yield Declaration("tls", handshake.name, sends, "none", handshake.purpose, handshake.footprint)


def _ports(target: Target) -> Iterator[Declaration]:
    outside = target.outside
    numbers = {
        ports.CONTROL: (outside.control,),
        ports.PRIVATE: outside.private,
        ports.NOBODYS: (ports.NOBODYS_PORT,),
    }
    for knock, chosen in numbers.items():
        listed = ", ".join(map(str, chosen))
        sends = f"a bare connection to {target.server.address} port {listed}, ended at once"
        yield Declaration("ports", knock.name, sends, "none", knock.purpose, knock.footprint)


def _registry(target: Target) -> Iterator[Declaration]:
    images = [service.image for service in target.compose.services if service.built]
    hosts = sorted({image.partition("/")[0] for image in images})
    manifests = "\n".join(map(_manifest, images))
    token = f"GET the https address that {', '.join(hosts)} names in WWW-Authenticate"
    yield _request("registry", registry.MANIFEST, f"{manifests}\nand likewise the tag of the commit")
    yield _request("registry", registry.TOKEN, token)
    for request, sends in ((registry.SERVERS_MANIFEST, manifests), (registry.SERVERS_TOKEN, token)):
        servers = _request("registry", request, sends)
        yield replace(servers, privilege=f"the login in {target.registry.server_config} on the server")


def _questions(target: Target) -> Iterator[Declaration]:
    endpoint = target.dns.resolver
    resolver = f"{endpoint.address} port {endpoint.port}" if endpoint else "the system's resolver"
    names = target.public_names.values()
    tops = dict.fromkeys(name.rpartition(".")[2] for name in names)
    for question in dns.QUESTIONS.values():
        sends = f"to {resolver}: {question.kind} records of {', '.join(names)}"
        sends += f"\nand of {', '.join(tops)}, if such a name does not exist"
        yield Declaration("dns", question.name, sends, "none", question.purpose, question.footprint)


def _manifest(image: str) -> str:
    host, _, rest = image.partition("/")
    repository, _, tag = rest.partition(":")
    return f"HEAD https://{host}/v2/{repository}/manifests/{tag or 'latest'}"


def _queries(target: Target) -> Iterator[Declaration]:
    documenso = target.documenso.database if target.documenso else None
    databases = {
        queries.CRM: target.postgres if target.has("postgres") else None,
        queries.DOCUMENSO: documenso,
    }
    for of, database in databases.items():
        if database is not None:
            yield from _queries_to(target, of, database)


def _queries_to(target: Target, of: str, database: Database) -> Iterator[Declaration]:
    role = f"role {database.user}"
    yield Declaration(
        "postgres",
        queries.SESSION.name,
        f"connect to database {database.database}; default_transaction_read_only=on, "
        "statement_timeout=15000, application_name=port-nimara-acceptance",
        role,
        queries.SESSION.purpose,
        queries.SESSION.footprint,
    )
    for query in queries.declared().values():
        keys = [key for need in query.needs for key in (need.table, *need.columns)]
        values = [(key, look_up(target, key)) for key in keys]
        if query.of != of or any(value is None for _, value in values):
            continue
        given = ", ".join(f"{key} {value}" for key, value in values)
        sends = (f"with {given}:\n" if given else "") + query.text.strip()
        yield Declaration("postgres", query.name, sends, role, query.purpose, query.footprint)


def _redis(target: Target) -> Iterator[Declaration]:
    for command in redis.COMMANDS.values():
        if command is redis.AUTH and target.redis.password is None:
            continue
        arguments = command.arguments.replace("PREFIX", target.redis.prefix)
        yield Declaration(
            "redis",
            command.name,
            f"{command.name} {arguments}".strip(),
            "the target file's redis.password" if target.redis.password else "none",
            command.purpose,
            command.footprint,
        )


def _operations(target: Target) -> Iterator[Declaration]:
    storage = target.storage
    if storage is None:
        return
    for operation in s3.OPERATIONS:
        values = {"Bucket": storage.bucket}
        given = ", ".join(f"{name} {values.get(name, '<…>')}" for name in sorted(operation.parameters))
        yield Declaration(
            "s3",
            operation.name,
            f"{operation.name} at {storage.endpoint}: {given}",
            operation.signed_by,
            operation.purpose,
            operation.footprint,
        )
