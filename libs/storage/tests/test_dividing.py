"""Partitions are divided: each part is what the whole was, and a step that is done again changes nothing more."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.asynchronous.database import AsyncDatabase
from vigie_contracts import latest
from vigie_contracts.latest import Latest
from vigie_contracts.series import Kind, to_signed
from vigie_contracts.tiers import FINE, TIERS
from vigie_query.series import Series
from vigie_storage import collections, dividing
from vigie_storage.dividing import Begun, Dividing, Division
from vigie_storage.latest import narrowed
from vigie_storage.partitions import document as checkpoints
from vigie_storage.partitions.checkpoint import Checkpoint, Log, Position
from vigie_storage.partitions.document import FirstUse, key_document
from vigie_storage.series import document as series
from vigie_storage.unfinished import DivisionUnfinished, refuse_unfinished
from vigie_storage.windows.document import window_id

Db = AsyncDatabase[dict[str, Any]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = b"k" * 16


@given(st.integers(1, 64), st.integers(2, 64), st.integers(0, (1 << 64) - 1))
def test_a_series_stays_in_the_family_of_its_partition(before: int, factor: int, fingerprint: int) -> None:
    division = Division(before, before * factor)
    home, now = fingerprint % before, fingerprint % division.after
    assert now == home or now in division.parts(home)
    assert sorted([one for p in range(before) for one in (p, *division.parts(p))]) == list(range(division.after))


@pytest.mark.parametrize(("before", "after"), [(12, 12), (12, 6), (12, 18), (12, 0), (2048, 6144)])
def test_what_is_no_division_is_refused_with_what_would_be_one(before: int, after: int) -> None:
    with pytest.raises(ValueError, match=f"cannot become {after}.*Possible are {2 * before}"):
        Division(before, after)


async def test_each_part_knows_what_the_whole_knew_however_often_a_step_is_done(database: Db) -> None:
    division = Division(2, 6)
    await _fill(database)
    before = {name: await _all(database, name) for name in ("requests", "partitions", windows(FINE))}
    for stop_after in (*range(1, 7), None, None):  # killed behind each step in turn, then done, and done once more
        await _divide(database, division, stop_after)
    keys = await _all(database, "requests")
    assert {one["p"] for one in keys} == {0, 2, 4}, "what partition 1 had not counted its parts count"
    assert [keys[at]["offset"] for at in keys if at["p"] != 0] == [-1, -1], "before the first record of a part"
    for name, documents in before.items():
        now = await _all(database, name)
        assert documents.items() <= now.items(), "what was there stays as it was"
        assert len(now) == 3 * len(documents)
    for part in (2, 4):
        [checkpoint] = [checkpoints.parse(one) async for one in database.partitions.find({"_id": f"topic/{part}"})]
        assert (set(checkpoint.positions.values()), checkpoint.epoch) == ({Position(0)}, 3)
        assert checkpoint.whole_since == {"1h": 7_200_000}
    homes = {one["ordinal"]: one["partition"] async for one in database.series.find({"tenant": "acme"})}
    assert homes == {0: 0, 1: 2, 2: 4, 3: 0}
    tenant = await database.tenant_series.find_one({"_id": "acme"})
    assert tenant is not None
    assert (tenant["count"], tenant["next"]) == (4, {str(part): 4 for part in (0, 2, 4)})
    slots = {at["p"]: latest.unpack(one["data"]).slots.tolist() for at, one in (await _all(database, "latest")).items()}
    assert slots == {0: [0, 3], 2: [1], 4: [2]}
    evaluated = {one["_id"]: one["evaluated"] async for one in database.alert_checkpoints.find()}
    assert set(evaluated) == {"rules/0", "rules/2", "rules/4"}
    assert len(set(evaluated.values())) == 1


async def test_no_service_starts_meanwhile(database: Db) -> None:
    await dividing.begin(database, Division(12, 24), NOW)
    with pytest.raises(DivisionUnfinished, match=r"into 24 partitions, since 2026-03-01 12:00:00 UTC.*partitions 24"):
        await refuse_unfinished(database)
    assert await dividing.begun(database) == Begun(Division(12, 24), checked=False)
    await dividing.check(database)
    assert await dividing.begun(database) == Begun(Division(12, 24), checked=True)
    await dividing.end(database)
    await refuse_unfinished(database)
    assert await dividing.begun(database) is None


def test_nothing_is_left_of_latest_values_that_are_nobodys() -> None:
    assert narrowed(_latest(1, 2), [3]) is None
    assert narrowed(_latest(1, 2, 3), [1, 3, 200]) == _latest(1, 3)


class _Frozen(dict[str, Any]):
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


async def _all(database: Db, name: str) -> dict[Any, dict[str, Any]]:
    """By `_id`; where that is a document, by its partition and the rest of it."""
    found: dict[Any, dict[str, Any]] = {}
    async for one in database[name].find():
        id_ = one.pop("_id")
        found[_Frozen(id_) if isinstance(id_, dict) else id_] = one
    return found


def windows(tier: Any) -> str:
    return collections.windows(tier).name


def _latest(*slots: int) -> bytes:
    n = len(slots)
    columns = Latest(
        np.array(slots, np.uint8), np.array(slots, np.int64), np.array(slots, np.float64),
        np.array(slots, np.float64), np.ones(n, np.int64),
    )  # fmt: skip
    return latest.pack(columns, [0, n])[0]


async def _fill(database: Db) -> None:
    """A partition 0 with four series, of which two are to move, and a partition 1 with a key less."""
    fingerprints = (0, 2, 4, 6)
    await database.series.insert_many(
        [series.document("acme", Series(fp, f"m{at}", Kind.GAUGE, (), 0, at, 0)) for at, fp in enumerate(fingerprints)]
    )
    assert to_signed(6) == 6
    await database.tenant_series.insert_one({"_id": "acme", "count": 4, "next": {"0": 4}})
    for tier in TIERS:
        await database[windows(tier)].insert_one({"_id": window_id("acme", 0, 0, 0), "expires": NOW, "x": b"columns"})
    await database.latest.insert_one({"_id": {"t": "acme", "p": 0, "c": 0}, "p": 0, "data": _latest(0, 1, 2, 3)})
    await database.requests.insert_one(key_document(0, KEY, (FirstUse(3, 70, 5),), NOW))
    positions = {tier.name: Position(90) for tier in TIERS}
    counted = Checkpoint(Log("cluster", "id"), 3, positions, {"1m": None, "1h": None}, 2, {"1h": 7_200_000}, {"1m": 4})
    await database.partitions.insert_one({"_id": "topic/0", **checkpoints.fields(counted), "updated": NOW})
    await database.alert_checkpoints.insert_one({"_id": "rules/0", "evaluated": NOW})


async def _divide(database: Db, division: Division, stop_after: int | None) -> None:
    steps = Dividing(database, division)
    every = [
        steps.request_keys, lambda: steps.checkpoints("topic"), lambda: steps.evaluated("rules"), steps.ordinals,
        steps.move_series, steps.narrow_latest,
    ]  # fmt: skip
    told = [pair async for pair in steps.windows()]
    assert told == [(4, 4)]
    for step in every[:stop_after]:
        await step()
