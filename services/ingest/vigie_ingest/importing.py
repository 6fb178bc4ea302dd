"""History onto the bus: what is stored already adds nothing, whenever and however often it is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from vigie_identity.errors import NotFound, TenantInactive

from vigie_ingest.admission import Tenants
from vigie_ingest.decoding import Decoded
from vigie_ingest.errors import ItemError, Reason, RejectedItem
from vigie_ingest.intake import Caller, Verdicts
from vigie_ingest.reports import NodeReport, Reports

_CHUNK: Final = 500
"""Lines that are published together: with them their samples, and the new series of as many tenants."""
_LOOKUPS: Final = 16
"""Tenants that are asked for at the same time."""


class Stored(Protocol):
    """What is needed of `vigie_ingest.repository.StoredReports`."""

    async def among(self, ids: Collection[str]) -> set[str]: ...


@dataclass(slots=True)
class HistoryVerdicts(Verdicts):
    """`repeated` of the accepted ones were stored before."""

    repeated: int = 0


@dataclass(slots=True)
class History:
    """Takes lines of the past. Knows nothing of HTTP."""

    reports: Reports
    tenants: Tenants
    stored: Stored

    async def take(self, caller: Caller, decoded: Decoded[NodeReport]) -> HistoryVerdicts:
        """What is good is taken, what is not gets a verdict. Raises a RequestError when something is away: then some
        lines may be taken, and to send all of them again adds nothing to those."""
        refused = await self._refused({line.tenant for line in decoded.items})
        rejected = list(decoded.rejected)
        good: dict[str, NodeReport] = {}
        accepted = 0
        for at, line in enumerate(decoded.items):
            if error := refused.get(line.tenant):
                rejected.append(RejectedItem(decoded.index(at), error))
            else:
                accepted += 1
                good[line.id] = line
        lines = list(good.values())
        new = 0
        for start in range(0, len(lines), _CHUNK):
            new += await self._chunk(caller, lines[start : start + _CHUNK])
        return HistoryVerdicts(accepted, rejected, accepted - new)

    async def _chunk(self, caller: Caller, lines: Sequence[NodeReport]) -> int:
        """How many of them were not stored yet."""
        known = await self.stored.among([line.id for line in lines])
        new = [line for line in lines if line.id not in known]
        if new:
            await self.reports.take(caller, new)
        return len(new)

    async def _refused(self, tenants: Iterable[str]) -> dict[str, ItemError]:
        """Why nothing is taken for some of the tenants."""
        at_once = asyncio.Semaphore(_LOOKUPS)
        refused: dict[str, ItemError] = {}

        async def ask(tenant: str) -> None:
            async with at_once:
                try:
                    await self.tenants.require(tenant)
                except (NotFound, TenantInactive) as e:
                    refused[tenant] = ItemError(Reason.TENANT, "tenantId", e.detail)

        await asyncio.gather(*map(ask, tenants))
        return refused
