"""Tenants that are remembered: active or not, at what cost, and while MongoDB is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest
from vigie_contracts.tenants import TenantId
from vigie_identity import credential_cache as module
from vigie_identity.credential_cache import MAX_STALE_S, TTL_S
from vigie_identity.errors import NotFound, TenantInactive
from vigie_identity.known_tenants import KnownTenants
from vigie_identity.tenants import Plan, Status
from vigie_runtime.errors import StoreUnavailable

from .conftest import ACME, BY, RIVAL, World


@pytest.fixture
async def known(world: World) -> AsyncIterator[KnownTenants]:
    made = KnownTenants(world.tenants, world.clock, lambda: None)
    yield made
    await made.close()


async def test_a_tenant_is_known_with_its_plan_and_a_change_holds_within_the_stated_time(
    known: KnownTenants, world: World
) -> None:
    assert known.at_once(ACME) is None
    assert await known.require(ACME) == await world.tenants.get(ACME) == known.at_once(ACME)
    await world.tenants.change(ACME, BY, plan=asdict(Plan(samples_per_s=5)))
    world.clock.advance(TTL_S)
    assert known.at_once(ACME) is None
    assert (await known.require(ACME)).plan.samples_per_s == 5
    await world.tenants.change(ACME, BY, status=Status.INACTIVE)
    world.clock.advance(TTL_S)
    with pytest.raises(TenantInactive):
        await known.require(ACME)
    with pytest.raises(TenantInactive):
        known.at_once(ACME)
    await world.tenants.change(ACME, BY, status=Status.ACTIVE)
    world.clock.advance(TTL_S)
    assert (await known.require(ACME)).active


async def test_a_tenant_that_does_not_exist_is_asked_for_once_in_a_while(
    known: KnownTenants, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count(world, monkeypatch)
    for tenant in ("nobody", "_platform", "", "no such!", "x" * 65, "nobody"):
        with pytest.raises(NotFound) as caught:
            await known.require(tenant)
        assert caught.value.problem("/") == NotFound("tenant").problem("/")
    assert asked == ["nobody"]
    with pytest.raises(NotFound):
        known.at_once("nobody")


async def test_a_uuid_is_one_tenant_in_either_case(known: KnownTenants, world: World) -> None:
    tenant = TenantId("550e8400-e29b-41d4-a716-446655440000")
    await world.tenants.create(tenant, "node", BY)
    assert (await known.require(tenant.upper())).id == tenant


async def test_one_look_up_serves_all_who_ask_at_once(
    known: KnownTenants, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count(world, monkeypatch)
    assert len({tenant.id for tenant in await asyncio.gather(*(known.require(ACME) for _ in range(50)))}) == 1
    assert asked == [ACME]


async def test_unknown_tenants_are_remembered_within_bounds(
    known: KnownTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REJECTED", 5)
    await known.require(ACME)
    for i in range(10):
        with pytest.raises(NotFound):
            await known.require(f"nobody-{i}")
    assert len(known._cache._rejected) == 5
    assert known.at_once(ACME) is not None


async def test_known_tenants_stay_known_for_a_while_when_the_store_is_away(
    known: KnownTenants, world: World, mongo_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigie_storage.mongo.TIMEOUT_S", 0.5)
    await world.tenants.change(RIVAL, BY, status=Status.INACTIVE)
    await known.require(ACME)
    with pytest.raises(TenantInactive):
        await known.require(RIVAL)
    data = {"failCommands": ["find"], "closeConnection": True, "appName": "vigie"}
    try:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
        world.clock.advance(TTL_S)
        assert (await known.require(ACME)).id == ACME
        with pytest.raises(TenantInactive):
            await known.require(RIVAL)
        with pytest.raises(StoreUnavailable):
            await known.require("nobody")
        world.clock.advance(MAX_STALE_S - TTL_S)
        with pytest.raises(StoreUnavailable):
            await known.require(ACME)
    finally:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def test_what_was_known_is_remembered_without_asking(
    known: KnownTenants, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known.remembered(ACME) is None
    await world.tenants.change(RIVAL, BY, status=Status.INACTIVE)
    await known.require(ACME)
    with pytest.raises(TenantInactive):
        await known.require(RIVAL)
    asked = count(world, monkeypatch)
    world.clock.advance(MAX_STALE_S - 1)
    for tenant in (ACME, RIVAL):
        remembered = known.remembered(tenant)
        assert remembered is not None
        assert remembered.active is (tenant == ACME)
    world.clock.advance(1)
    assert known.remembered(ACME) is None
    assert asked == []


async def test_a_known_tenant_costs_about_a_microsecond(known: KnownTenants) -> None:
    await known.require(ACME)
    best = float("inf")
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(1_000):
            known.at_once(ACME)
        best = min(best, (time.perf_counter() - begin) / 1_000)
    assert best < 10e-6, f"{best * 1e6:.2f} us"


def count(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tenants that the store is asked for from now on."""
    asked: list[str] = []
    get = world.tenants.get

    async def counting(tenant: Any) -> Any:
        asked.append(tenant)
        return await get(tenant)

    monkeypatch.setattr(world.tenants, "get", counting)
    return asked
