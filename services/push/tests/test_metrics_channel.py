"""The channel `metrics` over doubles of the stores."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from vigie_contracts.latest import Latest
from vigie_contracts.live import LiveMessage
from vigie_contracts.series import Kind
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import InvalidField
from vigie_push.channels import metrics
from vigie_push.channels.base import Snapshot, Topic, Update
from vigie_push.channels.metric_table import PAGE
from vigie_push.channels.metrics import MetricsChannel, MetricsFeed, MetricsParameters, _matchers
from vigie_push.errors import InvalidCursor, TooManyTopics
from vigie_push.sources.values import Values, together
from vigie_query.promql.cells import BUCKET, COUNT, SUM, VALUE, Shown
from vigie_query.series import Selection, Series
from vigie_storage.promql.selection import Selected

ACME = TenantId("acme")
NOW = 1_790_000_000_000


def selected(*items: tuple[str, Kind, int], ordinal: int = 0) -> Selected:
    """Each (name, kind, part), a stored series of its own."""
    series = [
        Series(100 + number, name, kind, (("n", str(number)),), 0, ordinal + number, NOW + number)
        for number, (name, kind, _) in enumerate(items)
    ]
    selection = Selection(series)
    labels = [(("__name__", name), ("n", str(number))) for number, (name, _, _) in enumerate(items)]
    kinds = np.array([kind for _, kind, _ in items], np.uint8)
    return Selected(selection, Shown(labels, selection.rows, kinds, np.array([part for *_, part in items], np.int64)))


def gauges(count: int) -> Selected:
    return selected(*[("cpu", Kind.GAUGE, VALUE)] * count)


@dataclass
class Store:
    """Selector and latest values: series number -> (timestamp, value, sum, count)."""

    found: Selected
    rows: dict[int, tuple[int, float, float, int]] = field(default_factory=dict)

    async def select(self, _tenant: TenantId, _matchers: Any) -> Selected:
        return self.found

    async def some(self, _tenant: TenantId, chunks: Any) -> dict[tuple[int, int], Latest]:
        assert list(chunks) == [(0, 0)]
        numbers = sorted(self.rows)
        columns = [np.array([self.rows[number][column] for number in numbers]) for column in range(4)]
        return {
            (0, 0): Latest(
                np.array(numbers, np.uint8),
                columns[0].astype(np.int64),
                columns[1].astype(np.float64),
                columns[2].astype(np.float64),
                columns[3].astype(np.int64),
            )
        }


def record(**rows: tuple[int, float, float, int]) -> Values:
    """Of series `s0`, `s1`, ...; in an order that is not theirs."""
    items = sorted(rows.items(), reverse=True)
    return together(
        [
            LiveMessage(
                0,
                np.array([100 + int(name[1:]) for name, _ in items], "<u8").tobytes(),
                np.array([row[0] for _, row in items], "<i8").tobytes(),
                np.array([row[1] for _, row in items], "<f8").tobytes(),
                False,
                np.array([row[2] for _, row in items], "<f8").tobytes(),
                np.array([row[3] for _, row in items], "<i8").tobytes(),
            )
        ]
    )


async def opened(store: Store) -> MetricsFeed:
    made: Any = store
    feed = MetricsFeed(ACME, (), made, made, Counter())
    await feed.poll()
    return feed


def values(updates: Any) -> list[list[float | None]]:
    return [[one.value for one in update.message.data] for update in updates]


def shown(snapshot: Snapshot) -> list[list[float | None]]:
    return values(snapshot.updates)


async def test_a_snapshot_then_what_changes() -> None:
    store = Store(gauges(2), {0: (NOW, 1.0, 1.0, 1)})
    feed = await opened(store)
    assert shown(await feed.snapshot(None)) == [[1.0]]
    (update,) = feed.updates(record(s1=(NOW + 1, 7.0, 7.0, 1), s9=(NOW, 0.0, 0.0, 1)))
    assert values([update]) == [[1.0, 7.0]]
    assert feed.updates(record(s1=(NOW + 1, 7.0, 7.0, 1))) == [], "the same again"
    assert feed.updates(record(s0=(NOW - 9, 0.5, 0.5, 0))) == [], "an older state"


async def test_what_is_told_of_each_kind() -> None:
    items = [
        ("cpu", Kind.GAUGE, VALUE),
        ("requests_total", Kind.CUMULATIVE, VALUE),
        ("bookings_total", Kind.COUNTER, VALUE),
        ("latency", Kind.HISTOGRAM, VALUE),
        ("latency_sum", Kind.HISTOGRAM, SUM),
        ("latency_count", Kind.HISTOGRAM, COUNT),
        ("latency_bucket", Kind.HISTOGRAM, BUCKET),
    ]
    rows = dict.fromkeys(range(len(items)), (NOW, 2.0, 30.0, 4))
    feed = await opened(Store(selected(*items), rows))
    (update,) = (await feed.snapshot(None)).updates
    data: Any = update.message
    assert [(one.name, one.type, one.value) for one in data.data] == [
        ("cpu", "gauge", 2.0),
        ("requests_total", "counter", 2.0),
        ("bookings_total", "counter", 30.0),
        ("latency", "histogram", 2.0),
        ("latency_sum", "histogram", 30.0),
        ("latency_count", "histogram", 4.0),
    ]
    assert data.data[0].labels == {"n": "0"}
    assert data.data[0].timestamp == "2026-09-21T14:13:20.000Z"


async def test_only_pages_that_changed_are_told_each_as_a_whole() -> None:
    store = Store(gauges(PAGE + 2), dict.fromkeys(range(PAGE + 2), (NOW, 0.0, 0.0, 1)))
    feed = await opened(store)
    assert [len(page) for page in shown(await feed.snapshot(None))] == [PAGE, 2]
    (update,) = feed.updates(record(**{f"s{PAGE}": (NOW + 1, 5.0, 5.0, 2)}))
    assert values([update]) == [[5.0, 0.0]]


async def test_who_comes_back_gets_the_pages_that_are_not_as_it_knows_them() -> None:
    rows = dict.fromkeys(range(PAGE + 2), (NOW, 0.0, 0.0, 1))
    here = await opened(Store(gauges(PAGE + 2), dict(rows)))
    first, last = (await here.snapshot(None)).updates
    there = await opened(Store(gauges(PAGE + 2), dict(rows)))
    assert shown(await there.snapshot(last.cursor)) == []
    assert [len(page) for page in shown(await there.snapshot(first.cursor))] == [2], "it had the first page only"
    there.updates(record(s3=(NOW + 1, 1.0, 1.0, 2)))
    assert [len(page) for page in shown(await there.snapshot(last.cursor))] == [PAGE]


async def test_a_client_that_misses_the_second_of_two_pages_gets_it_when_it_comes_back() -> None:
    rows = dict.fromkeys(range(PAGE + 2), (NOW, 0.0, 0.0, 1))
    feed = await opened(Store(gauges(PAGE + 2), rows))
    one, two = feed.updates(record(s0=(NOW + 1, 1.0, 1.0, 2), **{f"s{PAGE}": (NOW + 1, 2.0, 2.0, 2)}))
    assert [len(page) for page in shown(await feed.snapshot(one.cursor))] == [2]
    assert shown(await feed.snapshot(two.cursor)) == []


async def test_what_a_snapshot_holds_is_not_told_again_and_what_it_read_is_told_to_the_others() -> None:
    store = Store(gauges(1), {0: (NOW, 1.0, 1.0, 1)})
    feed = await opened(store)
    store.rows[0] = (NOW + 1, 2.0, 3.0, 2)
    snapshot = await feed.snapshot(None)
    assert shown(snapshot) == [[2.0]]
    (told,) = feed.updates(record(s0=(NOW + 1, 2.0, 3.0, 2)))
    assert snapshot.holds(told)
    (newer,) = feed.updates(record(s0=(NOW + 2, 3.0, 6.0, 3)))
    assert not snapshot.holds(newer)


async def test_new_series_come_with_a_poll() -> None:
    store = Store(gauges(1), {0: (NOW, 1.0, 1.0, 1), 1: (NOW, 9.0, 9.0, 1)})
    feed = await opened(store)
    assert await feed.poll() == []
    feed.updates(record(s0=(NOW + 5, 4.0, 5.0, 2)))
    store.found = gauges(2)
    updates: list[Update] = list(await feed.poll())
    assert values(updates) == [[4.0, 9.0]], "what was announced is kept, though the store is behind"


@pytest.mark.parametrize("cursor", ["AgAA", "%%%", "AgAAAA"])
async def test_a_cursor_that_nobody_made_is_refused(cursor: str) -> None:
    feed = await opened(Store(gauges(1)))
    with pytest.raises(InvalidCursor):
        await feed.snapshot(cursor)


async def test_a_cursor_has_a_bounded_length() -> None:
    rows = dict.fromkeys(range(256), (NOW, 0.0, 0.0, 1))
    feed = await opened(Store(gauges(256), rows))
    assert max(len(update.cursor) for update in (await feed.snapshot(None)).updates) < 200


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("up[5m]", "must be a selector"),
        ("rate(up[5m])", "must be a selector"),
        ("up offset 5m", "must be a selector"),
        ("up{", "parse error"),
        ("{}", "must contain at least one non-empty matcher"),
        ('up{a=~"("}', "regular expression"),
    ],
)
async def test_what_is_no_selector_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidField, match=reason) as refused:
        await _matchers(text)
    assert refused.value.field == "selector"


async def test_the_series_of_a_tenant_are_bounded_over_all_its_selectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_TENANT_SERIES", 10)
    channel: Any = MetricsChannel.__new__(MetricsChannel)
    channel._followed = Counter()
    store = channel._selectors = channel._latest = Store(gauges(4))
    feeds = [await channel.open(Topic(ACME, "metrics", MetricsParameters(selector=f"cpu{n}"))) for n in range(2)]
    third = Topic(ACME, "metrics", MetricsParameters(selector="cpu3"))
    with pytest.raises(TooManyTopics):
        await channel.open(third)
    other = await channel.open(Topic(TenantId("rival"), "metrics", MetricsParameters(selector="cpu")))
    store.found = gauges(7)  # a selector may come to select more
    with pytest.raises(TooManyTopics):
        await feeds[0].poll()
    store.found = gauges(4)
    await feeds[0].close()
    feeds[0] = await channel.open(third)
    for feed in (*feeds, other):
        await feed.close()
        await feed.poll()  # that was under way
    assert not channel._followed
