"""`icmp://host`: up when it answers an echo request ("ping"), sent once a second until it does.

Needs the right to send them: the group of the process in `net.ipv4.ping_group_range`, or CAP_NET_RAW. Without it the
target is unknown, not down.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

from vigie_contracts.checks import Verdict

from vigie_healthcheck.probes.base import Facts, Failed, Phases, Question, Way
from vigie_healthcheck.probes.datagrams import datagrams

_PROTOCOLS: Final = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_HEADER: Final = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier, sequence number."""
_REQUEST: Final = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY: Final = {socket.AF_INET: 0, socket.AF_INET6: 129}


async def icmp(question: Question, way: Way, phases: Phases) -> Facts:
    # What comes back is told from answers to others by these bytes: of a datagram socket the kernel sets the
    # identifier, and a raw one hears all answers of the host.
    token = os.urandom(16)
    family = 0

    def make(wanted: int) -> socket.socket:
        nonlocal family
        family = wanted
        return _allowed(wanted)

    async with datagrams(question, 0, way, phases, make) as host:
        request = packet(_REQUEST[socket.AddressFamily(family)], token)
        reply = _REPLY[socket.AddressFamily(family)]
        with phases.measure("processing"):
            await host.ask(request, lambda data: _answers(data, reply, token) or None)
    return {}


def _allowed(family: int) -> socket.socket:
    """A socket for echo requests. Raises Failed where none is permitted."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            return socket.socket(family, kind, _PROTOCOLS[socket.AddressFamily(family)])
        except PermissionError:
            continue
    raise Failed("this prober may not send echo requests (ICMP)", Verdict.UNKNOWN)


def packet(kind: int, payload: bytes) -> bytes:
    """An echo message. The checksum of IPv6 is made by the kernel, which writes over this one."""
    bare = _HEADER.pack(kind, 0, 0, int.from_bytes(payload[:2]), 1) + payload
    return bare[:2] + _checksum(bare).to_bytes(2) + bare[4:]


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _answers(data: bytes, reply: int, token: bytes) -> bool:
    """Whether it is the reply. Raw sockets of IPv4, and datagram ones on macOS, have the header of IP before it."""
    start = (data[0] & 0x0F) * 4 if data and data[0] >> 4 == 4 and reply == 0 else 0
    return data[start : start + 1] == bytes([reply]) and data[start + _HEADER.size :].startswith(token)
