"""`dns://server:53/name?type=MX`: up when the server has such records, and they meet the conditions.

The server is asked itself, once a second until it answers; an answer that does not fit is asked for again over TCP. Of
the records each is a line, as in a zone file: `example.com. 300 IN MX 10 mail.example.com.`

Options: `recordType` (else `type` of the URL, else A), `transport` (`tcp`; else UDP), `rcode` (the answer that is
wanted: `NOERROR`, or `NXDOMAIN` for a name that must not exist).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
from dns.rdtypes.ANY.SOA import SOA
from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.datagrams import datagrams
from vigie_healthcheck.probes.judging import judge
from vigie_healthcheck.probes.wire import connected

RECORD_TYPES: Final = ("A", "AAAA", "CNAME", "MX", "TXT", "NS", "SOA", "SRV", "PTR", "CAA")
_RCODES: Final = {
    "NOERROR": "the name exists (NOERROR)",
    "NXDOMAIN": "the name does not exist (NXDOMAIN)",
    "SERVFAIL": "the server cannot answer (SERVFAIL)",
    "REFUSED": "the server refuses to answer (REFUSED)",
}
_UDP_BYTES: Final = 1232
"""What fits into one packet on nearly every way."""


async def dns_(question: Question, way: Way, phases: Phases) -> Facts:
    query = _query(question)
    answer = None
    if question.options.get("transport", "udp").lower() != "tcp":
        answer = await _by_udp(query, question, way, phases)
    if answer is None or answer.flags & dns.flags.TC:
        answer = await _by_tcp(query, question, way, phases)
    lines = [line for rrset in answer.answer for line in rrset.to_text().splitlines()]
    rcode, wanted = dns.rcode.to_text(answer.rcode()), question.options.get("rcode", "").upper() or "NOERROR"
    facts = {
        "probe_dns_answer_rrs": float(len(lines)),
        "probe_dns_authority_rrs": float(sum(map(len, answer.authority))),
        "probe_dns_additional_rrs": float(sum(map(len, answer.additional))),
        "probe_dns_query_succeeded": 1.0,
    }
    for rrset in answer.answer:
        for record in rrset:
            if isinstance(record, SOA):
                facts["probe_dns_serial"] = float(record.serial)
    if rcode != wanted:
        raise Failed(_RCODES.get(rcode, f"the server answered {rcode}"), facts=facts)
    asked = query.question[0].rdtype
    if rcode == "NOERROR" and not any(rrset.rdtype == asked for rrset in answer.answer):
        raise Failed(f"the name has no {dns.rdatatype.to_text(asked)} record", facts=facts)
    await judge("\n".join(lines).encode(), question, way, phases, facts)
    return facts


def _query(question: Question) -> dns.message.QueryMessage:
    parts = question.parts()
    text = unquote(parts.path).strip("/")
    kind = question.options.get("recordType") or parse_qs(parts.query).get("type", ["A"])[0]
    if kind.upper() not in RECORD_TYPES:
        raise Failed(f"the type of the record is none of {', '.join(RECORD_TYPES)}", Verdict.UNKNOWN)
    if not text:
        raise Failed("a name is needed, as in dns://server/example.com?type=MX", Verdict.UNKNOWN)
    try:
        name = dns.name.from_text(text)
        if kind.upper() == "PTR" and (is_address := _reverse(text)) is not None:
            name = is_address
        return dns.message.make_query(name, kind.upper(), use_edns=0, payload=_UDP_BYTES)
    except (dns.exception.DNSException, UnicodeError):
        raise Failed("the name cannot be asked for", Verdict.UNKNOWN) from None


def _reverse(text: str) -> dns.name.Name | None:
    try:
        return dns.reversename.from_address(text)
    except dns.exception.SyntaxError:
        return None


async def _by_udp(
    query: dns.message.QueryMessage, question: Question, way: Way, phases: Phases
) -> dns.message.Message | None:
    async with datagrams(question, 53, way, phases) as socket:
        with phases.measure("processing"):
            return await socket.ask(query.to_wire(), lambda data: _read(query, data))


async def _by_tcp(query: dns.message.QueryMessage, question: Question, way: Way, phases: Phases) -> dns.message.Message:
    async with connected(question, 53, way, phases) as wire:
        with phases.measure("processing"):
            sent = query.to_wire()
            wire.writer.write(len(sent).to_bytes(2) + sent)
            answer = _read(query, await wire.exactly(int.from_bytes(await wire.exactly(2))))
    if answer is None:
        raise Failed("what answers is no name server")
    return answer


def _read(query: dns.message.QueryMessage, data: bytes) -> dns.message.Message | None:
    """The answer to the query; None for what is none."""
    try:
        answer = dns.message.from_wire(data, ignore_trailing=True)
        return answer if query.is_response(answer) else None
    except dns.exception.DNSException:
        return None
