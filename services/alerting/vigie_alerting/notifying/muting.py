"""Muting: what fires and must not be told now. It is held, and told when that ends, if it still fires then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId

from vigie_alerting.notifying.item import Item


@dataclass(frozen=True, slots=True)
class Mute:
    """Why an item is not told now."""

    why: Why
    """SILENCED, INHIBITED, MAINTENANCE or INACTIVE."""
    by: str
    """The id or name of the silence, inhibition, window or time interval."""
    detail: str
    """One sentence: `silenced by anna until 2026-11-30T12:00:00Z: deploy`."""
    until_ms: int | None = None
    """When this ends, as far as that is known now; Unix milliseconds."""


Muter: TypeAlias = Callable[[TenantId, Sequence[Item], int], Awaitable[list[Mute | None]]]
"""Judges all items of one dispatch or flush, of one tenant, at that time (Unix milliseconds): one verdict for each, in
their order. Only steps that fire are asked about. Raises StoreUnavailable: then it is done again."""

Judge: TypeAlias = Callable[[Item, int], Mute | None]
"""As a Muter, by what one tenant has at one moment: for a thread, and for times that are not now."""


async def muted(muters: Sequence[Muter], tenant: TenantId, items: Sequence[Item], now_ms: int) -> list[Mute | None]:
    """The first verdict on each item that mutes it, in the order of `muters`; each of them is asked once, about those
    that none before it mutes. Raises StoreUnavailable."""
    verdicts: list[Mute | None] = [None] * len(items)
    open_ = list(range(len(items)))
    for muter in muters:
        if not open_:
            break
        for index, verdict in zip(open_, await muter(tenant, [items[index] for index in open_], now_ms), strict=True):
            verdicts[index] = verdict
        open_ = [index for index in open_ if verdicts[index] is None]
    return verdicts
