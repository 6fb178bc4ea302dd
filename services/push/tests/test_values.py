"""Live messages of a moment are told together."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from vigie_contracts.live import LiveMessage
from vigie_contracts.tenants import TenantId
from vigie_push.sources import values
from vigie_push.sources.values import MAX_TOGETHER, _Gathering, together

from services.push.tests.sinks import Noting

ACME = TenantId("acme")


def message(*rows: int, old: bool = False) -> bytes:
    column = np.array(rows, "<i8").tobytes()
    numbers = np.array(rows, "<f8").tobytes()
    more = (b"", b"") if old else (numbers, column)
    return msgspec.msgpack.encode(LiveMessage(0, column, column, numbers, False, *more))


async def test_what_comes_within_a_tick_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "TICK_S", 0.02)
    sink = Noting()
    gathering = _Gathering(ACME, sink)
    for data in (message(1, 2), b"no message", message(9, old=True), message(3)):
        gathering.take(data)
    await sink.until(records=1)
    gathering.take(message(4))
    await sink.until(records=2)
    assert [(name, tenant) for name, tenant, _ in sink.records] == [("values", ACME)] * 2
    assert [record.fingerprints.tolist() for _, _, record in sink.records] == [[1, 2, 3], [4]]
    assert sink.records[0][2].counts.tolist() == [1, 2, 3]


async def test_a_burst_does_not_wait_for_the_tick() -> None:
    sink = Noting()
    gathering = _Gathering(ACME, sink)
    for _ in range(MAX_TOGETHER):
        gathering.take(message(1))
    assert len(sink.records) == 1


def test_of_a_series_that_is_there_twice_the_last_state_counts() -> None:
    def state(*rows: tuple[int, int]) -> LiveMessage:
        names, counts = zip(*rows, strict=True) if rows else ((), ())
        column, numbers = np.array(counts, "<i8").tobytes(), np.array(counts, "<f8").tobytes()
        return LiveMessage(0, np.array(names, "<u8").tobytes(), column, numbers, False, numbers, column)

    made = together([state((9, 1), (3, 1)), state(), state((3, 2), (5, 1)), state((9, 4))])
    assert made.fingerprints.tolist() == [3, 5, 9]
    assert made.counts.tolist() == [2, 1, 4]
    assert together([]).fingerprints.tolist() == []
