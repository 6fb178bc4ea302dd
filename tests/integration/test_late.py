"""Late samples land in the window of their own timestamp, as far back as the tiers remember."""

import time
from datetime import UTC, datetime

import httpx2 as httpx
import pytest
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tiers import FINE, HOUR, MINUTE, TIERS, Tier
from vigie_storage.collections import windows

from tests.chaos import stored
from tests.chaos.ledger import Counts, Ledger, Sample
from tests.chaos.load import batch, metric
from tests.chaos.run import caught_up
from tests.integration.world import DEADLINE_S, World

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

SECOND, MINUTES, HOURS, DAYS = 1_000, 60_000, 3_600_000, 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def remembered(ledger: Ledger, tiers: tuple[Tier, ...]) -> Counts:
    """What is expected of a ledger whose samples only these tiers still keep."""
    expected = ledger.expected()
    for tier in TIERS:
        if tier not in tiers:
            expected.windows[tier.name] = {}
    return expected


@pytest.mark.parametrize("age", [30 * SECOND, 5 * MINUTES, 3 * HOURS, 47 * HOURS], ids=str)
async def test_late_sample_corrects_the_window_it_belongs_to(calm: World, age: int) -> None:
    ledger, now = calm.ledger("late"), now_ms()
    keys = [
        series_key(ledger.tenant, ledger.prefix, kind, {"k": kind.name})
        for kind in (Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM)
    ]
    async with calm.sender(ledger) as sender:
        await sender.deliver(batch([Sample(key, now, 5) for key in keys]))
        await sender.deliver(batch([Sample(key, now - age, 3) for key in keys]))
        await calm.exact(ledger)
        for value in (9, -2):  # twice more into the window that is committed already
            await sender.deliver(batch([Sample(key, now - age + 1, abs(value)) for key in keys]))
            await calm.exact(ledger)


STILL_KEEP = {3: (MINUTE, HOUR), 29: (MINUTE, HOUR), 100: (HOUR,), 399: (HOUR,)}


@pytest.mark.parametrize("days", STILL_KEEP)
async def test_sample_older_than_a_tier_is_counted_by_the_coarser_ones(calm: World, days: int) -> None:
    ledger, now, tiers = calm.ledger("old"), now_ms() - days * DAYS, STILL_KEEP[days]
    key = series_key(ledger.tenant, ledger.prefix, Kind.COUNTER, {})
    async with calm.sender(ledger) as sender:
        for value in (3, 4):
            await sender.deliver(batch([Sample(key, now, value)]))
            await caught_up(calm.database, calm.addresses.kafka, DEADLINE_S)
    found, expected = await stored.counts(calm.database, ledger), remembered(ledger, tiers)
    assert found.windows == expected.windows
    assert found.running == expected.running


async def test_batch_over_all_ages_is_exact_in_every_tier(calm: World) -> None:
    ledger, now = calm.ledger("ages"), now_ms()
    key = series_key(ledger.tenant, ledger.prefix, Kind.GAUGE, {})
    ages = [0, 1, 11 * SECOND, 61 * SECOND, HOURS, 13 * HOURS, 26 * HOURS, 47 * HOURS]
    async with calm.sender(ledger) as sender:
        await sender.deliver(batch([Sample(key, now - age, n) for n, age in enumerate(ages)]))
    await calm.exact(ledger)


async def test_beyond_the_last_retention_is_refused_and_its_neighbours_are_kept(calm: World) -> None:
    ledger, now = calm.ledger("beyond"), now_ms()
    key = series_key(ledger.tenant, ledger.prefix, Kind.COUNTER, {})
    good, old, future = Sample(key, now, 5), Sample(key, now - 401 * DAYS, 6), Sample(key, now + HOURS, 7)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{calm.services.gateway_urls[0]}/api/metrics/batch",
            json={"metrics": [metric(old), metric(good), metric(future)]},
        )
    assert answer.is_success
    verdict = answer.json()
    assert (verdict["accepted"], verdict["rejected"]) == (1, 2)
    assert [(e["index"], e["field"]) for e in verdict["errors"]] == [(0, "timestamp"), (2, "timestamp")]
    ledger.add([good])
    await calm.exact(ledger)


async def test_fine_windows_say_when_they_may_go(calm: World) -> None:
    ledger, now = calm.ledger("expires"), now_ms()
    async with calm.sender(ledger) as sender:
        await sender.deliver(batch([Sample(series_key(ledger.tenant, ledger.prefix, Kind.GAUGE, {}), now, 1)]))
    await calm.exact(ledger)
    for tier in (FINE, MINUTE, HOUR):
        # The tenant is shared with the other tests of this file: only the window of this sample is meant.
        document = await calm.database[windows(tier).name].find_one({"_id.t": ledger.tenant, "_id.w": tier.floor(now)})
        assert document is not None
        due_ms = tier.floor(now) + tier.width_ms + tier.retention_ms
        assert document["expires"] == datetime.fromtimestamp(due_ms / 1000, UTC).replace(tzinfo=None)
        index = await calm.database[windows(tier).name].index_information()
        assert any("expireAfterSeconds" in options for options in index.values())
