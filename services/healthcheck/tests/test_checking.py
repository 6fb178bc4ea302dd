"""Attempts of a check, and whose fault it is when none goes well."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from vigie_contracts.checks import Verdict
from vigie_contracts.targets import OWN, Secrets, Target
from vigie_healthcheck import checking
from vigie_healthcheck.checking import Checker
from vigie_healthcheck.probes.base import Facts, Failed, Phases, Probe, Question, Way
from vigie_healthcheck.self_check import LoopDelay, Reference, SelfCheck
from vigie_runtime.clock import SystemClock
from vigie_runtime.egress import Egress

from tests.kit.wait import eventually

WAY = Way(Egress(None), ssl.create_default_context())
REFERENCES: list[Reference] = [("one.example", 53), ("two.example", 53)]


def target(**changes: object) -> Target:
    return Target(**{"id": "t", "tenant": "acme", "name": "shop", "kind": "double", **changes})  # type: ignore[arg-type]


async def hangs() -> Facts:
    await asyncio.Event().wait()
    return {}


class Double:
    """A probe that does one thing after the other, the last one for ever. None: it hangs."""

    def __init__(self, *answers: Exception | Facts | None) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, question: Question, way: Way, phases: Phases) -> Facts:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return await hangs() if answer is None else answer


class Network:
    """The references: those named answer."""

    def __init__(self, *works: str) -> None:
        self.works, self.asked = set(works), list[str]()

    async def __call__(self, host: str, port: int) -> None:
        self.asked.append(host)
        await asyncio.sleep(0)
        if host not in self.works:
            raise OSError


def checker(probe: Probe, network: Network | None = None, delay: LoopDelay | None = None) -> Checker:
    references = REFERENCES if network else []
    return Checker({"double": probe}, WAY, SelfCheck(references, delay or LoopDelay(), SystemClock(), network))


async def test_what_goes_well_is_asked_once() -> None:
    probe = Double({"probe_x": 1.0})
    found = await checker(probe).check(target(retries=3), Secrets())
    assert (found.outcome.verdict, found.outcome.facts, found.attempts) == (Verdict.UP, {"probe_x": 1.0}, 1)


async def test_a_retry_that_goes_well_makes_it_up() -> None:
    found = await checker(Double(Failed("no"), OSError(), {})).check(target(retries=2), Secrets())
    assert (found.outcome.verdict, found.attempts) == (Verdict.UP, 3)


async def test_after_its_retries_it_is_down_for_the_last_reason() -> None:
    probe = Double(Failed("first"), Failed("second"))
    found = await checker(probe).check(target(retries=1), Secrets())
    assert (found.outcome.verdict, found.outcome.reason, probe.asked) == (Verdict.DOWN, "second", 2)


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.DEGRADED])
async def test_only_what_is_down_is_asked_again(verdict: Verdict) -> None:
    probe = Double(Failed("so", verdict))
    assert (await checker(probe).check(target(retries=5), Secrets())).attempts == 1


async def test_a_check_is_never_longer_than_its_interval_and_each_attempt_has_its_whole_time() -> None:
    probe = Double(None)
    watched = target(interval_ms=250, timeout_ms=100, retries=50)
    began = time.monotonic()
    found = await checker(probe).check(watched, Secrets())
    assert (found.outcome.verdict, found.attempts) == (Verdict.DOWN, 2)
    assert time.monotonic() - began < 1.0


async def test_what_is_started_together_with_the_prober_is_not_down_before_it_may_be_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, probe = "http://10.0.0.1:1/", Double(Failed("no"), {}, Failed("no"))
    self_check = SelfCheck([], LoopDelay(), SystemClock(), None)
    asked = Checker({"double": probe}, WAY, self_check, [url])
    own = target(url=url, managed_by=OWN)
    found = [(await asked.check(own, Secrets())).outcome for _ in range(3)]
    assert [one.verdict for one in found] == [Verdict.UNKNOWN, Verdict.UP, Verdict.DOWN]
    assert found[0].reason == "it may still be starting; no"
    assert (await asked.check(target(url=url), Secrets())).outcome.verdict is Verdict.DOWN, (
        "people's are judged at once"
    )
    monkeypatch.setattr(checking, "GETTING_READY_S", 0.0)
    silent = Checker({"double": Double(OSError())}, WAY, self_check, [url])
    assert (await silent.check(own, Secrets())).outcome.verdict is Verdict.UNKNOWN, "it does not answer at all yet"
    late = Checker({"double": Double(Failed("no"))}, WAY, self_check, [url])
    assert (await late.check(own, Secrets())).outcome.verdict is Verdict.DOWN


async def test_a_kind_that_is_not_known_is_no_fault_of_the_target() -> None:
    found = await checker(Double({})).check(target(kind="gopher"), Secrets())
    assert found.outcome.verdict is Verdict.UNKNOWN
    assert "gopher" in found.outcome.reason


@pytest.mark.parametrize("failure", [OSError(), TimeoutError()])
async def test_nothing_is_down_while_the_prober_has_no_network(failure: Exception) -> None:
    found = await checker(Double(failure), Network()).check(target(), Secrets())
    assert found.outcome.verdict is Verdict.UNKNOWN
    assert found.outcome.reason.startswith("the prober itself has no network; ")


@pytest.mark.parametrize("failure", [OSError(), TimeoutError()])
async def test_one_reference_that_answers_is_enough_to_blame_the_target(failure: Exception) -> None:
    found = await checker(Double(failure), Network("two.example")).check(target(), Secrets())
    assert found.outcome.verdict is Verdict.DOWN


@pytest.mark.parametrize("failure", [Failed("the status is 500"), ConnectionRefusedError()])
async def test_what_answered_is_down_whatever_the_network_does(failure: Exception) -> None:
    network = Network()
    found = await checker(Double(failure), network).check(target(), Secrets())
    assert (found.outcome.verdict, network.asked) == (Verdict.DOWN, [])


async def test_all_that_fail_at_the_same_time_share_one_self_check() -> None:
    network = Network("one.example")
    asked = checker(Double(OSError()), network)
    found = await asyncio.gather(*(asked.check(target(), Secrets()) for _ in range(50)))
    await asked.check(target(), Secrets())
    assert {one.outcome.verdict for one in found} == {Verdict.DOWN}
    assert len(network.asked) <= len(REFERENCES)


async def test_a_check_that_is_given_up_does_not_end_the_self_check_of_others() -> None:
    going = asyncio.Event()

    async def connect(host: str, port: int) -> None:
        await going.wait()

    asked = Checker({"double": Double(OSError())}, WAY, SelfCheck(REFERENCES, LoopDelay(), SystemClock(), connect))
    first, second = (asyncio.create_task(asked.check(target(), Secrets())) for _ in range(2))
    for _ in range(5):
        await asyncio.sleep(0)
    first.cancel()
    going.set()
    assert (await second).outcome.verdict is Verdict.DOWN


@asynccontextmanager
async def watched_loop() -> AsyncIterator[LoopDelay]:
    delay = LoopDelay()
    task = asyncio.create_task(delay.run())
    await asyncio.sleep(0)
    try:
        yield delay
    finally:
        delay.stop()
        await task


def hold_up() -> None:
    """The event loop."""
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass


async def test_a_prober_that_stood_still_says_unknown() -> None:
    async def asked(question: Question, way: Way, phases: Phases) -> Facts:
        hold_up()
        return await hangs()

    async with watched_loop() as delay:
        found = await checker(asked, None, delay).check(target(timeout_ms=200), Secrets())
    assert found.outcome.verdict is Verdict.UNKNOWN
    assert found.outcome.reason.startswith("the prober was held up for 0.")


async def test_a_standstill_before_the_check_excuses_nothing() -> None:
    clock = time.monotonic
    async with watched_loop() as delay:
        before = clock()
        hold_up()
        await eventually(lambda: bool(delay._late))
        assert delay.worst(before) >= 0.15
        assert delay.worst(clock()) < delay.worst(before)


async def test_only_an_own_target_at_its_own_address_may_be_in_any_network() -> None:
    ways: list[Egress] = []

    async def looks(question: Question, way: Way, phases: Phases) -> Facts:
        ways.append(way.egress)
        await way.egress.addresses("127.0.0.1", 80)
        return {}

    at = "http://127.0.0.1:1/health/ready"
    way = Way(Egress(()), WAY.trust)
    made = Checker({"double": looks}, way, SelfCheck([], LoopDelay(), SystemClock()), [at])

    async def verdict(**changes: object) -> Verdict:
        return (await made.check(target(**changes), Secrets())).outcome.verdict

    assert await verdict(managed_by=OWN, url=at) is Verdict.UP
    assert await verdict(managed_by=OWN, url="http://127.0.0.1:1/other") is Verdict.UNKNOWN  # people changed it
    assert await verdict(url=at) is Verdict.UNKNOWN
    assert await verdict(managed_by="targets.yaml", url=at) is Verdict.UNKNOWN
