"""Whoever watches is told of every transition, and nothing waits for that."""

import asyncio
from dataclasses import dataclass, field

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from vigie_alerting.announcer import MAX_TOGETHER, MAX_WAITING, UNANNOUNCED, Announcer
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.tenants import TenantId
from vigie_runtime.clock import ManualClock
from vigie_runtime.metrics import MetricSet
from vigie_runtime.redis_breaker import PAUSE_S, REDIS_AWAY
from vigie_storage.alerts.live import LiveFeed, LiveTransitions, transitions_channel


def step(number: int, tenant: str = "acme") -> Transition:
    return Transition(
        id=f"{tenant}-{number}", fingerprint="f", tenant=tenant, rule_id="r", from_state=None,
        to_state=AlertState.FIRING, timestamp=number, reason="held",
    )  # fmt: skip


@dataclass
class Redis:
    told: list[tuple[str, LiveTransitions]] = field(default_factory=list)
    away: bool = False
    refused: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, channel: str, record: bytes) -> None:
        if self.away:
            self.refused.set()
            raise RedisConnectionError("gone")
        self.told.append((channel, msgspec.json.decode(record, type=LiveTransitions)))

    @property
    def ids(self) -> list[str]:
        return [step.id for _, record in self.told for step in record.transitions]


@dataclass
class Rig:
    redis: Redis = field(default_factory=Redis)
    clock: ManualClock = field(default_factory=ManualClock)
    metrics: MetricSet = field(default_factory=lambda: MetricSet([UNANNOUNCED, REDIS_AWAY]))

    def announcer(self) -> Announcer:
        return Announcer(LiveFeed(self.redis), self.clock, self.metrics)  # type: ignore[arg-type]

    @property
    def lost(self) -> float:
        return self.metrics.registry.get_sample_value("vigie_alerting_unannounced_transitions_total") or 0.0


async def test_steps_are_announced_to_their_tenant_in_their_order() -> None:
    rig = Rig()
    announcer = rig.announcer()
    running = asyncio.create_task(announcer.run())
    announcer.announce([step(1), step(2), step(3, "rival"), step(4)])
    announcer.stop()
    await running
    assert [(channel, [one.id for one in record.transitions]) for channel, record in rig.redis.told] == [
        (transitions_channel(TenantId("acme")), ["acme-1", "acme-2"]),
        (transitions_channel(TenantId("rival")), ["rival-3"]),
        (transitions_channel(TenantId("acme")), ["acme-4"]),
    ]
    assert rig.redis.told[0][1].stored == rig.clock.now_ms()
    assert rig.lost == 0


async def test_a_record_holds_so_many_steps_at_most() -> None:
    rig = Rig()
    announcer = rig.announcer()
    announcer.announce([step(number) for number in range(MAX_TOGETHER + 1)])
    announcer.stop()
    await announcer.run()
    assert [len(record.transitions) for _, record in rig.redis.told] == [MAX_TOGETHER, 1]


async def test_while_redis_is_away_steps_are_left_out_and_counted() -> None:
    rig = Rig(Redis(away=True))
    announcer = rig.announcer()
    running = asyncio.create_task(announcer.run())
    announcer.announce([step(1), step(2)])
    await rig.redis.refused.wait()
    rig.redis.away = False
    rig.clock.advance(PAUSE_S)
    announcer.announce([step(3)])
    announcer.stop()
    await running
    assert rig.redis.ids == ["acme-3"]
    assert rig.lost == 2


async def test_the_newest_steps_wait_when_there_are_too_many() -> None:
    rig = Rig()
    announcer = rig.announcer()
    announcer.announce([step(number) for number in range(MAX_WAITING + 5)])
    assert rig.lost == 5
    announcer.stop()
    await announcer.run()
    assert (rig.redis.ids[0], len(rig.redis.ids)) == ("acme-5", MAX_WAITING)
