"""The client address of a request, also behind proxies, for limits, audit and logs.

A proxy appends the address that it was called from to `X-Forwarded-For`, so the header is read from its end, and only
as far as the addresses are those of proxies that the settings name: what stands left of the first other one was written
by a stranger.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from vigie_runtime import logging

log = logging.get(__name__)

Address: TypeAlias = IPv4Address | IPv6Address
Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]

FORWARDED_HEADER: Final = b"x-forwarded-for"
"""As ASGI has it."""
MAX_HOPS: Final = 16
"""Entries of the header that are looked at."""
_MAX_REMEMBERED_BYTES: Final = 256
_REMEMBERED: Final = 8_192
_LINE_BITS: Final = 64
_NAT64: Final = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent a request, as far as the network tells."""

    address: str
    """In its shortest form; empty when it is not known."""
    place: str
    """What counts as one sender: an IPv4 address, or the /64 of an IPv6 address, which is one line's."""
    local: bool = False
    """From this machine itself, and not by way of a proxy."""


UNKNOWN: Final = Origin("", "unknown")


def networks(text: str) -> Networks:
    """The networks of a comma-separated list of CIDRs and addresses. Raises ValueError, with a sentence."""
    found: list[IPv4Network | IPv6Network] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ip_network(word))
        except ValueError:
            raise ValueError(f"{word!r} is no address and no network like 10.0.0.0/8 or fd00::/8") from None
    return tuple(found)


def client_address(peer: str | None, forwarded: str, trusted: Networks) -> Address | None:
    """The address of the client. `peer` is who is connected, `forwarded` all `X-Forwarded-For` headers joined by
    commas. None when the peer is not known. Where a proxy named something that is no address, its own counts."""
    address = _parsed(peer or "")
    hops = forwarded.rsplit(",", MAX_HOPS - 1)
    while address is not None and hops and _within(address, trusted):
        hop = _parsed(hops.pop())
        if hop is None:
            break
        address = hop
    return address


def origin(peer: str | None, forwarded: str, trusted: Networks) -> Origin:
    """Return the origin of a request from `client_address`."""
    address = client_address(peer, forwarded, trusted)
    if address is None:
        return UNKNOWN
    # With the header it may be a proxy on this machine, and its clients are not.
    local = address.is_loopback and not forwarded
    return Origin(str(address), str(line_of(address)), local)


class Origins:
    """`origin` for a service: remembers, because most requests come from where others came from."""

    def __init__(self, trusted: Networks) -> None:
        self._trusted = trusted
        self._remembered = lru_cache(_REMEMBERED)(self._find)
        self._warned = False

    def of(self, peer: str | None, forwarded: bytes | None) -> Origin:
        """`forwarded` as in `client_address`; None when the request has no such header."""
        if forwarded is None:
            return self._remembered(peer, b"")
        if len(forwarded) <= _MAX_REMEMBERED_BYTES:
            return self._remembered(peer, forwarded)
        return self._find(peer, forwarded)

    def _find(self, peer: str | None, forwarded: bytes) -> Origin:
        found = origin(peer, forwarded.decode("latin-1"), self._trusted)
        if forwarded and not self._warned and (at := _parsed(peer or "")) and not _within(at, self._trusted):
            self._warned = True  # once: a sender can write the header too
            log.warning(
                "requests have X-Forwarded-For, which is not believed: if it was written by a proxy, name its address "
                "in VIGIE_TRUSTED_PROXIES, or all its clients are limited as one",
                peer=str(at),
            )
        return found


def line_of(address: Address) -> IPv4Address | IPv6Network:
    """Return what is counted as one client: an IPv4 address, also where IPv6 only wraps it, else a /64."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:  # all of IPv4 within one /64
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return IPv6Network((address, _LINE_BITS), strict=False)


def _within(address: Address, trusted: Networks) -> bool:
    return any(address in network for network in trusted)


def _parsed(hop: str) -> Address | None:
    """An address as proxies write it: maybe quoted, in brackets, with a port or a zone. None when it is none."""
    text = hop.strip().strip('"')
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or not _is_port(port):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(":" + port):
            return None
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped  # an IPv4 client on a socket for both
    return address


def _is_port(text: str) -> bool:
    digits = text.removeprefix(":")
    return not text or (digits != text and len(digits) <= 5 and digits.isascii() and digits.isdecimal())
