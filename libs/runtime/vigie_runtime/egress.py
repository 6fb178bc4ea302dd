"""Which addresses may be called for a tenant: public ones, and those that the operator allows.

A URL of a tenant is asked for from inside, where other doors stand open: the stores, the cloud's metadata service.
Names are resolved first and the addresses judged; the connection goes to an address that passed, so nothing is looked
up again in between. Whoever follows a redirect asks again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from vigie_runtime.addresses import Address, Networks

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host. Raises OSError."""

_EMBEDDED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96"))
"""IPv6 networks whose last 32 bits are the IPv4 address that is really meant: NAT64, compatible, translated."""
_6TO4: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")
_PLATFORM: Final = (ip_network("168.63.129.16/32"), ip_network("192.88.99.0/24"))
"""Public by their numbers, but not by what answers there: Azure's host agent, relays."""


class EgressError(Exception):
    """A host that cannot be called."""


class HostUnknown(EgressError):  # noqa: N818 - named after what is wrong
    """The name has no address at the moment."""

    def __init__(self) -> None:
        super().__init__("the name of the host has no address at the moment")


class AddressForbidden(EgressError):  # noqa: N818 - named after what is wrong
    """None of the host's addresses may be called."""

    def __init__(self) -> None:
        super().__init__("the host has no address that may be called")


def meant(address: Address) -> Address:
    """The address that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if any(address in network for network in _EMBEDDED) and int(address) > 1:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _6TO4:
        return IPv4Address(int(address) >> 80 & 0xFFFF_FFFF)
    if address in _TEREDO:
        return IPv4Address(~int(address) & 0xFFFF_FFFF)
    return address


def callable_(address: Address, allowed: Networks) -> bool:
    """Whether it may be called."""
    target = meant(address)
    if any(target in network for network in allowed):
        return True
    if target.is_multicast or target.is_reserved or any(target in network for network in _PLATFORM):
        return False
    if isinstance(target, IPv6Address) and target.is_site_local:
        return False
    return target.is_global


async def resolve(host: str, port: int) -> list[str]:
    """By the system's resolver, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Egress:
    """The way out. `allowed`: networks that may be called beside public ones; None: whatever is asked for."""

    def __init__(self, allowed: Networks | None, lookup: Resolve = resolve) -> None:
        self._allowed = allowed
        self._lookup = lookup

    def to_anywhere(self) -> Egress:
        """The same, to whatever is asked for."""
        return Egress(None, self._lookup)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Addresses of the host that may be connected to, at least one. Raises HostUnknown, AddressForbidden."""
        try:
            found = await self._lookup(host.strip("[]"), port)
        except (OSError, UnicodeError):
            raise HostUnknown from None
        if not found:
            raise HostUnknown
        if self._allowed is None:
            return found
        passed = [text for text in found if callable_(ip_address(text.partition("%")[0]), self._allowed)]
        if not passed:
            raise AddressForbidden
        return passed
