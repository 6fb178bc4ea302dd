"""Routes that are muted at a time, or active only at times: a stage of the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Final

from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId
from vigie_query.times import iso

from vigie_alerting.notifying.item import Item
from vigie_alerting.notifying.muting import Judge, Mute
from vigie_alerting.snapshots import Snapshots
from vigie_alerting.times.interval import TimeInterval, changes, contains

_REMEMBERED: Final = 100


class InactiveTimes:
    """A `Muter`."""

    def __init__(self, held: Snapshots[Mapping[str, TimeInterval]]) -> None:
        """`held`: a tenant's time intervals by name."""
        self._held = held

    async def __call__(self, tenant: TenantId, items: Sequence[Item], now_ms: int) -> list[Mute | None]:
        """One verdict for each. Raises StoreUnavailable."""
        if not any(item.mute_times or item.active_times for item in items):
            return [None] * len(items)
        held = await self._held.of(tenant)
        known: dict[tuple[tuple[str, ...], tuple[str, ...]], Mute | None] = {}
        for item in items:
            times = item.mute_times, item.active_times
            if times not in known:
                if known:
                    await asyncio.sleep(0)  # an interval of a hundred parts takes milliseconds
                known[times] = inactive(held, *times, now_ms)
        return [known[item.mute_times, item.active_times] for item in items]

    async def of_the_past(self, tenant: TenantId) -> Judge:
        """The same by what the tenant has now, at any time. Raises StoreUnavailable."""
        known = lru_cache(_REMEMBERED)(partial(inactive, await self._held.of(tenant)))
        return lambda item, at_ms: known(item.mute_times, item.active_times, at_ms)


def inactive(
    held: Mapping[str, TimeInterval], mute_times: Sequence[str], active_times: Sequence[str], at_ms: int
) -> Mute | None:
    """Whether a route with these times tells nobody then. An interval that is not there mutes nobody."""
    muting = next((name for name in mute_times if name in held and contains(held[name], at_ms)), None)
    if muting is None and not _outside(held, active_times, at_ms):
        return None
    involved = [held[name] for name in (*mute_times, *active_times) if name in held]
    until = next((at for at in changes(involved, at_ms) if not _muted(held, mute_times, active_times, at)), None)
    by = muting if muting is not None else ", ".join(active_times)
    said = f"its route is muted in {by!r}" if muting is not None else f"its route is active only in {by!r}"
    when = "" if until is None else f", until {iso(until)}"
    return Mute(Why.INACTIVE, by, f"{said}{when}", until)


def _muted(
    held: Mapping[str, TimeInterval], mute_times: Sequence[str], active_times: Sequence[str], at_ms: int
) -> bool:
    inside = any(name in held and contains(held[name], at_ms) for name in mute_times)
    return inside or _outside(held, active_times, at_ms)


def _outside(held: Mapping[str, TimeInterval], active_times: Sequence[str], at_ms: int) -> bool:
    return bool(active_times) and not any(name not in held or contains(held[name], at_ms) for name in active_times)
