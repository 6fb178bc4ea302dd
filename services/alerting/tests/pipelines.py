"""Pipelines for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vigie_alerting.notifying.muting import Muter
from vigie_alerting.notifying.pipeline import Begin, Pipeline, Stores
from vigie_alerting.routing.routebook import NO_ROUTES
from vigie_alerting.routing.tree import Routes
from vigie_alerting.snapshots import Snapshots
from vigie_contracts.alerts import Channel
from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.document import Address


class Nobody:
    """No channels at all."""

    async def addresses(self, _tenant: TenantId, _channels: Sequence[Channel]) -> list[Address]:
        return []


def pipeline(
    stores: Stores | None = None, channels: Any = None, *,
    routes: Routes = NO_ROUTES, muters: Sequence[Muter] = (), begin: Begin | None = None,
) -> Pipeline:  # fmt: skip
    """Without `stores` no groups are looked for."""

    async def load(_: TenantId) -> Routes:
        return routes

    async def known(tenant: TenantId) -> bool:
        return stores is not None and await stores.groups.any(tenant)

    held = Snapshots(load, "routes"), Snapshots(known, "groups")
    return Pipeline(stores, channels or Nobody(), *held, muters=muters, begin=begin)  # type: ignore[arg-type]
