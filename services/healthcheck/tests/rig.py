"""The runner and its targets on doubles of everything around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Secrets, Target
from vigie_healthcheck.checking import Checked
from vigie_healthcheck.metrics import CHECKING_METRICS, CheckingMetrics
from vigie_healthcheck.muting import Muting
from vigie_healthcheck.probes.base import Outcome
from vigie_healthcheck.roster import Roster, TargetLog
from vigie_healthcheck.runner import Runner
from vigie_healthcheck.schedule import Schedule
from vigie_healthcheck.start import steady
from vigie_healthcheck.state import Step
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import StoreUnavailable
from vigie_runtime.metrics import MetricSet
from vigie_storage.health.states import TargetState
from vigie_storage.sealing import Sealing

UP, DOWN, UNKNOWN = Verdict.UP, Verdict.DOWN, Verdict.UNKNOWN
S = 1_000


def target(name: str, version: int = 1, **changes: Any) -> Target:
    return Target(id=name, tenant="acme", name=name, kind="http", version=version, **{"interval_ms": 30 * S, **changes})


@dataclass
class States:
    """What is stored."""

    stored: dict[str, TargetState] = field(default_factory=dict)
    away: bool = False
    reads: int = 0

    async def some(self, ids: Iterable[str]) -> dict[str, TargetState]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable
        return {one: self.stored[one] for one in ids if one in self.stored}


@dataclass
class Added:
    target: Target
    step: Step
    at_ms: int


class Rig:
    def __init__(self, slots: int = 100) -> None:
        self.clock, self.states, self.log = ManualClock(), States(), TargetLog(self.hand_over)
        self.read, self.asked_for = True, dict[str, int]()
        self.begun: list[str] = []
        self.answers: dict[str, Exception | Verdict] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.added: list[Added] = []
        self.forgotten: list[str] = []
        self.handed_over: list[str] = []
        self.taken_over: list[tuple[int, int]] = []
        """Partitions, and how often states had been read by then."""
        self.metrics = MetricSet(CHECKING_METRICS)
        self.measured = CheckingMetrics(self.metrics)
        woken, now_ms = asyncio.Event(), steady(self.clock)
        self.woken, schedule = woken, Schedule()
        self.roster = Roster(
            self.log, schedule, self.states, self.forget, take_over=self.take_over, sealing=Sealing(),
            is_read=lambda: self.read, clock=self.clock, now_ms=now_ms, changed=woken.set,
        )  # type: ignore[arg-type]  # fmt: skip
        muting = Muting(self.states, self.roster.state, self.clock)  # type: ignore[arg-type]
        self.runner = Runner(
            schedule, self.roster, self.check, muting.reason, self.add, asked=self.asked, slots=slots,
            clock=self.clock, now_ms=now_ms, metrics=self.measured, woken=woken,
        )  # fmt: skip

    async def forget(self, target: Target) -> None:
        self.forgotten.append(target.id)

    async def hand_over(self, left: Sequence[str]) -> None:
        self.roster.leave(left)
        self.handed_over += left

    async def take_over(self, partition: int) -> None:
        if self.states.away:
            self.states.reads += 1
            raise StoreUnavailable
        self.taken_over.append((partition, self.states.reads))

    async def asked(self) -> dict[str, int]:
        return self.asked_for

    async def check(self, target: Target, secrets: Secrets) -> Checked:
        self.begun.append(target.id)
        if gate := self.gates.get(target.id):
            await gate.wait()
        answer = self.answers.get(target.id, UP)
        if isinstance(answer, Exception):
            raise answer
        return Checked(Outcome(answer, "" if answer is UP else "it is so", 0.1, {}, {}))

    async def add(self, target: Target, step: Step, checked: Checked, at_ms: int) -> None:
        self.added.append(Added(target, step, at_ms))

    async def say(self, *targets: Target, removed: str = "") -> None:
        """On the log."""
        records = [SimpleNamespace(key=one.id.encode(), value=msgspec.json.encode(one), offset=0) for one in targets]
        records += [SimpleNamespace(key=removed.encode(), value=None, offset=0)] if removed else []
        await self.log.records(0, records)  # type: ignore[arg-type]
        await settled()

    async def pass_(self, seconds: float) -> None:
        """Time goes by, in steps that are no standstill."""
        while seconds > 0:
            self.clock.advance(min(1.0, seconds))
            seconds -= 1.0
            self.woken.set()
            self.runner.look()
            await settled()

    def verdicts(self) -> dict[str, Verdict]:
        return {one.target.id: one.step.state.verdict for one in self.added}


async def settled() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    parts = [asyncio.create_task(work) for work in (rig.roster.run(), rig.runner.listen(), rig.runner.run())]
    await rig.log.assigned(0)
    await settled()
    try:
        yield rig
    finally:
        rig.runner.stop()
        rig.roster.stop()
        for gate in rig.gates.values():
            gate.set()
        while not all(part.done() for part in parts):
            await rig.pass_(1)
        await asyncio.gather(*parts)


async def eventually(rig: Rig, so: Callable[[], bool]) -> None:
    """The roster looks again after a moment."""
    async with asyncio.timeout(10):
        while not so():
            await rig.pass_(0.1)
