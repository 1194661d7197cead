"""A resolver that knows the rehearsal's names, over UDP and TCP, in threads that end with the process."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from rehearsal.site import DOCUMENSO_NAME, GITEA_NAME, HOSTNAME, REGISTRY_NAME, STORAGE_NAME, Site

PORT = 5353
SERVER_NAME = "server.portnimara.test"

_TTL_S = 300
_LONGEST_DATAGRAM = 512
"""A longer answer is cut off, and the client asks again over TCP (RFC 1035)."""
_LONGEST_CHAIN = 8


@dataclass(frozen=True)
class Records:
    """What is known of a name: addresses, or the name that it is an alias of.

    Attributes:
        failure: the answer's code instead, like SERVFAIL; empty for an answer.
        silent: no answer at all.
    """

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    alias: str = ""
    failure: str = ""
    silent: bool = False

    def of(self, kind: dns.rdatatype.RdataType) -> tuple[str, ...]:
        """Return the addresses of that type."""
        return {dns.rdatatype.A: self.ipv4, dns.rdatatype.AAAA: self.ipv6}.get(kind, ())


class Resolver:
    """The resolver.

    Attributes:
        names: what it knows; any other name does not exist.
    """

    def __init__(self, site: Site) -> None:
        self.names = healthy(site)
        resolver = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                question, connection = self.request
                if reply := resolver.reply(question, longest=_LONGEST_DATAGRAM):
                    connection.sendto(reply, self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                (length,) = struct.unpack("!H", self.rfile.read(2))
                if reply := resolver.reply(self.rfile.read(length), longest=65535):
                    self.wfile.write(struct.pack("!H", len(reply)) + reply)

        place = (site.address("resolver"), PORT)
        for server in (
            socketserver.ThreadingUDPServer(place, Datagram),
            socketserver.ThreadingTCPServer(place, Stream),
        ):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, name="resolver", daemon=True).start()

    def reply(self, question: bytes, *, longest: int) -> bytes | None:
        """Return the answer to a question, or None to keep silent."""
        try:
            query = dns.message.from_wire(question)
        except dns.exception.DNSException:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        asked = query.question[0]
        if not self._fill(response, asked.name, asked.rdtype):
            return None
        wire = response.to_wire(max_size=65535)
        if len(wire) > longest:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return wire

    def _fill(
        self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> bool:
        """Put the records into an answer, those of aliases first; False for silence."""
        records = self._known(name)
        for _ in range(_LONGEST_CHAIN):
            if records is None or not records.alias:
                break
            response.answer.append(_set(name, dns.rdatatype.CNAME, f"{records.alias}."))
            name = dns.name.from_text(records.alias)
            records = self._known(name)
        if records is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif records.failure:
            response.set_rcode(dns.rcode.from_text(records.failure))
        elif addresses := records.of(kind):
            response.answer.append(_set(name, kind, *addresses))
        return records is None or not records.silent

    def _known(self, name: dns.name.Name) -> Records | None:
        return self.names.get(name.to_text(omit_final_dot=True).lower())

    @contextmanager
    def ignorant(self) -> Iterator[None]:
        """Deny every name for a while, top-level domains included."""
        before, self.names = self.names, {}
        try:
            yield
        finally:
            self.names = before

    @contextmanager
    def changed(self, name: str, records: Records | None) -> Iterator[None]:
        """Let a name have other records for a while, or not exist."""
        before = self.names
        self.names = {known: value for known, value in before.items() if known != name}
        if records is not None:
            self.names[name] = records
        try:
            yield
        finally:
            self.names = before


def _set(name: dns.name.Name, kind: dns.rdatatype.RdataType, *values: str) -> dns.rrset.RRset:
    return dns.rrset.from_text(name, _TTL_S, dns.rdataclass.IN, kind, *values)


def healthy(site: Site) -> dict[str, Records]:
    """Return the names as they should be: at the server, the storage's by an alias; and their domain."""
    server = Records(ipv4=(site.address("public"),))
    names = dict.fromkeys((HOSTNAME, GITEA_NAME, REGISTRY_NAME, DOCUMENSO_NAME, SERVER_NAME), server)
    top = HOSTNAME.rpartition(".")[2]
    return {**names, STORAGE_NAME: Records(alias=SERVER_NAME), top: Records()}
