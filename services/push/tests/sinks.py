"""What sources tell, noted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from vigie_contracts.tenants import TenantId


@dataclass
class Noting:
    """A sink."""

    records: list[tuple[str, str, Any]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, source: str, tenant: TenantId, record: Any) -> None:
        self.records.append((source, tenant, record))
        self._changed.set()

    def degraded(self, source: str) -> None:
        self.states.append(f"{source} away")
        self._changed.set()

    def restored(self, source: str) -> None:
        self.states.append(f"{source} back")
        self._changed.set()

    async def until(self, records: int = 0, states: int = 0) -> None:
        """So many were told."""
        async with asyncio.timeout(15):
            while len(self.records) < records or len(self.states) < states:
                self._changed.clear()
                await self._changed.wait()
