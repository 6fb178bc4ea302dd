"""What rules recorded is written: once, without gaps, and with a reason where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.metrics import ENGINE_METRICS
from vigie_alerting.recording import recorder as module
from vigie_alerting.recording.recorder import Recorder
from vigie_alerting.recording.results import Recorded
from vigie_alerting.rules.compiling import CompiledRule
from vigie_contracts.series import Kind
from vigie_publishing.errors import BufferFullError, ItemError, Reason
from vigie_publishing.metric import Sample
from vigie_publishing.publishers import NamedSamples
from vigie_query.errors import QueryLimitExceeded
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Retryable
from vigie_runtime.metrics import MetricSet

from services.alerting.tests.test_recording import STEP, TICK, recording
from tests.kit import eventually


class Bench:
    """A recorder on stores in memory."""

    def __init__(self) -> None:
        self.clock, self.engine = ManualClock(TICK + 1_000), Engine()
        self.written: list[tuple[bytes, int, int]] = []
        """Key, time, and how many samples."""
        self.away = self.store_away = False
        self.refused: list[ItemError] = []
        self.stored_whole, self.asked = True, list[range]()
        self.unknown = False
        self.checkpoint: dict[int, int] = {}
        self.partition_of = {"rec": 3}
        double: Any = self
        self.recorder = Recorder(
            self.engine, self.publish, double, double, self.partition_of,
            clock=self.clock, metrics=MetricSet(ENGINE_METRICS),
        )  # fmt: skip

    async def publish(self, groups: Sequence[NamedSamples]) -> tuple[int, list[ItemError]]:
        await asyncio.sleep(0)
        if self.away:
            raise BufferFullError
        self.written += [(one.key, one.at_ms, len(one.samples)) for one in groups]
        count = sum(len(one.samples) for one in groups) - len(self.refused)
        return count, self.refused

    async def whole(self) -> bool:
        return self.stored_whole

    async def at(self, rule: CompiledRule, times: range) -> list[Recorded]:
        self.asked.append(times)
        if self.unknown:
            raise QueryLimitExceeded("too much")
        return [result(at, rule) for at in times]

    async def of(self, partition: int) -> int | None:
        if self.store_away:
            raise Retryable("away")
        return self.checkpoint.get(partition)

    async def keep(self, until: dict[int, int]) -> None:
        self.checkpoint.update(until)

    def put(self, rule: CompiledRule | None = None) -> None:
        self.engine.put(rule or recording(), [])

    def record(self, *times: int, rule: CompiledRule | None = None, samples: int = 1) -> None:
        self.engine.recorded += [result(at, rule, samples) for at in times]
        self.recorder.wake()

    def times(self) -> list[int]:
        return [at for _, at, _ in self.written]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.recorder.run())
        try:
            yield
        finally:
            self.recorder.stop()
            await asyncio.wait_for(task, 5)

    async def until(self, *times: int) -> None:
        def same() -> bool:
            assert sorted(self.times()) == list(times)
            return True

        await eventually(same, 5)

    async def pass_time(self, seconds: float) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.clock.advance(seconds)


def result(at_ms: int, rule: CompiledRule | None = None, samples: int = 1) -> Recorded:
    made = [Sample("zone:cpu:sum", Kind.GAUGE, (("zone", str(i)),), 1.0) for i in range(samples)]
    return Recorded((rule or recording()).rule, at_ms, made)


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.put()
    return made


async def test_results_are_written_with_a_key_of_their_own(bench: Bench) -> None:
    async with bench.running():
        bench.record(TICK, TICK + STEP, samples=3)
        await bench.until(TICK, TICK + STEP)
    assert [count for *_, count in bench.written] == [3, 3]
    assert len({key for key, *_ in bench.written}) == 2


async def test_what_kafka_does_not_take_waits_and_its_reason_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AWAY", module.Backoff(0.01, 0.01))
    bench.away = True
    async with bench.running():
        bench.record(TICK)
        await eventually(lambda: "buffer is full" in bench.recorder.problems.get("rec", ""), 5)
        await bench.recorder.keep()
        assert bench.checkpoint == {3: TICK - 1}, "the next owner has to write it"
        bench.away = False
        await bench.until(TICK)
        await eventually(lambda: "rec" not in bench.recorder.problems, 5)
        await bench.recorder.keep()
        assert bench.checkpoint == {3: TICK + 1_000}


async def test_series_that_the_tenant_may_not_have_are_told(bench: Bench) -> None:
    bench.refused = [ItemError(Reason.LIMIT, "labels", "the tenant has 10 series, and may have no more")]
    async with bench.running():
        bench.record(TICK, samples=4)
        await bench.until(TICK)
        await eventually(lambda: "rec" in bench.recorder.problems, 5)
        told = "1 of 4 series are not written: labels: the tenant has 10 series, and may have no more"
        assert bench.recorder.problems["rec"] == told
        bench.refused = []
        bench.record(TICK + STEP, samples=4)
        await bench.until(TICK, TICK + STEP)
        await eventually(lambda: "rec" not in bench.recorder.problems, 5)


async def test_what_nobody_evaluated_before_is_taken_from_the_stored_windows(bench: Bench) -> None:
    bench.checkpoint = {3: TICK - 3 * STEP + 100}
    bench.stored_whole = False
    async with bench.running():
        bench.record(TICK)
        await bench.until(TICK)
        await bench.pass_time(1)
        assert bench.asked == [], "before they are whole the windows would give other values"
        await bench.recorder.keep()
        assert bench.checkpoint == {3: TICK - 2 * STEP - 1}
        bench.stored_whole = True
        await bench.pass_time(1)
        await bench.until(TICK - 2 * STEP, TICK - STEP, TICK)


async def test_a_rule_that_nobody_had_begins_now(bench: Bench) -> None:
    async with bench.running():
        bench.record(TICK)
        await bench.until(TICK)
        await bench.pass_time(1)
    assert bench.asked == []


async def test_a_rule_is_not_recorded_for_a_time_before_it_was_made() -> None:
    bench, rule = Bench(), recording(updated_at=TICK - STEP - 5_000)
    bench.put(rule)
    bench.checkpoint = {3: TICK - 100 * STEP}
    async with bench.running():
        bench.record(TICK, rule=rule)
        await bench.until(TICK)
        await bench.pass_time(1)
        await bench.until(TICK - STEP, TICK)


async def test_a_time_that_was_passed_over_is_filled(bench: Bench) -> None:
    async with bench.running():
        bench.record(TICK, TICK + 3 * STEP)
        await bench.until(TICK, TICK + 3 * STEP)
        await bench.pass_time(1)
        await bench.until(*(TICK + place * STEP for place in range(4)))


async def test_a_gap_is_bounded_and_one_that_cannot_be_filled_is_given_up(bench: Bench) -> None:
    bench.checkpoint, bench.unknown = {3: TICK - 1_000 * 3_600_000}, True
    async with bench.running():
        bench.record(TICK)
        await bench.until(TICK)
        await bench.pass_time(1)
        await eventually(lambda: sum(map(len, bench.asked)) >= module.MAX_GAP_MS // STEP - 1, 5)
        await bench.until(TICK)
        assert max(map(len, bench.asked)) == module.MAX_FILLED
        await bench.recorder.keep()
        assert bench.checkpoint[3] > TICK, "nobody tries it again"


async def test_what_is_too_much_to_wait_is_filled_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    monkeypatch.setattr(module, "_AWAY", module.Backoff(0.01, 0.01))
    bench.away = True
    async with bench.running():
        bench.record(*(TICK + place * STEP for place in range(4)), samples=3)
        await eventually(lambda: not bench.engine.recorded, 5)
        bench.away = False
        await bench.until(TICK, TICK + STEP)
        bench.record(TICK + 4 * STEP)
        await bench.pass_time(1)
        await bench.until(*(TICK + place * STEP for place in range(5)))


async def test_results_are_bounded_while_the_store_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNKNOWN", 2)
    monkeypatch.setattr(module, "_AWAY", module.Backoff(0.01, 0.01))
    bench.store_away, bench.checkpoint = True, {3: TICK - 1}
    async with bench.running():
        bench.record(*(TICK + place * STEP for place in range(5)))
        await eventually(lambda: len(bench.engine.recorded) == 2, 5)
        bench.store_away = False
        await bench.until(TICK + 3 * STEP, TICK + 4 * STEP)
        await bench.pass_time(1)
        await bench.until(*(TICK + place * STEP for place in range(5)))


async def test_nothing_is_known_of_a_partition_whose_rules_were_not_all_evaluated(bench: Bench) -> None:
    bench.put(recording(id="later"))
    bench.partition_of["later"] = 3
    async with bench.running():
        bench.record(TICK)
        await bench.until(TICK)
        await bench.recorder.keep()
    assert bench.checkpoint == {}


async def test_a_rule_that_left_is_forgotten(bench: Bench) -> None:
    async with bench.running():
        bench.record(TICK)
        await bench.until(TICK)
        bench.recorder.problems["rec"] = "something"
        bench.engine.remove("rec")
        await bench.recorder.keep()
        assert bench.recorder.problems == {}
        bench.put()
        bench.checkpoint = {3: TICK + 5 * STEP}
        bench.record(TICK + 6 * STEP)
        await bench.until(TICK, TICK + 6 * STEP)
        await bench.pass_time(1)
    assert bench.asked == [], "somebody else had it meanwhile"
