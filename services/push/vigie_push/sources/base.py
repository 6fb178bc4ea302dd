"""What a source is: where records come from that feeds turn into updates."""

from __future__ import annotations

from typing import Any, Protocol

from vigie_contracts.tenants import TenantId


class Sink(Protocol):
    """What a source tells: the hub."""

    def publish(self, source: str, tenant: TenantId, record: Any) -> None:
        """A record; every open feed of the tenant that listens to the source is given it."""
        ...

    def degraded(self, source: str) -> None:
        """The source is away: until `restored`, the hub polls the feeds that listen to it."""
        ...

    def restored(self, source: str) -> None:
        """The source is back; feeds are polled once more, for what came between."""
        ...


class Source(Protocol):
    """Runs for the life of the process, and tells its sink. One for all tenants."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """For the life of the process, until `stop`. What it raises ends the process."""
        ...

    def stop(self) -> None:
        """End `run`."""
        ...

    async def follow(self, tenant: TenantId) -> None:
        """Somebody of the tenant listens from now on: returns when its records come. Must not fail while the source is
        away: it is then followed when it is back."""
        ...

    async def leave(self, tenant: TenantId) -> None:
        """Nobody of the tenant listens any more."""
        ...
