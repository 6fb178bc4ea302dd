"""Named samples and reports are acknowledged, or whoever sends them knows why not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from vigie_contracts.series import Kind
from vigie_publishing.errors import BufferFullError, BusAwayError, CatalogueAwayError, InProgressError, Reason
from vigie_publishing.metric import Sample
from vigie_publishing.publishers import KeyedReport, NamedSamples
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import BufferFull, BusUnavailable

from tests.kit.publishing import FakeBus, fake_bus

NOW_MS = 1_790_000_000_000


@pytest_asyncio.fixture
async def bus() -> AsyncIterator[FakeBus]:
    made = fake_bus(ManualClock(NOW_MS))
    yield made
    await made.registrar.close()


def gauge(name: str, value: float, **labels: str) -> Sample:
    return Sample(name, Kind.GAUGE, tuple(labels.items()), value)


def group(*samples: Sample, tenant: str = "acme", key: bytes = b"k" * 16) -> NamedSamples:
    return NamedSamples(tenant=tenant, at_ms=NOW_MS, key=key, samples=samples)


def report(key: bytes, *samples: Sample, subject: str = "shop") -> KeyedReport:
    return KeyedReport(
        tenant="acme", at_ms=NOW_MS, key=key, samples=samples, kind="app", subject=subject, body={"a": 1}
    )


async def test_samples_of_several_tenants_go_out_together_each_with_its_key(bus: FakeBus) -> None:
    groups = [group(gauge("a", 1), gauge("b", 2)), group(gauge("a", 3), tenant="beta", key=b"l" * 16)]
    assert await bus.named.publish(groups) == (3, [])
    assert bus.publisher.calls == 1
    assert [(value, key) for _, _, value, key in bus.publisher.sent] == [
        (1, b"k" * 16), (2, b"k" * 16), (3, b"l" * 16),
    ]  # fmt: skip
    assert {key.tenant for key in bus.catalogue.series.values()} == {"acme", "beta"}


async def test_a_sample_whose_name_is_none_is_refused_and_the_others_are_taken(bus: FakeBus) -> None:
    written, refused = await bus.named.publish([group(gauge("a b", 1), gauge("a", 2))])
    assert written == 1
    assert [error.reason for error in refused] == [Reason.SERIES]


async def test_nothing_is_published_of_nothing(bus: FakeBus) -> None:
    assert await bus.named.publish([]) == (0, [])
    assert await bus.named.publish([group()]) == (0, [])
    assert bus.publisher.calls == 0


async def test_reports_follow_their_samples_in_their_order(bus: FakeBus) -> None:
    reports = [report(b"1" * 16, gauge("a", 1), gauge("a b", 2)), report(b"2" * 16)]
    first, second = await bus.reports.publish(reports)
    assert (first.written, len(first.refused)) == (1, 1)
    assert second == (0, [])
    assert [sent["id"] for sent in bus.records.reports] == [report(b"1" * 16).id, report(b"2" * 16).id]
    assert [key for key, _, _ in bus.records.sent] == [b"acme/shop"] * 2


async def test_no_report_goes_without_its_samples(bus: FakeBus) -> None:
    bus.publisher.fail = BusUnavailable("away")
    with pytest.raises(BusAwayError, match="cannot be counted twice"):
        await bus.reports.publish([report(b"1" * 16, gauge("a", 1))])
    assert bus.records.sent == []


async def test_errors_say_when_to_try_again(bus: FakeBus) -> None:
    bus.publisher.fail = BufferFull(1, 1)
    with pytest.raises(BufferFullError) as full:
        await bus.named.publish([group(gauge("a", 1))])
    bus.catalogue.away = True
    with pytest.raises(CatalogueAwayError) as away:
        await bus.named.publish([group(gauge("new", 1))])
    assert (full.value.status, full.value.retry_after) == (503, 1)
    assert (away.value.status, away.value.retry_after) == (503, 2)


async def test_a_key_is_published_by_one_call_at_a_time(bus: FakeBus) -> None:
    bus.publisher.gate = asyncio.Event()
    first = asyncio.create_task(bus.named.publish([group(gauge("a", 1))]))
    await bus.publisher.called.wait()
    with pytest.raises(InProgressError):
        await bus.named.publish([group(gauge("a", 1))])
    bus.publisher.gate.set()
    assert await first == (1, [])
    assert bus.publisher.calls == 1
