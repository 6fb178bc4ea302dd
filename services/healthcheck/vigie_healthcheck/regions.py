"""Targets that are asked from several regions: down only when enough of them see it so.

The processes without a region judge. Their own check of a target counts as one, `here`; the newest ones of the other
regions, as long as they are not too old, as one each. What some see down, but not enough, is degraded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from vigie_contracts.checks import Verdict
from vigie_contracts.problems import shortened
from vigie_contracts.targets import Secrets, Target
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.health.sightings import Sighting

from vigie_healthcheck.checking import Checked
from vigie_healthcheck.probes.base import Outcome

HERE: Final = "here"
"""What the place of the judges is called."""
MARGIN_MS: Final = 5_000
"""Until a sighting is stored, and clocks that are not quite the same."""
_MISSED: Final = 2
_REASON_CHARS: Final = 150
_GOOD: Final = (Verdict.UP, Verdict.DEGRADED)

Check: TypeAlias = Callable[[Target, Secrets], Awaitable[Checked]]
Seen: TypeAlias = Callable[[str], Awaitable[Sequence[Sighting]]]
"""How a target last looked from other regions. Raises StoreUnavailable."""


class Judge:
    """Checks, and asks what others saw."""

    def __init__(self, check: Check, seen: Seen, clock: Clock) -> None:
        self._check, self._seen, self._clock = check, seen, clock

    async def check(self, target: Target, secrets: Secrets) -> Checked:
        """What all regions together say. While the store is away, only this one is known."""
        own = await self._check(target, secrets)
        if not target.regions:
            return own
        try:
            seen = await self._seen(target.id)
        except StoreUnavailable:
            seen = ()
        return replace(own, outcome=agreed(target, own.outcome, seen, self._clock.now_ms()))


def agreed(target: Target, own: Outcome, seen: Sequence[Sighting], now_ms: int) -> Outcome:
    """The outcome of all. Where too few see it down, and it is known of none that it is up, nothing is known."""
    fresh = now_ms - _MISSED * target.period_ms - target.deadline_ms * (target.retries + 1) - MARGIN_MS
    others = {one.region: one for one in seen if one.region in target.regions and one.at_ms >= fresh}
    verdicts = {HERE: own.verdict, **{region: one.verdict for region, one in others.items()}}
    regions = {region: verdict in _GOOD for region, verdict in verdicts.items() if verdict is not Verdict.UNKNOWN}
    reasons = {HERE: own.reason, **{region: one.reason for region, one in others.items()}}
    down = [region for region, verdict in verdicts.items() if verdict is Verdict.DOWN]
    sentence = _sentence(target, down, reasons)
    if len(down) >= target.needed(len(regions)):
        return replace(own, verdict=Verdict.DOWN, reason=sentence, regions=regions)
    if not any(regions.values()):
        what = sentence if down else own.reason
        return replace(own, verdict=Verdict.UNKNOWN, reason=f"too few regions know: {what}", regions=regions)
    if down:
        return replace(own, verdict=Verdict.DEGRADED, reason=sentence, regions=regions)
    if own.verdict in _GOOD:
        return replace(own, regions=regions)
    return replace(own, verdict=Verdict.UP, reason="", regions=regions)


def _sentence(target: Target, down: Sequence[str], reasons: Mapping[str, str]) -> str:
    told = "; ".join(f"{region}: {shortened(reasons[region], _REASON_CHARS)}" for region in down)
    return f"{len(down)} of {target.places} regions see it down: {told}"
