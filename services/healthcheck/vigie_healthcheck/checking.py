"""One check of one target: its attempts, and whether what they found is the target's fault or the prober's."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from vigie_contracts.checks import Verdict
from vigie_contracts.targets import OWN, Secrets, Target

from vigie_healthcheck.probes.base import Outcome, Probe, Question, Way, ask
from vigie_healthcheck.self_check import SelfCheck


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

    async def check(self, target: Target, secrets: Secrets) -> Checked:
        """Ask, and while it does not answer as it should, ask again at once, as often as it is configured and its
        interval has room for. What a probe raises beside its verdicts is a fault of the program."""
        probe = self._probes.get(target.kind)
        if probe is None:
            return Checked(unknown(f"this version cannot ask targets of the kind {target.kind}"), 0)
        way = self._own_way if target.managed_by == OWN and target.url in self._own_urls else self._way
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
        return Checked(outcome, attempts)


def unknown(reason: str, duration_s: float = 0.0) -> Outcome:
    """The outcome of what could not be asked."""
    return Outcome(Verdict.UNKNOWN, reason, duration_s, {}, {})
