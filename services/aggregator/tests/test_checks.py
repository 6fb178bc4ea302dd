"""Which checks are stored, once, and which records nobody can store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from vigie_aggregator.checks.consumer import read, stored_in
from vigie_aggregator.metrics import Metrics
from vigie_contracts.checks import Check
from vigie_contracts.days import END_MS
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.topics import CHECKS
from vigie_runtime.bus.unreadable import stub
from vigie_runtime.clients import ConsumerRecord
from vigie_runtime.errors import DeadReason, InvalidMessage

WHOLE = {
    "id": "c1", "tenant": "acme", "target": "t1", "probe": "http", "timestamp": 1_790_000_000_000, "verdict": "up",
    "duration_ms": 1.5,
}  # fmt: skip


def record(value: bytes | None) -> Any:
    return ConsumerRecord("t", 3, 0, 1_764_000_001_000, 0, None, value, None, -1, len(value or b""), ())


def check(**fields: Any) -> Any:
    return record(json.dumps(WHOLE | fields).encode())


@pytest.mark.parametrize("payload", payloads(CHECKS.name), ids=lambda p: p.name)
def test_every_check_ever_written_is_read_and_every_bad_one_is_poison(payload: Payload) -> None:
    if payload.good:
        assert read(record(payload.data)).id
        return
    with pytest.raises(InvalidMessage):
        read(record(payload.data))


@pytest.mark.parametrize(
    ("unread", "reason"),
    [
        (record(None), DeadReason.UNDECODABLE),
        (record(b"\xff\x00"), DeadReason.UNDECODABLE),
        (stub("t", 3, 0, "cut off"), DeadReason.UNDECODABLE),
        (check(version=2), DeadReason.UNDECODABLE),
        (check(id=""), DeadReason.INVALID),
        (check(target="x" * 201), DeadReason.INVALID),
        (check(probe=""), DeadReason.INVALID),
        (check(tenant="../etc"), DeadReason.INVALID),
        (check(timestamp=-1), DeadReason.INVALID),
        (check(timestamp=END_MS), DeadReason.INVALID),
        (check(reason="x" * 4_001), DeadReason.INVALID),
        (check(phases={str(n): 1.0 for n in range(65)}), DeadReason.INVALID),
    ],
)
def test_what_nobody_can_store_is_a_dead_letter(unread: Any, reason: DeadReason) -> None:
    with pytest.raises(InvalidMessage) as error:
        read(unread)
    assert error.value.reason is reason


class Store:
    """MongoDB, as far as ids go."""

    def __init__(self) -> None:
        self.known: dict[str, Check] = {}
        self.life: timedelta | None = None

    async def prepare(self, life: timedelta) -> None:
        self.life = life

    async def write(self, checks: Sequence[Check]) -> int:
        new = {check.id: check for check in checks if check.id not in self.known}
        self.known |= new
        return len(new)


def test_a_check_that_comes_again_is_counted_as_a_repeat() -> None:
    store, metrics = Store(), Metrics()
    declared = stored_in(store, timedelta(seconds=5), metrics)  # type: ignore[arg-type]
    asyncio.run(declared.prepare())
    asyncio.run(declared.store([read(check()), read(check(id="c2")), read(check())]))
    assert store.life == timedelta(seconds=5)
    values = metrics.registry.get_sample_value
    assert values("vigie_aggregator_checks_total") == 2
    assert values("vigie_aggregator_repeated_checks_total") == 1
