"""httpcore2's connections, to addresses that may be called only; what may not is told as notifiers tell it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpcore2
from vigie_runtime.egress import AddressForbidden, Egress, HostUnknown

from vigie_alerting.notifiers.errors import Failure, Permanent, Temporary


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that may be called, and to nothing else."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
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
            return await self._egress.addresses(host, port)
        except HostUnknown as e:
            raise Temporary(Failure.NAME_UNKNOWN, str(e)) from None
        except AddressForbidden:
            raise Permanent(
                Failure.FORBIDDEN_ADDRESS,
                "the host has no public address, and channels may not call others unless VIGIE_ALERT_NETWORKS "
                "names their network",
            ) from None
