"""The checks of this process, and the order in which they come up: results, targets of its partitions, the runner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from vigie_contracts.targets import Target
from vigie_publishing.publishers import NamedPublisher
from vigie_runtime import clients
from vigie_runtime.bus import topics
from vigie_runtime.bus.log_reader import LogReader
from vigie_runtime.bus.records import RecordPublisher
from vigie_runtime.bus.topics import TopicIdentity
from vigie_runtime.clients import Database, Redis
from vigie_runtime.clock import Clock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet
from vigie_storage.health.live import HealthFeed
from vigie_storage.health.sightings import Sightings
from vigie_storage.health.states import HealthStates
from vigie_storage.mongo import patiently

from vigie_healthcheck.checking import Checker
from vigie_healthcheck.metrics import CheckingMetrics
from vigie_healthcheck.muting import Muting
from vigie_healthcheck.probes.base import Way
from vigie_healthcheck.probes.registry import PROBES
from vigie_healthcheck.publishing import CheckPublisher
from vigie_healthcheck.recording import StateRecorder
from vigie_healthcheck.regions import Judge
from vigie_healthcheck.results import Results
from vigie_healthcheck.roster import Forget, HandOver, Roster, TakeOver, TargetLog
from vigie_healthcheck.runner import AddResult, Runner
from vigie_healthcheck.schedule import Schedule
from vigie_healthcheck.self_check import LoopDelay, SelfCheck
from vigie_healthcheck.settings import HealthcheckSettings
from vigie_healthcheck.sighted import Sighted

SERVICE: Final = "healthcheck"


@dataclass(frozen=True, slots=True)
class Outlet:
    """What becomes of checks: their results are stored, or only what this region saw."""

    add: AddResult
    forget: Forget
    hand_over: HandOver
    take_over: TakeOver


@dataclass(frozen=True, slots=True)
class RunningChecks:
    """The tasks that check."""

    runner: Runner
    roster: Roster
    reader: LogReader

    @property
    def ready(self) -> bool:
        """Whether the targets of this process are known, and checked."""
        return self.reader.ready


async def start(
    life: Lifespan,
    settings: HealthcheckSettings,
    database: Database,
    redis: Redis,
    *,
    way: Way,
    samples: NamedPublisher,
    targets: TopicIdentity,
    own_urls: Collection[str] = (),
    clock: Clock,
    metrics: MetricSet,
) -> RunningChecks:
    """Up: everything that is due is checked from here on. `metrics` declares CHECKING_METRICS, RESULTS_METRICS,
    LOGREADER_METRICS and what publishers count."""
    measured, states = CheckingMetrics(metrics), HealthStates(database)
    sightings, region = Sightings(database), settings.probe_region
    await life.up("what other regions see", patiently("preparing sightings", sightings.prepare))
    if region:
        outlet = _sighted(life, region, sightings)
    else:
        recorder = StateRecorder(database, targets.topic, clock)
        life.on_down("session of the states", recorder.close)
        outlet = await _results(life, settings, recorder, redis, samples=samples, clock=clock, metrics=metrics)
    delay = LoopDelay()
    life.run("delay of the event loop", delay.run(), delay.stop)
    self_check = SelfCheck(settings.references, delay, clock, report=_reporter(measured))
    life.on_down("self-check", self_check.close)
    now_ms = steady(clock)
    schedule, woken = Schedule(), asyncio.Event()

    async def hand_over(left: Sequence[str]) -> None:
        roster.leave(left)
        await outlet.hand_over(left)

    log = TargetLog(hand_over)
    reader = LogReader(
        lambda: clients.kafka_consumer(
            settings,
            client_id=f"vigie-{SERVICE}-targets",
            # A region shares the targets among its own processes.
            group_id=settings.healthcheck_group + (f"-{region}" if region else ""),
            instance_id=settings.healthcheck_instance,
        ),
        targets,
        log,
        mode="group",
        tick_s=0.5,
        identify=partial(topics.identify, clients.kafka_admin(settings), targets.topic),
        metrics=metrics,
    )
    roster = Roster(
        log, schedule, states, outlet.forget, take_over=outlet.take_over, sealing=settings.sealing,
        is_read=lambda: reader.caught_up, clock=clock, now_ms=now_ms, changed=woken.set,
        wanted=lambda one: not region or region in one.regions,
    )  # fmt: skip
    check, muted = Checker(PROBES, way, self_check, own_urls).check, _never_muted
    if not region:
        check, muted = Judge(check, sightings.of, clock).check, Muting(states, roster.state, clock).reason
    runner = Runner(
        schedule, roster, check, muted, outlet.add, asked=states.asked, slots=settings.probe_concurrency,
        clock=clock, now_ms=now_ms, metrics=measured, woken=woken,
    )  # fmt: skip
    life.run("log of targets", reader.run(), reader.stop)
    # Before the log is left, so that who reads it next begins where this process was.
    life.on_down("results", lambda: outlet.hand_over(()))
    life.run("targets of this process", roster.run(), roster.stop)
    life.run("checks that are asked for", runner.listen(), runner.stop)
    life.run("checks", runner.run(), runner.stop)
    return RunningChecks(runner, roster, reader)


async def _results(
    life: Lifespan, settings: HealthcheckSettings, recorder: StateRecorder, redis: Redis, *, samples: NamedPublisher,
    clock: Clock, metrics: MetricSet,
) -> Outlet:  # fmt: skip
    records = RecordPublisher(
        lambda: clients.kafka_producer(settings, client_id=f"vigie-{SERVICE}-checks"),
        settings.checks_topic,
        settings.partitions,
        source=f"/vigie/{SERVICE}",
        clock=clock,
        metrics=metrics,
    )
    await life.up("check publisher", records.start())
    life.on_down("check publisher", records.close)
    await life.up("states of targets", patiently("preparing states of targets", recorder.prepare))
    results = Results(CheckPublisher(samples, records), recorder, HealthFeed(redis), clock, metrics)
    life.run("results of checks", results.run(), results.stop)
    return Outlet(results.add, results.remove, results.hand_over, recorder.take_over)


def _sighted(life: Lifespan, region: str, sightings: Sightings) -> Outlet:
    sighted = Sighted(region, sightings)
    life.run("what this region sees", sighted.run(), sighted.stop)
    return Outlet(sighted.add, _nothing, sighted.leave, _nothing)


async def _nothing(_: object) -> None:
    """The states of targets are not this region's."""


async def _never_muted(_target: Target, _at_ms: int) -> str:
    return ""


def steady(clock: Clock) -> Callable[[], int]:
    """Unix milliseconds that go on evenly, whatever is done to the system's clock from here on."""
    began_ms, began = clock.now_ms(), clock.monotonic()
    return lambda: began_ms + int((clock.monotonic() - began) * 1000)


def _reporter(metrics: CheckingMetrics) -> Callable[[bool], None]:
    return lambda works: metrics.self_check_failed.set(not works)
