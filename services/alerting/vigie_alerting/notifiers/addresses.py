"""Which addresses channels may call: public ones, and those that the operator allows.

A URL of a tenant is asked for from inside, where other doors stand open: the stores, the cloud's metadata service.
Names are resolved first and the addresses judged; the connection goes to an address that passed, so nothing is looked
up again in between.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeAlias

import httpcore2
from vigie_runtime.addresses import Address, Networks

from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host. Raises OSError."""

_EMBEDDED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96"))
"""IPv6 networks whose last 32 bits are the IPv4 address that is really meant: NAT64, compatible, translated."""
_6TO4: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")
_PLATFORM: Final = (ip_network("168.63.129.16/32"), ip_network("192.88.99.0/24"))
"""Public by their numbers, but not by what answers there: Azure's host agent, relays."""


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
    """Whether a channel may call it."""
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


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that may be called, and to nothing else. `allowed` None: to whatever is asked for."""

    def __init__(self, allowed: Networks | None, lookup: Resolve = resolve) -> None:
        self._allowed = allowed
        self._lookup = lookup
        self._backend: Any = httpcore2.AnyIOBackend()  # its type depends on whether anyio is there

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """The first address that can be connected to. Raises Temporary, Permanent, httpcore2's ConnectError."""
        failed: httpcore2.ConnectError | None = None
        for address in await self._addresses(host, port):
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as e:
                failed = e
        raise failed or httpcore2.ConnectError()

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await self._lookup(host.strip("[]"), port)
        except (OSError, UnicodeError):
            raise Temporary(Failure.NAME_UNKNOWN, "the name of the host has no address at the moment") from None
        if self._allowed is None:
            return found
        passed = [text for text in found if callable_(ip_address(text.partition("%")[0]), self._allowed)]
        if not passed:
            raise Permanent(
                Failure.FORBIDDEN_ADDRESS,
                "the host has no public address, and channels may not call others unless VIGIE_ALERT_NETWORKS "
                "names their network",
            )
        return passed
