"""One check of one target: its attempts, and whether what they found is the target's fault or the prober's."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vigie_contracts.checks import Verdict
from vigie_contracts.targets import OWN, Secrets, Target

from vigie_healthcheck.probes.base import Outcome, Probe, Question, Way, ask
from vigie_healthcheck.self_check import SelfCheck

STARTING_S: Final = 60.0
"""What is Vigie's own is started together with the prober, and may need so long until it can be reached..."""
GETTING_READY_S: Final = 20.0
"""... and so long until it answers that it is well."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: the outcome of its last attempt."""

    outcome: Outcome
    attempts: int = 1


class Checker:
    """Asks targets."""

    def __init__(
        self, probes: Mapping[str, Probe], way: Way, self_check: SelfCheck, own_urls: Collection[str] = ()
    ) -> None:
        """`own_urls`: where Vigie's own parts are. Who runs Vigie named them: in any network."""
        self._probes, self._way, self._self_check = probes, way, self_check
        self._own_urls, self._own_way = frozenset(own_urls), replace(way, egress=way.egress.to_anywhere())
        self._began, self._seen_up = time.monotonic(), set[str]()
        """Of Vigie's own targets, those that have answered since then."""

    async def check(self, target: Target, secrets: Secrets) -> Checked:
        """Ask, and while it does not answer as it should, ask again at once, as often as it is configured and its
        interval has room for. What a probe raises beside its verdicts is a fault of the program."""
        probe = self._probes.get(target.kind)
        if probe is None:
            return Checked(unknown(f"this version cannot ask targets of the kind {target.kind}"), 0)
        own = target.managed_by == OWN and target.url in self._own_urls
        way = self._own_way if own else self._way
        question, timeout_s = Question.of(target, secrets), target.deadline_ms / 1000
        end, attempts = time.monotonic() + target.period_ms / 1000, 0
        while True:
            began, attempts = time.monotonic(), attempts + 1
            outcome = await ask(probe, question, timeout_s, way)
            if outcome.verdict is not Verdict.DOWN or attempts > target.retries or time.monotonic() + timeout_s > end:
                break
        if outcome.verdict is Verdict.DOWN and outcome.unreachable:
            fault = await self._self_check.fault(began, timeout_s)
            if fault:
                outcome = replace(outcome, verdict=Verdict.UNKNOWN, reason=f"{fault}; {outcome.reason}", facts={})
        return Checked(self._started(target, outcome) if own else outcome, attempts)

    def _started(self, target: Target, outcome: Outcome) -> Outcome:
        """Nobody is woken because the parts of Vigie come up one after the other."""
        if outcome.verdict is not Verdict.DOWN:
            self._seen_up.add(target.id)
        elif target.id not in self._seen_up and time.monotonic() - self._began < (
            STARTING_S if outcome.unreachable else GETTING_READY_S
        ):
            return replace(outcome, verdict=Verdict.UNKNOWN, reason=f"it may still be starting; {outcome.reason}")
        return outcome


def unknown(reason: str, duration_s: float = 0.0) -> Outcome:
    """The outcome of what could not be asked."""
    return Outcome(Verdict.UNKNOWN, reason, duration_s, {}, {})
