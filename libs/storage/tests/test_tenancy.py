"""No query without a tenant: whatever a filter, an update or a pipeline says, it stays with one tenant's documents."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_storage import mongo
from vigie_storage.collections import ALL, Collection, Index, TenantIn
from vigie_storage.tenancy import TenantCollection, TenantView, shared

ACME, RIVAL = TenantId("acme"), TenantId("rival")
THINGS = Collection("things", TenantIn.FIELD, (Index(("tenant", "n")),))

values = st.sampled_from(["acme", "rival", 1, 2, None])
conditions = st.one_of(
    values, st.fixed_dictionaries({"$ne": values}), st.fixed_dictionaries({"$exists": st.booleans()})
)
simple = st.dictionaries(st.sampled_from(["tenant", "n", "_id", "kind"]), conditions, max_size=3)
filters = st.recursive(
    simple,
    lambda inner: st.dictionaries(
        st.sampled_from(["$or", "$and", "$nor"]), st.lists(inner, min_size=1, max_size=3), max_size=2
    ),
    max_leaves=6,
)


@pytest.fixture
async def store(database: Any) -> TenantCollection:
    made = TenantCollection(database, THINGS)
    await made.ensure()
    for tenant in (ACME, RIVAL):
        for n in (1, 2, 3):
            await made.of(tenant).insert({"_id": f"{tenant}-{n}", "n": n})
    return made


@given(query=filters)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_no_filter_reaches_another_tenants_documents(store: TenantCollection, query: Mapping[str, Any]) -> None:
    mine = store.of(ACME)
    found = await mine.first(query, "_id", 100)
    assert {document["tenant"] for document in found} <= {ACME}
    assert await mine.count(query, 100) == len(found)
    assert ((await mine.one(query)) is None) == (not found)


async def test_changes_and_removals_touch_only_ones_own(store: TenantCollection) -> None:
    mine = store.of(ACME)
    assert await mine.change({"_id": "rival-1"}, {"$set": {"n": 9}}) is None
    assert await mine.change({"$or": [{"tenant": "rival"}]}, {"$set": {"n": 9}}) is None
    assert await mine.remove({"_id": "rival-1"}) is None
    assert (await mine.change({"_id": "acme-1"}, {"$set": {"n": 9}}) or {})["n"] == 9
    assert (await mine.remove({"_id": "acme-1"}) or {})["_id"] == "acme-1"
    await mine.change_all({"$or": [{"tenant": "rival"}, {}]}, {"$set": {"n": 9}})
    assert await mine.count({"n": 9}, 10) == 2
    assert await store.of(RIVAL).count({"n": 9}, 10) == 0
    await mine.remove_all({"$or": [{"tenant": "rival"}, {}]})
    assert await mine.count({}, 10) == 0
    assert await store.of(RIVAL).count({}, 10) == 3


@pytest.mark.parametrize(
    "update",
    [
        {"$set": {"tenant": "rival"}},
        {"$unset": {"tenant": ""}},
        {"$rename": {"kind": "tenant"}},
        {"$rename": {"tenant": "kind"}},
        {"$set": {"tenant.x": 1}},
        {"tenant": "rival"},
        {"n": 1},
    ],
)
async def test_a_document_keeps_its_tenant(store: TenantCollection, update: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match="tenant"):
        await store.of(ACME).change({"_id": "acme-1"}, update)
    with pytest.raises(ValueError, match="tenant"):
        await store.of(ACME).change_all({}, update)


async def test_a_document_of_another_tenant_is_not_written(store: TenantCollection) -> None:
    with pytest.raises(ValueError, match="another tenant"):
        await store.of(ACME).insert({"_id": "x", "tenant": "rival"})


async def test_a_pipeline_sees_ones_own_documents_and_cannot_leave_them(store: TenantCollection) -> None:
    mine = store.of(ACME)
    assert [d async for d in mine.aggregate([{"$group": {"_id": "$tenant", "n": {"$sum": "$n"}}}])] == [
        {"_id": "acme", "n": 6}
    ]
    lookup = {"$lookup": {"from": "things", "localField": "n", "foreignField": "n", "as": "others"}}
    leaving: list[list[Mapping[str, Any]]] = [
        [lookup],
        [{"$facet": {"a": [lookup]}}],
        [{"$unionWith": "things"}],
        [{"$out": "stolen"}],
        [{"$merge": {"into": "things"}}],
    ]
    for pipeline in leaving:
        with pytest.raises(ValueError, match="leave"):
            [d async for d in mine.aggregate(pipeline)]


@pytest.mark.parametrize("tenant", ["", "a b", "_other", "$ne", "x" * 65])
async def test_a_text_that_is_no_tenant_opens_nothing(database: Any, tenant: str) -> None:
    with pytest.raises(ValueError, match="no tenant"):
        TenantCollection(database, THINGS).of(TenantId(tenant))
    assert TenantCollection(database, THINGS).of(PLATFORM).tenant == PLATFORM


async def test_a_question_across_tenants_needs_a_reason_of_the_list(database: Any) -> None:
    with pytest.raises(TypeError):
        TenantCollection(database, THINGS).across("because")  # type: ignore[arg-type]


async def test_a_query_is_bounded(store: TenantCollection) -> None:
    for limit in (0, 1_002):
        with pytest.raises(ValueError, match="documents"):
            await store.of(ACME).first({}, "_id", limit)


def test_a_store_has_no_query_of_its_own() -> None:
    public = {name for name in vars(TenantCollection) if not name.startswith("_")}
    assert public == {"about", "of", "across", "ensure"}
    assert not {name for name in vars(TenantView) if not name.startswith("_")} - {
        "tenant", "one", "find", "first", "count", "insert", "change", "change_all", "remove", "remove_all",
        "aggregate",
    }  # fmt: skip


async def test_a_tenant_may_be_the_id_of_a_document_or_a_part_of_it(database: Any) -> None:
    by_id = TenantCollection(database, Collection("by_id", TenantIn.ID))
    part = TenantCollection(database, Collection("part", TenantIn.ID_FIELD))
    for tenant in (ACME, RIVAL):
        await by_id.of(tenant).insert({"n": 1})
        await part.of(tenant).insert({"_id": {"t": tenant, "p": 0}})
        with pytest.raises(ValueError, match="another tenant"):
            await part.of(tenant).insert({"_id": {"t": "other", "p": 1}})
    assert await by_id.of(ACME).one({}) == {"_id": "acme", "n": 1}
    assert await by_id.of(ACME).one({"_id": "rival"}) is None
    assert [one["_id"] async for one in part.of(ACME).find({}, None, batch_size=10, max_time_ms=1_000)] == [
        {"t": "acme", "p": 0}
    ]
    with pytest.raises(ValueError, match="tenant"):
        await by_id.of(ACME).change({}, {"$set": {"_id": "rival"}})


async def test_what_belongs_to_a_tenant_is_not_opened_as_shared_nor_the_other_way(database: Any) -> None:
    with pytest.raises(TypeError, match="belong to tenants"):
        shared(database, THINGS)
    with pytest.raises(TypeError, match="no tenant"):
        TenantCollection(database, Collection("everybodys", None))


def test_every_collection_has_one_name_and_unique_indexes_are_led_by_the_tenant() -> None:
    assert len({about.name for about in ALL}) == len(ALL)
    # The shared catalogue of tenants aside, a unique index must not tell one tenant what another has.
    unique = [index for about in ALL if about.tenant is TenantIn.FIELD for index in about.indexes if index.unique]
    assert {index.keys[0] for index in unique} == {"tenant"}


async def test_every_collection_can_be_made_again_and_again(database: Any) -> None:
    for _ in range(2):
        await mongo.ensure(database, *ALL, life=timedelta(days=1))
    assert set(await database.list_collection_names()) == {about.name for about in ALL}
