"""The catalogue on a real MongoDB: every series one home, whoever registers it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from bson import Int64
from vigie_contracts.series import Kind, SeriesKey, series_key, to_signed
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryLimitExceeded
from vigie_query.matchers import parse
from vigie_runtime import clients
from vigie_runtime.errors import Retryable
from vigie_storage.series import catalogue as catalogue_module
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.series.filter import Filter
from vigie_storage.series.writer import RefusalReason, Refused, Registered, SeriesWriter

PARTITIONS = 4


def keys(n: int, tenant: str = "acme", start: int = 0) -> list[SeriesKey]:
    return [series_key(tenant, "requests", Kind.COUNTER, {"i": i}) for i in range(start, start + n)]


@pytest.fixture
async def catalogue(database: Any) -> SeriesWriter:
    async def limit_of(tenant: str) -> int:
        if tenant == "unreadable":
            raise Retryable("its plan cannot be read")
        return 10 if tenant == "small" else 10_000

    made = SeriesWriter(database, PARTITIONS, limit_of)
    await made.ensure_indexes()
    return made


async def placements(database: Any, tenant: str = "acme") -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    async for series in database.series.find({"tenant": tenant}):
        found.setdefault(series["partition"], []).append(series["ordinal"])
    return found


async def test_new_series_get_dense_ordinals_per_partition(catalogue: SeriesWriter, database: Any) -> None:
    new = keys(2_500)
    answers = await catalogue.register(new)
    assert [answer.fingerprint for answer in answers] == [key.fingerprint for key in new]
    assert all(isinstance(answer, Registered) and answer.created for answer in answers)
    for ordinals in (await placements(database)).values():
        assert sorted(ordinals) == list(range(len(ordinals)))
    assert (await database.tenant_series.find_one({"_id": "acme"}))["count"] == 2_500


async def test_series_of_many_names_are_found_together(catalogue: SeriesWriter, database: Any) -> None:
    made = [series_key("acme", f"m{i}", Kind.GAUGE, {"host": host}) for i in range(700) for host in "abc"]
    await catalogue.register([*made, *keys(1, "other")])
    wanted = {"requests": (), **{f"m{i}": () for i in range(600)}, **{f"m{i}": ("host=b",) for i in range(600, 700)}}
    found = [one async for some in SeriesCatalogue(database).named(TenantId("acme"), wanted) for one in some]
    assert sorted((one.name, one.labels, one.fingerprint) for one in found) == sorted(
        (key.name, key.labels, key.fingerprint)
        for key in made
        if int(key.name[1:]) < 600 or key.labels == (("host", "b"),)
    )


async def test_registering_again_finds_the_same_home(catalogue: SeriesWriter) -> None:
    first = await catalogue.register(keys(20))
    again = await catalogue.register([*keys(20), *keys(1, start=3)])
    assert [(a.partition, a.ordinal) for a in again[:20]] == [(a.partition, a.ordinal) for a in first]  # type: ignore[union-attr]
    assert again[20].ordinal == first[3].ordinal  # type: ignore[union-attr]
    assert not any(isinstance(a, Registered) and a.created for a in again)


async def test_many_gateways_at_once_agree(database: Any) -> None:
    catalogues = [SeriesWriter(database, PARTITIONS) for _ in range(6)]
    await asyncio.gather(*(each.ensure_indexes() for each in catalogues))
    answers = await asyncio.gather(*(each.register(keys(300, start=50 * i)) for i, each in enumerate(catalogues)))
    seen: dict[int, tuple[int, int]] = {}
    for answer in (a for many in answers for a in many):
        assert isinstance(answer, Registered)
        home = (answer.partition, answer.ordinal)
        assert seen.setdefault(answer.fingerprint, home) == home
    assert len(seen) == 550
    assert len(set(seen.values())) == 550
    assert (await database.tenant_series.find_one({"_id": "acme"}))["count"] == 550
    for ordinals in (await placements(database)).values():
        assert sorted(ordinals) == list(range(len(ordinals)))


async def test_the_limit_refuses_the_surplus_and_nothing_else(catalogue: SeriesWriter) -> None:
    await catalogue.register(keys(4, "small"))
    mixed = [*keys(9, "small", start=2), *keys(2, "large")]  # 2 known, 6 fit, 1 too many, another tenant
    answers = await catalogue.register(mixed)
    refused = [i for i, answer in enumerate(answers) if isinstance(answer, Refused)]
    assert refused == [8]
    assert answers[8].reason is RefusalReason.LIMIT  # type: ignore[union-attr]
    assert isinstance((await catalogue.register(keys(1, "small", start=99)))[0], Refused)
    assert isinstance((await catalogue.register(keys(1, "small")))[0], Registered)


async def test_nothing_is_registered_for_a_tenant_whose_limit_is_not_known(
    catalogue: SeriesWriter, database: Any
) -> None:
    with pytest.raises(Retryable):
        await catalogue.register(keys(1, "unreadable"))
    assert await database.series.count_documents({}) == 0


async def test_a_collision_is_refused_and_its_neighbours_are_not(catalogue: SeriesWriter, database: Any) -> None:
    victim, neighbour = keys(2)
    await database.series.insert_one(
        {"_id": Int64(to_signed(victim.fingerprint)), "tenant": "rival", "name": "x", "type": "gauge",
         "temporality": None, "labels": [], "lv": [], "partition": 0, "ordinal": 0,
         "created": datetime.now(UTC)}
    )  # fmt: skip
    answers = await catalogue.register([victim, neighbour])
    assert isinstance(answers[0], Refused)
    assert answers[0].reason is RefusalReason.COLLISION
    assert isinstance(answers[1], Registered)
    assert "rival" not in answers[0].detail, "one tenant learnt of another"


async def test_homes_are_columns_by_tenant_partition_and_kind(
    catalogue: SeriesWriter, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_module, "LOOKUP_SERIES", 7)
    new = [
        series_key(tenant, "m", kind, {"i": i}) for tenant in ("acme", "beta") for kind in Kind for i in range(6)
    ]  # fmt: skip
    registered = await catalogue.register(new)
    expected = {
        key.fingerprint: (key.tenant, key.kind, answer.partition, answer.ordinal)  # type: ignore[union-attr]
        for key, answer in zip(new, registered, strict=True)
    }
    found = await SeriesCatalogue(database).placements(np.array([*expected, 12345], np.uint64))
    listed = [
        (fingerprint, (placements.tenant, placements.kind, placements.partition, ordinal))
        for placements in found
        for fingerprint, ordinal in zip(placements.fingerprints.tolist(), placements.ordinals.tolist(), strict=True)
    ]
    assert len(listed) == len(expected), "a series twice, or one that is unknown"
    assert dict(listed) == expected
    assert await SeriesCatalogue(database).placements(np.array([], np.uint64)) == []


async def test_write_conflicts_are_retried(
    catalogue: SeriesWriter, mongo_client: clients.MongoClient, database: Any
) -> None:
    fail = {"configureFailPoint": "failCommand", "mode": {"times": 3}}
    data = {"failCommands": ["insert"], "errorCode": 112, "errorLabels": ["TransientTransactionError"]}
    try:
        await mongo_client.admin.command({**fail, "data": data})
        answers = await catalogue.register(keys(5))
    finally:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    assert all(isinstance(answer, Registered) for answer in answers)
    assert (await database.tenant_series.find_one({"_id": "acme"}))["count"] == 5


async def test_business_metrics_are_found_by_an_index_of_their_own(catalogue: SeriesWriter, database: Any) -> None:
    mine, others = keys(30), [series_key(name, "seats", Kind.GAUGE, {}) for name in ("acme", "other")]
    await catalogue.register([*mine, *others])
    for key in (mine[0], mine[1], *others):
        await catalogue.mark_business([key.fingerprint])
    await catalogue.mark_business([mine[0].fingerprint])
    reader = SeriesCatalogue(database)
    assert await reader.business(TenantId("acme"), 10) == [("requests", Kind.COUNTER), ("seats", Kind.GAUGE)]
    assert await reader.business(TenantId("acme"), 1) == [("requests", Kind.COUNTER)]
    again = await catalogue.register(mine)  # what a series is has not changed
    assert all(isinstance(answer, Registered) and not answer.created for answer in again)
    (plan,) = [
        stage["indexName"]
        for stage in _stages(await database.series.find({"$and": [{"tenant": "acme"}, {"business": True}]}).explain())
        if stage["stage"] == "IXSCAN"
    ]
    assert plan == "tenant_1_business_1"


def _stages(explained: Any) -> Iterator[Any]:
    stage = explained["queryPlanner"]["winningPlan"]
    stage = stage.get("queryPlan", stage)
    while stage:
        yield stage
        stage = stage.get("inputStage")


async def test_as_many_series_are_found_as_may_be_selected(
    catalogue: SeriesWriter, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_module, "SCAN_LIMIT", 5)
    await catalogue.register(keys(12))
    reader, wanted = SeriesCatalogue(database), Filter(("requests",), matchers=parse(["i=~.*"]))
    assert len(await reader.find(TenantId("acme"), wanted, 12, "it")) == 12
    with pytest.raises(QueryLimitExceeded, match="it selects more than 11 series"):
        await reader.find(TenantId("acme"), wanted, 11, "it")
