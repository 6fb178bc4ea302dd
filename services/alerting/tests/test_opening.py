"""The past of new watches is exact: each sample is counted once, wherever the log and the stored windows meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from vigie_alerting.engine import choosing, opening
from vigie_alerting.engine.choosing import Chooser
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.metrics import ENGINE_METRICS, EngineMetrics
from vigie_alerting.engine.opening import Opener
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.engine.watch import Watch
from vigie_contracts.samples import SampleBatch, encode
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tenants import TenantId
from vigie_contracts.tiers import Tier
from vigie_query.errors import QueryLimitExceeded
from vigie_query.series import Selection, Series
from vigie_runtime.clock import SystemClock
from vigie_runtime.errors import Retryable
from vigie_runtime.metrics import MetricSet
from vigie_storage.partitions.checkpoint import Log, Position
from vigie_storage.windows.snapshot import Counted
from vigie_windows import Cells, fold

from services.alerting.tests.test_engine import expression
from tests.kit import eventually, unique

TENANT = TenantId("acme")
LOG = Log("cluster", "topic")


def counter(host: str, ordinal: int = 0) -> Series:
    key = series_key(TENANT, "errors", Kind.COUNTER, {"host": host})
    return Series(key.fingerprint, "errors", Kind.COUNTER, key.labels, 0, ordinal, 0)


class Waiting(SystemClock):
    """Counts how often somebody waits."""

    waits = 0

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        await super().sleep(seconds)


class Bus:
    """A log of one partition, an aggregator that has counted up to `counted`, and a catalogue."""

    def __init__(self) -> None:
        self.clock = Waiting()
        self.log: list[tuple[Series, float, int]] = []
        self.counted = 0
        self.kept_from = 0
        self.questions = 0
        """To the catalogue."""
        self.reads = 0
        """Of windows."""
        self.since: list[int] = []
        """From which time on, of each."""
        self.catalogue: dict[int, Series] = {}
        self.engine, self.lock = Engine(), asyncio.Lock()
        self.metrics = metrics = EngineMetrics(MetricSet(ENGINE_METRICS))
        self.samples = SamplesHandler(self.engine, self.lock, self._look_up, clock=self.clock, metrics=metrics)
        doubles: dict[str, Any] = {"snapshots": self, "chooser": Chooser(self, self, limit=3), "between": self}  # type: ignore[arg-type]
        self.opener = Opener(
            self.engine, self.lock, self.samples, log_=LOG, clock=self.clock, metrics=metrics, **doubles
        )
        self.told: list[list[int]] = []
        """Which watches are open, time after time."""
        self.when_selecting: Callable[[], Any] = lambda: None
        self.when_reading: Callable[[], Any] = lambda: None

    def send(self, host: str, value: float = 1.0) -> None:
        one = self.catalogue.setdefault((made := counter(host, len(self.catalogue))).fingerprint, made)
        self.log.append((one, value, self.clock.now_ms()))

    async def read(self, to: int | None = None) -> None:
        """The log, up to there."""
        begin = self.samples.positions.get(0, Position(0)).offset
        records = [self._record(offset) for offset in range(begin, len(self.log) if to is None else to)]
        if records:
            await self.samples.records(0, records)
            await self.samples.count()

    async def watch(self, text: str = "sum(increase(errors[5m])) > 1e9") -> dict[int, str]:
        """A rule that looks at all, opened."""
        async with self.lock:
            self.engine.put(expression(text), [])
        return await self.open()

    async def open(self) -> dict[int, str]:
        return await self.opener.open(self.engine.closed(), self.opened)

    async def opened(self, watches: Sequence[Watch]) -> None:
        self.told.append([watch.number for watch in watches])

    def seen(self) -> tuple[float, float]:
        """What the rule sees: the sum of all increments in its windows, and the totals that they come to."""
        ((horizon, watch),) = self.engine.rules["r1"].inputs
        samples = self.engine.memory.read(watch, horizon, self.clock.now_ms() + 1_000)
        ends = samples.bounds[1:][np.diff(samples.bounds) > 0] - 1
        return float(samples.column("increase").sum()), float(samples.values[ends].sum())

    async def records(self, ranges: Mapping[int, tuple[int, int]]) -> AsyncIterator[list[Any]]:
        """Of the log, once more; as much as is kept of it."""
        begin, end = ranges[0]
        for offset in range(max(begin, self.kept_from), end):
            yield [self._record(offset)]

    def _record(self, offset: int) -> Any:
        one, value, at = self.log[offset]
        data = encode(
            SampleBatch(
                np.array([one.fingerprint], np.uint64), np.zeros(1, np.int64), np.array([at]), np.array([value])
            )
        )
        return SimpleNamespace(partition=0, offset=offset, value=data, timestamp=at, headers=())

    async def _look_up(self, fingerprints: Any) -> list[tuple[TenantId, Series]]:
        return [(TENANT, self.catalogue[one]) for one in fingerprints.tolist()]

    # What the opener asks of the store.

    async def counted_(self) -> dict[int, Counted]:
        return {0: Counted(LOG, Position(self.counted))}

    @asynccontextmanager
    async def open_(self) -> AsyncIterator[Any]:
        yield Moment(self)

    async def select(self, _tenant: TenantId, _matchers: Any) -> Any:
        selected = SimpleNamespace(selection=Selection(list(self.catalogue.values())))
        await _maybe(self.when_selecting())
        return selected

    async def named(self, _tenant: TenantId, names: Mapping[str, Collection[str]]) -> AsyncIterator[list[Series]]:
        self.questions += 1
        found = [one for one in self.catalogue.values() if one.name in names]
        await _maybe(self.when_selecting())
        yield found


async def _maybe(result: Any) -> None:
    if asyncio.iscoroutine(result):
        await result


class Moment:
    """A snapshot."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self._log = bus, bus.log[: bus.counted]
        self.taken_ms = bus.clock.now_ms()
        self.counted = {0: Counted(LOG, Position(bus.counted))}

    async def windows(
        self, _tenant: TenantId, selection: Selection, tier: Tier, since_ms: int, _columns: object
    ) -> Cells:
        self._bus.reads += 1
        self._bus.since.append(since_ms)
        await _maybe(self._bus.when_reading())
        row_of = dict(zip((one.fingerprint for one in selection.series), selection.rows.tolist(), strict=True))
        mine = [one for one in self._log if one[0].fingerprint in row_of]
        if not mine:
            return Cells.empty(tier.width_ms)
        rows = np.array([row_of[one.fingerprint] for one, _, _ in mine])
        kinds = np.full(int(rows.max()) + 1, Kind.COUNTER, np.uint8)
        times, values = np.array([at for *_, at in mine]), np.array([value for _, value, _ in mine])
        return fold(rows, times, values, kinds, tier.width_ms)

    async def totals(self, _tenant: TenantId, selection: Selection) -> Any:
        found = np.full(int(selection.rows.max(initial=0)) + 1, np.nan)
        for row, one in zip(selection.rows.tolist(), selection.series, strict=True):
            found[row] = sum(value for series, value, _ in self._log if series.fingerprint == one.fingerprint)
        return found


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Bus:
    monkeypatch.setattr(opening, "PATIENCE_S", 0.3)
    monkeypatch.setattr(opening, "READING_S", 0.5)
    made = Bus()
    made.opener._snapshots = SimpleNamespace(counted=made.counted_, open=made.open_)  # type: ignore[assignment]
    return made


async def test_at_the_start_what_is_stored_and_what_comes_after_it_are_each_counted_once(bus: Bus) -> None:
    for host in "abab":
        bus.send(host)
    bus.counted = 3
    await bus.watch()
    await bus.read()
    assert bus.seen() == (4, 4)


async def test_a_new_rule_counts_what_came_while_its_past_was_read(bus: Bus) -> None:
    await bus.opener.begin()
    for host in "aab":
        bus.send(host)
    await bus.read()
    bus.counted = 2

    async def meanwhile() -> None:
        bus.send("b")
        await bus.read()

    bus.when_reading = meanwhile
    bus.counted = 3
    await bus.watch()
    bus.when_reading = lambda: None
    bus.send("a")
    await bus.read()
    assert bus.seen() == (5, 5)


async def test_a_series_that_comes_up_after_the_others_were_chosen_is_counted(bus: Bus) -> None:
    await bus.opener.begin()
    bus.send("a")
    await bus.read()
    bus.counted = 1

    async def meanwhile() -> None:
        bus.send("new")
        await bus.read()

    bus.when_selecting = meanwhile
    await bus.watch()
    bus.when_selecting = lambda: None
    bus.send("new")
    await bus.read()
    assert bus.seen() == (3, 3)


async def test_what_the_windows_have_and_the_log_reader_has_not_read_yet_is_not_counted_twice(bus: Bus) -> None:
    await bus.opener.begin()
    for _ in range(4):
        bus.send("a")
    await bus.read(2)
    bus.counted = 4
    task = asyncio.create_task(bus.watch())
    await eventually(lambda: bus.clock.waits >= 2)
    assert not task.done()
    await bus.read()
    await task
    assert bus.seen() == (4, 4)


async def test_a_reader_that_does_not_get_there_is_waited_for_later(bus: Bus) -> None:
    await bus.opener.begin()
    bus.send("a")
    bus.counted = 1
    with pytest.raises(Retryable):
        await bus.watch()
    assert bus.engine.closed()


@pytest.mark.parametrize("where", ["when_selecting", "when_reading"])
@pytest.mark.parametrize("first", [True, False])
async def test_a_failure_leaves_nothing_half_open(bus: Bus, first: bool, where: str) -> None:
    if not first:
        await bus.opener.begin()
    bus.send("a")
    if not first:
        await bus.read()
    bus.counted = 1

    async def fail() -> None:
        raise Retryable("MongoDB is away")

    setattr(bus, where, fail)
    with pytest.raises(Retryable):
        await bus.watch()
    setattr(bus, where, lambda: None)
    bus.send("a")
    if bus.told or not first:  # the log is read as soon as the series are held
        await bus.read()
    bus.counted = 2
    await bus.open()
    await bus.read()
    assert bus.seen() == (2, 2)


async def test_a_second_depth_has_its_own_past_and_the_same_totals(bus: Bus) -> None:
    for host in "ab":
        bus.send(host)
    bus.counted = 2
    await bus.watch()
    bus.send("a")
    await bus.read()
    bus.counted = 3
    await bus.watch("sum(increase(errors[50m])) > 1e9")
    bus.send("b")
    await bus.read()
    assert bus.seen() == (4, 4)


async def test_what_selects_too_much_is_said_and_the_others_are_opened(bus: Bus) -> None:
    for host in "abcde":
        bus.send(host)
    bus.engine.put(expression('max(errors{host="a"}) > 5', id="r2"), [])
    (failed,) = (await bus.watch()).values()
    assert "more than 3 series" in failed
    assert bus.engine.closed() == [watch for _, watch in bus.engine.rules["r1"].inputs]


async def test_an_expression_that_takes_too_long_is_said_and_the_others_are_opened(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "THINKING_S", -1.0)
    bus.send("a")
    bus.engine.put(expression('max(errors{host=~"b.*"}) > 5', id="r2"), [])
    (failed,) = (await bus.watch()).values()
    assert "simpler expressions" in failed
    assert bus.engine.closed() == [watch for _, watch in bus.engine.rules["r2"].inputs]


async def test_a_selector_without_a_name_that_selects_too_much_is_said(bus: Bus) -> None:
    async def refuse() -> None:
        raise QueryLimitExceeded("too many series")

    bus.when_selecting = refuse
    assert list((await bus.watch('{host="a"} > 5')).values()) == ["QueryLimitExceeded: too many series"]
    assert bus.engine.closed()


async def test_many_rules_ask_once_for_their_series_and_once_for_the_windows(bus: Bus) -> None:
    for host in "abc":
        bus.send(host)
    for number in range(50):
        bus.engine.put(expression(f'sum(increase(errors{{host!="{number}"}}[5m])) > 9', id=f"many-{number}"), [])
    bus.counted = 3
    await bus.watch()
    assert (bus.questions, bus.reads) == (1, 1)
    assert bus.seen() == (3, 3)
    assert sorted(number for some in bus.told for number in some) == list(range(51))


async def test_windows_that_are_too_old_to_be_held_are_not_read(bus: Bus) -> None:
    bus.send("a")
    bus.counted = 1
    await bus.watch()
    [(horizon, _)] = bus.engine.rules["r1"].inputs
    assert bus.since == [bus.engine.memory.oldest_ms(horizon.depth)]


async def test_rules_begin_when_their_own_series_are_there(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "CELLS_AT_ONCE", 1)
    bus.send("a")
    for _ in range(300):  # hosts of another chunk
        bus.catalogue[counter(unique("host"), len(bus.catalogue)).fingerprint] = counter("x", len(bus.catalogue))
    bus.send("b")
    bus.counted = 2
    for host in "ab":
        bus.engine.put(expression(f'sum(increase(errors{{host="{host}"}}[5m])) > 9', id=host), [])
    await bus.open()
    assert bus.told == [[], [0], [1]]
    assert bus.reads == 2


async def test_the_place_of_windows_that_no_rule_needs_goes_to_others(bus: Bus) -> None:
    for host in "ab":
        bus.send(host)
    bus.counted = 2
    bus.engine.put(expression('sum(increase(errors{host="a"}[5m])) > 9', id="stays"), [])
    for number in range(20):
        await bus.watch(f'sum(increase(errors{{host="b"}}[5m])) > {number}')
        bus.engine.remove("r1")
    (bank,) = bus.engine.memory._banks.values()
    assert len(bank.recent) == 2
    await bus.watch()
    assert bus.seen() == (2, 2)


async def test_after_a_loss_of_the_log_the_windows_are_read_again(bus: Bus) -> None:
    bus.send("a")
    bus.counted = 1
    await bus.watch()
    for _ in range(3):
        bus.send("a")
    bus.counted = 3
    await bus.samples.lost_log(0, 1, 3)
    await bus.read()
    assert bus.engine.closed()
    bus.counted = 4
    await bus.open()
    assert bus.seen() == (4, 4)


async def test_a_rule_that_is_gone_before_its_past_came_leaves_nothing(bus: Bus) -> None:
    bus.when_reading = lambda: bus.engine.remove("r1")
    bus.send("a")
    await bus.watch()
    assert len(bus.engine.memory) == 0
    assert bus.engine.memory.all_open


@pytest.mark.parametrize(("kept_from", "counted"), [(0, 5), (2, 4)])
async def test_a_rule_that_comes_while_nobody_counts_reads_the_log_again(
    bus: Bus, kept_from: int, counted: int
) -> None:
    await bus.opener.begin()
    for host in "abbbb":
        bus.send(host)
    bus.counted = 1
    await bus.read(4)
    bus.kept_from = kept_from

    async def meanwhile() -> None:
        await bus.read()

    bus.when_selecting = meanwhile
    await bus.watch()
    assert bus.seen() == (counted, counted)
    assert bus.metrics.missed._value.get() == 5 - counted
