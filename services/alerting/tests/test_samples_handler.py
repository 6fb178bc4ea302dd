"""What comes from the log of samples: counted together, each with its own trace, and never all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from vigie_alerting.engine import early, samples_handler
from vigie_alerting.engine.engine import Engine, run
from vigie_alerting.engine.metrics import EARLY, EARLY_DROPPED, ENGINE_METRICS, EngineMetrics
from vigie_alerting.engine.samples_handler import SamplesHandler
from vigie_alerting.rules.compiling import CompiledRule
from vigie_contracts.alerts import Transition
from vigie_contracts.samples import SampleBatch, encode
from vigie_contracts.series import Kind, series_key
from vigie_contracts.tenants import TenantId
from vigie_query.series import Series
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Retryable
from vigie_runtime.metrics import MetricSet

from services.alerting.tests.test_engine import NOW, TENANT, expression, simple

Sent = tuple[str, float, int]
"""Host, value and time."""


class Log:
    """A log of two partitions and its handler, with a catalogue of what was sent."""

    def __init__(self, *rules: CompiledRule) -> None:
        self.clock, self.metrics = ManualClock(NOW), MetricSet(ENGINE_METRICS)
        self.engine = Engine(timer=lambda: 0.0)
        for rule in rules:
            self.engine.put(rule, [])
        for watch in (closed := self.engine.closed()):
            self.engine.memory.open(watch, [])
        self.engine.opened(closed, NOW)
        self.lock, self.offsets, self.catalogue = asyncio.Lock(), [0, 0], dict[int, Series]()
        self.look_ups: list[int] = []
        self.away = False
        measured = EngineMetrics(self.metrics)
        self.handler = SamplesHandler(self.engine, self.lock, self._look_up, clock=self.clock, metrics=measured)

    async def record(self, partition: int, *sent: Sent, name: str = "cpu", trace: int = 0) -> None:
        """One record of the log is read."""
        keys = [series_key(TENANT, name, Kind.GAUGE, {"host": host}) for host, _, _ in sent]
        for key in keys:
            self.catalogue[key.fingerprint] = Series(key.fingerprint, name, Kind.GAUGE, key.labels, 0, 0, 0)
        batch = SampleBatch(
            np.array([key.fingerprint for key in keys], np.uint64), np.arange(len(sent), dtype=np.uint32),
            np.array([at for *_, at in sent]), np.array([value for _, value, _ in sent], np.float64),
        )  # fmt: skip
        record: Any = SimpleNamespace(
            partition=partition, offset=self.offsets[partition], value=encode(batch), timestamp=NOW,
            headers=(("traceparent", traceparent(trace).encode()),),
        )  # fmt: skip
        self.offsets[partition] += 1
        await self.handler.records(partition, [record])

    async def run(self) -> list[Transition]:
        """Half a second later."""
        self.clock.advance(0.5)
        await self.handler.count()
        made: list[Transition] = []
        for done in run(self.engine, self.clock.now_ms(), 10.0):
            self.engine.accept(done.rule, done.changes)
            made += [one for change in done.changes for one in change.transitions]
        return made

    def counted(self, metric: Any) -> int:
        return int(self.metrics.counter(metric)._value.get())

    async def _look_up(self, fingerprints: Any) -> list[tuple[TenantId, Series]]:
        if self.away:
            raise Retryable("MongoDB is away")
        self.look_ups.append(len(fingerprints))
        return [(TENANT, self.catalogue[one]) for one in fingerprints.tolist()]


def traceparent(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


def traces(made: Sequence[Transition]) -> dict[str, str]:
    return {one.labels.get("host", ""): one.traceparent for one in made}


async def test_each_alert_has_the_trace_of_the_sample_that_made_it_fire() -> None:
    log = Log(simple(), expression("sum by (host) (mem) > 80", id="r2"))
    await log.run()
    for trace, host in enumerate("abcd", 1):
        await log.record(trace % 2, (host, 95, NOW), trace=trace)
    await log.record(1, ("quiet", 5, NOW), trace=9)
    assert traces(await log.run()) == {host: traceparent(trace) for trace, host in enumerate("abcd", 1)}
    await log.record(0, ("b", 10, NOW + 100), trace=21)
    await log.record(1, ("a", 96, NOW + 100), trace=22)
    assert traces(await log.run()) == {"b": traceparent(21)}
    for trace, host in enumerate("xy", 31):
        await log.record(0, (host, 95, NOW + 100), name="mem", trace=trace)
    assert traces(await log.run()) == {"x": traceparent(31), "y": traceparent(32)}


async def test_what_fires_because_it_lasted_has_the_trace_of_what_began_it() -> None:
    log = Log(simple(for_ms=10_000))
    await log.run()
    await log.record(0, ("a", 95, NOW), ("b", 95, NOW), trace=1)
    await log.record(0, ("b", 95, NOW), trace=2)
    first = await log.run()
    log.clock.advance(10.0)
    last = await log.run()
    assert traces(first) == traces(last) == {"a": traceparent(1), "b": traceparent(2)}


async def test_partitions_are_counted_together_and_read_on_where_that_ends() -> None:
    log = Log(simple())
    await log.record(0, ("a", 1, NOW))
    await log.record(1, ("b", 2, NOW), ("c", 3, NOW))
    assert await log.handler.assigned(0) is None
    await log.record(0, ("a", 1, NOW))
    assert log.handler.waiting
    await log.handler.count()
    assert not log.handler.waiting
    assert log.look_ups == [3]
    assert [await log.handler.assigned(partition) for partition in (0, 1)] == [2, 1]


async def test_what_cannot_be_looked_up_now_is_counted_later() -> None:
    log = Log(simple())
    await log.run()
    log.away = True
    await log.record(0, ("a", 95, NOW), trace=1)
    for _ in range(2):
        with pytest.raises(Retryable):
            await log.handler.count()
    log.away = False
    assert len(await log.run()) == 1


async def test_many_new_series_are_learned_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users write the selectors that they are held against: what is known already does not wait for all of them."""
    log = Log(simple(), expression('{host=~"h.*"} > 1e9', id="r2"))
    learn = log.engine.memory.learn

    def slow(found: Any, missing: Any) -> None:
        until = time.thread_time() + 0.001 * len(found)
        learn(found, missing)
        while time.thread_time() < until:
            pass

    monkeypatch.setattr(log.engine.memory, "learn", slow)
    await log.record(0, *((f"h{i}", 95, NOW) for i in range(300)))
    rounds = 0
    while log.handler.waiting:
        assert log.handler.positions == {}
        await log.handler.count()
        rounds += 1
    assert rounds >= 4
    assert max(log.look_ups) <= samples_handler.FEWEST_LEARNED
    assert len(await log.run()) == 300


async def test_more_than_is_held_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples_handler, "HELD_BYTES", 1_000)
    log = Log(simple())
    for i in range(100):
        await log.record(i % 2, ("a", 1, NOW + i))
    assert sum(position.offset for position in log.handler.positions.values()) > 50


async def test_samples_of_a_clock_that_is_far_ahead_count_when_their_time_comes() -> None:
    log = Log(simple())
    await log.run()
    await log.record(0, ("a", 95, NOW + 300_000), ("b", 5, NOW), trace=1)
    await log.record(1, ("a", 5, NOW), trace=2)
    assert await log.run() == []
    assert log.counted(EARLY) == 1
    log.clock.advance(240.0)
    assert await log.run() == []
    log.clock.advance(60.0)
    (fired,) = await log.run()
    assert (fired.value, fired.traceparent) == (95, traceparent(1))


async def test_samples_far_ahead_are_held_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "MAX_HELD", 2)
    log = Log(simple())
    for i in range(5):
        await log.record(0, (f"h{i}", 95, NOW + 300_000))
        await log.handler.count()
    assert log.counted(EARLY) == 5
    assert log.counted(EARLY_DROPPED) == 3
