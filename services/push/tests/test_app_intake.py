"""Metrics that apps send over a connection: judged, in order, once, and only of those who may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from msgspec import Raw
from vigie_contracts import names
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import CredentialMissing, Forbidden, NotFound
from vigie_identity.permissions import Permission, Role
from vigie_identity.principal import Principal, PrincipalKind
from vigie_publishing.errors import BufferFullError, BusAwayError
from vigie_push.apps import intake
from vigie_push.apps.intake import AppIntake, InvalidMetrics
from vigie_push.apps.metrics import APP_METRICS, MESSAGES, Verdict
from vigie_push.messages import Ack, Metrics, decode
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import BusUnavailable, Busy
from vigie_runtime.metrics import MetricSet

from tests.kit import eventually
from tests.kit.publishing import FakeBus, fake_bus

from .kit import ACME, RIVAL, person

NOW_MS = 1_790_000_000_000
SAID = {"userId": "u", "appId": "shop", "metrics": {"cpu": {"usage": 42.5}}, "timestamp": NOW_MS}
ALICE = person("alice", apps=frozenset({"shop"}))
SENDER = person("sender", Role.ADMIN)


@dataclass
class Quota:
    """Lets everybody, but who is in `error`'s way."""

    error: Exception | None = None
    charged: int = 0
    counted: tuple[int, int] = (0, 0)
    tenants: list[str] = field(default_factory=list)

    async def admit(self, _principal: Principal, tenant: str) -> None:
        await asyncio.sleep(0)
        self.tenants.append(tenant)
        if self.error is not None:
            raise self.error

    def charge(self, samples: int) -> None:
        self.charged += samples

    def used(self, samples: int, rejected: int) -> None:
        self.counted = self.counted[0] + samples, self.counted[1] + rejected

    def open(self, _origin: object) -> Quota:
        return self


@dataclass
class FakeSession:
    principal: Principal | None = ALICE
    origin: Any = None

    def tenant(self, permission: Permission, asked: str | None) -> TenantId:
        assert self.principal is not None
        return self.principal.tenant(permission, asked, TenantId("default"))


@dataclass
class Stage:
    bus: FakeBus
    quota: Quota
    intake: AppIntake
    counts: MetricSet

    async def take(
        self, said: object, who: Principal | None = ALICE, *, id_: Any = None, tenant: str | None = None
    ) -> Ack:
        raw = said if isinstance(said, bytes) else json.dumps(said).encode()
        session: Any = FakeSession(who)
        return await self.intake.take(session, Metrics(id=id_, data=Raw(raw), tenant=tenant))

    async def reached(self, sending: asyncio.Task[Ack]) -> None:
        """Returns when the bus is asked; raises why it is not."""
        called = asyncio.create_task(self.bus.publisher.called.wait())
        await asyncio.wait([called, sending], return_when=asyncio.FIRST_COMPLETED)
        if not called.done():
            called.cancel()
            raise AssertionError("it ended before the bus was asked") from sending.exception()

    @property
    def stored(self) -> list[Any]:
        return [report["body"]["metrics"] for report in self.bus.records.reports]

    def counted(self, verdict: Verdict) -> float:
        return self.counts.registry.get_sample_value(MESSAGES.name, {"verdict": verdict.value}) or 0


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = ManualClock(NOW_MS)
    # On a busy machine the catalogue answers late: that is nobody's concern here.
    bus, quota, counts = fake_bus(clock, catalogue_wait_s=30), Quota(), MetricSet(APP_METRICS)
    rates: Any = quota
    made = AppIntake(bus.reports, rates, clock, counts, max_age_ms=90 * 86_400_000)
    yield Stage(bus, quota, made, counts)
    await made.close()
    await bus.registrar.close()


async def test_the_guides_message_is_acknowledged_after_the_bus_has_report_and_samples(stage: Stage) -> None:
    guide = next(p.data for p in payloads("api.apps.metrics") if p.name == "v1-guide.json")
    message = decode(b'{"type": "metrics", "id": 7, "data": ' + guide + b"}")
    assert isinstance(message, Metrics)
    session: Any = FakeSession()
    assert await stage.intake.take(session, message) == Ack(id=7)
    [(key, report, _)] = stage.bus.records.sent
    assert key == b"acme/shop"
    assert (report["kind"], report["subject"], report["body"]) == ("app", "shop", json.loads(guide))
    assert len(stage.bus.publisher.sent) == stage.quota.charged == stage.quota.counted[0] == 6
    assert stage.counted(Verdict.TAKEN) == 1


@pytest.mark.parametrize("payload", payloads("api.apps.metrics"), ids=lambda p: p.name)
async def test_payloads_are_taken_or_refused_by_their_field(stage: Stage, payload: Payload) -> None:
    if payload.good:
        assert isinstance(await stage.take(payload.data), Ack)
        return
    with pytest.raises((InvalidMetrics, NotFound)) as refused:
        await stage.take(payload.data)
    assert payload.name == "bad-app-other.json" or refused.value.field
    assert stage.bus.records.sent == stage.bus.publisher.sent == []


@pytest.mark.parametrize(
    ("who", "error"),
    [
        (SENDER, None),
        (ALICE, None),
        (person("bob", apps=frozenset({"desk"})), NotFound),
        (person("bob"), NotFound),
        (person("ro", Role.READONLY, apps=frozenset({"shop"})), Forbidden),
        (Principal(PrincipalKind.ANONYMOUS, "anonymous", "anonymous"), CredentialMissing),
        (None, CredentialMissing),
    ],
)  # fmt: skip
async def test_only_who_writes_the_tenant_or_is_assigned_to_the_app_sends(
    stage: Stage, who: Principal | None, error: type[Exception] | None
) -> None:
    if error is None:
        await stage.take(SAID, who)
        return
    with pytest.raises(error):
        await stage.take(SAID, who)
    assert stage.bus.records.sent == stage.bus.publisher.sent == []


async def test_nobody_sends_for_another_tenant(stage: Stage) -> None:
    with pytest.raises(NotFound, match="tenant"):
        await stage.take(SAID, tenant=RIVAL)
    await stage.take(SAID, tenant=ACME)
    assert [report["tenant"] for report in stage.bus.records.reports] == [ACME]


async def test_an_old_client_that_names_no_app_sends_for_its_only_one(stage: Stage) -> None:
    said = {"metrics": {"cpu": {"usage": "7"}}}
    await stage.take(said)
    assert stage.bus.records.reports[0]["subject"] == "shop"
    for who in (person("two", apps=frozenset({"shop", "desk"})), SENDER):
        with pytest.raises(InvalidMetrics) as refused:
            await stage.take(said, who)
        assert refused.value.field == "appId"


async def test_a_burst_keeps_its_order_and_goes_to_the_bus_together(stage: Stage) -> None:
    stage.bus.publisher.gate = asyncio.Event()
    burst = [asyncio.create_task(stage.take(SAID | {"metrics": {f"n{i}": i}}, id_=i)) for i in range(20)]
    await stage.bus.publisher.called.wait()
    stage.bus.publisher.gate.set()
    answers = await asyncio.gather(*burst)
    assert [answer.id for answer in answers] == list(range(20))
    assert stage.stored == [{f"n{i}": i} for i in range(20)]
    assert stage.bus.publisher.calls <= 2, "at most the first, and all that came while it was under way"


async def test_apps_do_not_wait_for_each_other(stage: Stage) -> None:
    who = person("both", apps=frozenset({"shop", "desk"}))
    gate = stage.bus.publisher.gate = asyncio.Event()
    slow = asyncio.create_task(stage.take(SAID, who))
    await stage.reached(slow)
    stage.bus.publisher.gate = None
    await stage.take(SAID | {"appId": "desk"}, who)
    assert not slow.done()
    gate.set()
    await slow


async def test_a_repeat_with_the_same_id_is_one_report_and_one_key(stage: Stage) -> None:
    said = {"appId": "shop", "metrics": {"cpu": {"usage": 1}}}
    await asyncio.gather(*(stage.take(said, id_="a") for _ in range(3)))
    await stage.take(said, id_="a")
    await stage.take(said, id_="b")
    await stage.take(said)
    assert len({report["id"] for report in stage.bus.records.reports}) == 3
    assert len({key for _, _, _, key in stage.bus.publisher.sent}) == 3


async def test_what_fails_is_told_to_each_and_the_next_is_taken(stage: Stage) -> None:
    stage.bus.publisher.fail = BusUnavailable("away")
    ends = await asyncio.gather(*(stage.take(SAID, id_=i) for i in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [BusAwayError] * 3
    assert stage.counted(Verdict.UNAVAILABLE) == 3
    stage.bus.publisher.fail = None
    await stage.take(SAID)
    assert len(stage.stored) == 1


async def test_who_is_over_a_limit_is_refused_and_does_not_block_the_lane(stage: Stage) -> None:
    stage.quota.error = Busy("requests")
    with pytest.raises(Busy):
        await stage.take(SAID)
    stage.quota.error = None
    await stage.take(SAID)
    assert len(stage.stored) == 1


async def test_what_waits_is_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.intake._lanes, "_limit", 150)
    stage.bus.publisher.gate = asyncio.Event()
    first = asyncio.create_task(stage.take(SAID))
    await stage.reached(first)
    with pytest.raises(BufferFullError):
        async with asyncio.timeout(10):
            await stage.take(SAID, id_=2)
    stage.bus.publisher.gate.set()
    await first
    assert stage.intake._lanes.held == 0
    assert stage.intake._lanes._lanes == {}


async def test_what_waits_is_bounded_also_when_its_senders_have_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hears nothing connects again, and sends again."""
    monkeypatch.setattr(stage.intake._lanes, "_limit", 350)
    gate = stage.bus.publisher.gate = asyncio.Event()
    for id_ in range(3):
        sending = asyncio.create_task(stage.take(SAID, id_=id_))
        await stage.reached(sending)
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
    with pytest.raises(BufferFullError):
        async with asyncio.timeout(5):
            await stage.take(SAID, id_=3)
    gate.set()
    await eventually(lambda: not stage.intake._lanes._lanes)
    assert stage.intake._lanes.held == 0
    assert len(stage.stored) == 3, "what was taken in is stored, heard of or not"


async def test_a_bug_in_the_limits_is_told_and_does_not_block_the_lane(stage: Stage) -> None:
    stage.quota.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(5):
            await stage.take(SAID)
    stage.quota.error = None
    await stage.take(SAID)
    assert (len(stage.stored), stage.intake._lanes.held) == (1, 0)


async def test_a_client_that_goes_takes_nobody_with_it(stage: Stage) -> None:
    stage.bus.publisher.gate = asyncio.Event()
    gone, stays = (asyncio.create_task(stage.take(SAID, id_=i)) for i in range(2))
    await stage.bus.publisher.called.wait()
    gone.cancel()
    stage.bus.publisher.gate.set()
    assert (await stays).id == 1
    assert len(stage.stored) == 2


async def test_series_beyond_the_limit_are_named_in_the_answer_of_their_message_only(stage: Stage) -> None:
    stage.bus.catalogue.limit = 1
    first = await stage.take(SAID, id_=1)
    second = await stage.take(SAID | {"metrics": {"other": 1}}, id_=2)
    assert first.rejected == []
    assert "all its 1 series" in second.rejected[0]
    assert {key.name for key in stage.bus.catalogue.series.values()} == {names.APP_CPU_USAGE}
    assert len(stage.stored) == 2
    assert intake.MAX_WAITING_BYTES > 0
