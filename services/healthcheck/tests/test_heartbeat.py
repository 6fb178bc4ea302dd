"""What a beat, or none, says of a target."""

from __future__ import annotations

from datetime import timedelta

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Secrets, Target
from vigie_contracts.tenants import TenantId
from vigie_healthcheck.checking import Checker
from vigie_healthcheck.probes.base import Failed, Outcome, Question, Way, ask
from vigie_healthcheck.probes.heartbeat import judged
from vigie_healthcheck.probes.registry import PROBES
from vigie_healthcheck.self_check import LoopDelay, SelfCheck
from vigie_runtime.clock import SystemClock
from vigie_runtime.egress import Egress
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.health.beats import Beat

NOW = 1_790_000_000_000
MINUTE = timedelta(minutes=1)


def beat(at_ms: int, *, failed: bool = False, code: int | None = None, since_ms: int = NOW - 3_600_000) -> Beat:
    return Beat("t1", TenantId("acme"), at_ms, failed, code, since_ms)


def reason(one: Beat, verdict: Verdict = Verdict.DOWN) -> str:
    with pytest.raises(Failed) as failed:
        judged(one, MINUTE, timedelta(seconds=10), NOW)
    assert failed.value.verdict is verdict
    return failed.value.reason


def test_it_is_up_until_interval_and_timeout_are_over() -> None:
    assert judged(beat(NOW - 70_000), MINUTE, timedelta(seconds=10), NOW) == {"probe_heartbeat_age_seconds": 70.0}
    assert reason(beat(NOW - 70_001)) == (
        "it was last heard of at 2026-09-21T14:12:09.999Z; it is to be heard of every 1 min"
    )
    assert judged(beat(NOW + 5_000), MINUTE, MINUTE, NOW) == {"probe_heartbeat_age_seconds": 0.0}, "a clock ahead"


def test_what_says_that_it_failed_is_down_at_once_and_up_after_a_good_beat() -> None:
    said = "it said at 2026-09-21T14:13:19.000Z that it has failed"
    assert reason(beat(NOW - 1_000, failed=True)) == said
    assert reason(beat(NOW - 1_000, failed=True, code=3)) == f"{said} with exit code 3"
    assert judged(beat(NOW, code=0), MINUTE, MINUTE, NOW)["probe_heartbeat_exit_code"] == 0.0


def test_what_was_never_heard_of_is_unknown_until_it_is_late() -> None:
    assert "not heard of yet" in reason(beat(0, since_ms=NOW - 70_000), Verdict.UNKNOWN)
    assert "never heard of since 2026-09-21" in reason(beat(0, since_ms=NOW - 70_001))


class Heard:
    def __init__(self, found: Beat | Exception | None) -> None:
        self.found = found

    async def last(self, target: str) -> Beat | None:
        assert target == "t1"
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


async def asked(found: Beat | Exception | None) -> Outcome:
    question = Question("", target="t1", heard_every=MINUTE, may_be_late=MINUTE)
    return await ask(PROBES["heartbeat"], question, 1.0, Way(Egress(()), beats=Heard(found)))


async def test_what_the_store_does_not_say_is_not_the_fault_of_the_target() -> None:
    for nothing in (StoreUnavailable(), None):
        got = await asked(nothing)
        assert got.verdict is Verdict.UNKNOWN
        assert got.reason
    without = await ask(PROBES["heartbeat"], Question("", target="t1"), 1.0, Way(Egress(())))
    assert without.verdict is Verdict.UNKNOWN


async def test_a_heartbeat_that_may_not_be_late_is_checked_all_the_same() -> None:
    clock = SystemClock()
    way = Way(Egress(()), beats=Heard(beat(clock.now_ms() - 1_000)))
    checker = Checker(PROBES, way, SelfCheck((), LoopDelay(), clock))
    target = Target(id="t1", tenant="acme", name="job", kind="heartbeat", interval_ms=86_400_000, timeout_ms=0)
    checked = await checker.check(target, Secrets())
    assert (checked.outcome.verdict, checked.outcome.reason) == (Verdict.UP, "")
    assert target.period_ms == 10_000, "one that is late is missed soon"
    late = Way(Egress(()), beats=Heard(beat(clock.now_ms() - 86_500_000)))
    checked = await Checker(PROBES, late, SelfCheck((), LoopDelay(), clock)).check(target, Secrets())
    assert checked.outcome.verdict is Verdict.DOWN
    assert checked.outcome.reason.endswith("it is to be heard of every 24 h")
