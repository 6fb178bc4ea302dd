"""No query without a tenant: whatever a filter, an update or a pipeline says, it stays with one tenant's documents."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity import names
from vigie_runtime.clients import Database
from vigie_storage.scoped import Scoped, Store

ACME, RIVAL = TenantId("acme"), TenantId("rival")
PACKAGE = Path(names.__file__).parent

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
async def store(db: Database) -> Store:
    made = Store(db, "things")
    await made.ensure([("n", 1)])
    for tenant in (ACME, RIVAL):
        for n in (1, 2, 3):
            await made.of(tenant).insert({"_id": f"{tenant}-{n}", "n": n})
    return made


@given(query=filters)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_no_filter_reaches_another_tenants_documents(store: Store, query: Mapping[str, Any]) -> None:
    mine = store.of(ACME)
    found = await mine.first(query, "_id", 100)
    assert {document["tenant"] for document in found} <= {ACME}
    assert await mine.count(query, 100) == len(found)
    assert ((await mine.one(query)) is None) == (not found)


async def test_changes_and_removals_touch_only_ones_own(store: Store) -> None:
    mine = store.of(ACME)
    assert await mine.change({"_id": "rival-1"}, {"$set": {"n": 9}}) is None
    assert await mine.change({"$or": [{"tenant": "rival"}]}, {"$set": {"n": 9}}) is None
    assert await mine.remove({"_id": "rival-1"}) is None
    assert (await mine.change({"_id": "acme-1"}, {"$set": {"n": 9}}) or {})["n"] == 9
    assert (await mine.remove({"_id": "acme-1"}) or {})["_id"] == "acme-1"
    await mine.change_all({"$or": [{"tenant": "rival"}, {}]}, {"$set": {"n": 9}})
    assert await mine.count({"n": 9}, 10) == 2
    assert await store.of(RIVAL).count({"n": 9}, 10) == 0


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
async def test_a_document_keeps_its_tenant(store: Store, update: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match="tenant"):
        await store.of(ACME).change({"_id": "acme-1"}, update)
    with pytest.raises(ValueError, match="tenant"):
        await store.of(ACME).change_all({}, update)


async def test_a_document_of_another_tenant_is_not_written(store: Store) -> None:
    with pytest.raises(ValueError, match="another tenant"):
        await store.of(ACME).insert({"_id": "x", "tenant": "rival"})


async def test_a_pipeline_sees_ones_own_documents_and_cannot_leave_them(store: Store) -> None:
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
async def test_a_text_that_is_no_tenant_opens_nothing(db: Database, tenant: str) -> None:
    with pytest.raises(ValueError, match="no tenant"):
        Store(db, "things").of(TenantId(tenant))
    assert Store(db, "things").of(PLATFORM).tenant == PLATFORM


async def test_a_question_across_tenants_needs_a_reason_of_the_list(db: Database) -> None:
    with pytest.raises(TypeError):
        Store(db, "things").across("because")  # type: ignore[arg-type]


async def test_a_query_is_bounded(store: Store) -> None:
    for limit in (0, 1_002):
        with pytest.raises(ValueError, match="documents"):
            await store.of(ACME).first({}, "_id", limit)


def test_a_store_has_no_query_of_its_own() -> None:
    public = {name for name in vars(Store) if not name.startswith("_")}
    assert public == {"name", "of", "across", "ensure"}
    assert not {name for name in vars(Scoped) if not name.startswith("_")} - {
        "tenant", "one", "first", "count", "insert", "change", "change_all", "remove", "aggregate",
    }  # fmt: skip


COLLECTIONS_WITHOUT_A_TENANT = {"tenants.py": "a document is a tenant"}


def test_only_the_scoped_store_opens_collections() -> None:
    opened = {
        path.name
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"db", "self._db", "database"}
    }
    assert opened - {"scoped.py"} == set(COLLECTIONS_WITHOUT_A_TENANT)
