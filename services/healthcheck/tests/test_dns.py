"""Verdicts and reasons of dns, against a name server of the test."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Expectations
from vigie_healthcheck.probes import datagrams
from vigie_healthcheck.probes.base import Phases, Question, Way
from vigie_runtime.egress import Egress

from services.healthcheck.tests.asking import outcome
from services.healthcheck.tests.servers import server

ZONE = {
    ("example.com.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("example.com.", "MX"): ["10 mail.example.com."],
    ("example.com.", "SOA"): ["ns.example.com. admin.example.com. 2026 1 2 3 4"],
    ("example.com.", "TXT"): ['"v=spf1 -all"'],
    ("1.2.0.192.in-addr.arpa.", "PTR"): ["example.com."],
}


def answered(data: bytes, *, truncated: bool = False) -> bytes:
    query = dns.message.from_wire(data)
    asked = query.question[0]
    name, kind = asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype)
    answer = dns.message.make_response(query)
    if truncated:
        answer.flags |= dns.flags.TC
    elif name == "broken.example.":
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif name == "refused.example.":
        answer.set_rcode(dns.rcode.REFUSED)
    elif records := ZONE.get((name, kind)):
        answer.answer.append(dns.rrset.from_text_list(asked.name, 300, "IN", kind, records))
    elif name != "example.com.":
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer.to_wire()


class Name(asyncio.DatagramProtocol):
    def __init__(self, replies: Callable[[bytes], list[bytes]]) -> None:
        self.replies, self.asked = replies, 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.asked += 1
        for reply in self.replies(data):
            self.transport.sendto(reply, addr)


@asynccontextmanager
async def names(replies: Callable[[bytes], list[bytes]], port: int = 0) -> AsyncIterator[tuple[int, Name]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: Name(replies), local_addr=("127.0.0.1", port))
    try:
        yield transport.get_extra_info("sockname")[1], protocol
    finally:
        transport.close()


@pytest.mark.parametrize(
    ("query", "more", "verdict", "reason"),
    [
        ("example.com", {}, Verdict.UP, ""),
        ("example.com?type=MX", {"expect": Expectations(body_matches=["MX 10 mail"])}, Verdict.UP, ""),
        (
            "example.com?type=MX",
            {"expect": Expectations(body_matches=["MX 20"])},
            Verdict.DOWN,
            "the answer does not match MX 20",
        ),
        ("example.com", {"options": {"recordType": "txt"}}, Verdict.UP, ""),
        ("192.0.2.1?type=PTR", {"expect": Expectations(body_matches=["PTR example.com"])}, Verdict.UP, ""),
        ("example.com?type=AAAA", {}, Verdict.DOWN, "the name has no AAAA record"),
        ("missing.example", {}, Verdict.DOWN, "the name does not exist (NXDOMAIN)"),
        ("missing.example", {"options": {"rcode": "nxdomain"}}, Verdict.UP, ""),
        ("example.com", {"options": {"rcode": "NXDOMAIN"}}, Verdict.DOWN, "the name exists (NOERROR)"),
        ("broken.example", {}, Verdict.DOWN, "the server cannot answer (SERVFAIL)"),
        ("refused.example", {}, Verdict.DOWN, "the server refuses to answer (REFUSED)"),
        ("", {}, Verdict.UNKNOWN, "a name is needed, as in dns://server/example.com?type=MX"),
        ("a..b", {}, Verdict.UNKNOWN, "the name cannot be asked for"),
    ],
)
async def test_dns(query: str, more: dict[str, Any], verdict: Verdict, reason: str) -> None:
    async with names(lambda data: [answered(data)]) as (port, _):
        got = await outcome("dns", f"dns://127.0.0.1:{port}/{query}", **more)
    assert (got.verdict, got.reason) == (verdict, reason)


async def test_dns_record_types_that_are_none() -> None:
    got = await outcome("dns", "dns://127.0.0.1/example.com?type=ANY")
    assert got.verdict is Verdict.UNKNOWN
    assert got.reason.startswith("the type of the record is none of A, AAAA")


async def test_dns_facts() -> None:
    async with names(lambda data: [answered(data)]) as (port, _):
        got = await outcome("dns", f"dns://127.0.0.1:{port}/example.com?type=SOA")
    assert got.facts == {
        "probe_dns_answer_rrs": 1.0, "probe_dns_authority_rrs": 0.0, "probe_dns_additional_rrs": 0.0,
        "probe_dns_query_succeeded": 1.0, "probe_dns_serial": 2026.0,
    }  # fmt: skip
    assert set(got.phases) == {"resolve", "connect", "processing"}


async def test_dns_answers_to_other_questions_are_not_taken() -> None:
    def lies(data: bytes) -> list[bytes]:
        other = dns.message.make_query("other.example", "A").to_wire()
        stranger = bytes([data[0] ^ 1]) + answered(data)[1:]
        return [b"", b"garbage", answered(other), stranger, answered(data)]

    async with names(lies) as (port, _):
        assert (await outcome("dns", f"dns://127.0.0.1:{port}/example.com")).reason == ""


async def test_dns_asks_again_when_a_datagram_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "AGAIN_S", 0.02)
    async with names(lambda data: [answered(data)] if server_.asked >= 3 else []) as (port, server_):
        assert (await outcome("dns", f"dns://127.0.0.1:{port}/example.com")).reason == ""
        assert server_.asked >= 3  # one more where the machine was slow to take the answer


async def test_dns_server_that_never_answers_is_down_at_the_deadline() -> None:
    async with names(lambda _: []) as (port, _):
        got = await outcome("dns", f"dns://127.0.0.1:{port}/example.com", deadline_s=0.1)
    assert (got.verdict, got.reason) == (
        Verdict.DOWN,
        "no answer within 0.1 s, the time ended in waiting for the answer",
    )


async def test_dns_nobody_at_the_port_is_refused() -> None:
    async with names(lambda _: []) as (port, _):
        pass
    assert (await outcome("dns", f"dns://127.0.0.1:{port}/example.com")).reason == "the connection was refused"


async def test_dns_answers_that_do_not_fit_are_asked_for_over_tcp() -> None:
    async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = answered(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))
        writer.write(len(answer).to_bytes(2) + answer)
        await writer.drain()

    async with (
        server(over_tcp) as target,
        names(lambda data: [answered(data, truncated=True)], target.port) as (port, _),
    ):
        got = await outcome("dns", f"dns://127.0.0.1:{port}/example.com")
        assert (got.reason, got.facts["probe_dns_answer_rrs"]) == ("", 2.0)
        assert await target.closed()


async def test_where_this_machine_speaks_no_ipv6_the_next_address_is_asked() -> None:
    def make(family: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        return socket.socket(family, socket.SOCK_DGRAM)

    def way(*addresses: str) -> Way:
        return Way(Egress(None, lambda _host, _port: asyncio.sleep(0, list(addresses))))

    question = Question("dns://server.example/name")
    async with datagrams.datagrams(question, 53, way("::1", "127.0.0.1"), Phases(), make) as made:
        assert made._socket.getpeername()[0] == "127.0.0.1"
    with pytest.raises(OSError, match="no IPv6"):
        async with datagrams.datagrams(question, 53, way("::1"), Phases(), make):
            pass
