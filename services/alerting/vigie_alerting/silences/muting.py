"""What silences and maintenance mute: the stages of the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vigie_contracts.decisions import Why
from vigie_contracts.problems import shortened
from vigie_contracts.tenants import TenantId
from vigie_query.matchers import Matcher
from vigie_query.times import iso

from vigie_alerting.notifying.item import Item
from vigie_alerting.notifying.muting import Judge, Mute
from vigie_alerting.silences.active import Phase, State, Timing, phase
from vigie_alerting.silences.index import Index
from vigie_alerting.snapshots import Snapshots

_AT_ONCE: Final = 200
"""Alerts that are judged before others have their turn."""
_MAX_COMMENT_CHARS: Final = 200


@dataclass(slots=True)
class Held:
    """A silence or window, as a replica holds it."""

    by: str
    """Its id or name."""
    timing: Timing
    said: str
    """What mutes: `silenced by anna`."""
    comment: str
    _phase: Phase | None = None

    def mutes(self, at_ms: int) -> Phase | None:
        """What holds at that time, when it mutes then."""
        if self._phase is None or not self._phase.holds(at_ms):
            self._phase = phase(self.timing, at_ms)
        return self._phase if self._phase.state is State.ACTIVE else None


def index_of(all_: Iterable[tuple[tuple[Matcher, ...], Held]], now_ms: int) -> Index[Held]:
    """Of those whose end has not come."""
    return Index((matchers, one) for matchers, one in all_ if one.timing.ends is None or one.timing.ends > now_ms)


class TimedMuting:
    """A `Muter`: mutes what any of the tenant's fits while that is active."""

    def __init__(self, held: Snapshots[Index[Held]], why: Why) -> None:
        self._held, self._why = held, why

    async def __call__(self, tenant: TenantId, items: Sequence[Item], now_ms: int) -> list[Mute | None]:
        """One verdict for each. Raises StoreUnavailable."""
        index = await self._held.of(tenant)
        if not len(index):
            return [None] * len(items)
        found: list[Mute | None] = []
        known: dict[str, Mute | None] = {}
        for item in items:
            step = item.transition.id  # it may be on its way to several receivers
            if step not in known:
                known[step] = muted_by(index, item.labels, self._why, now_ms)
                if len(known) % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            found.append(known[step])
        return found

    async def of_the_past(self, tenant: TenantId) -> Judge:
        """The same by what the tenant has now, at any time: those who ask about now keep what they remember. Raises
        StoreUnavailable."""
        index, phases = await self._held.of(tenant), Phases()
        return lambda item, at_ms: muted_by(index, item.labels, self._why, at_ms, phases.of)


class Phases:
    """What held at the time that was asked about last, of each."""

    def __init__(self) -> None:
        self._known: dict[str, Phase] = {}

    def of(self, one: Held, at_ms: int) -> Phase | None:
        """As `Held.mutes`."""
        known = self._known.get(one.by)
        if known is None or not known.holds(at_ms):
            known = self._known[one.by] = phase(one.timing, at_ms)
        return known if known.state is State.ACTIVE else None


def muted_by(
    index: Index[Held],
    labels: Mapping[str, str],
    why: Why,
    at_ms: int,
    mutes: Callable[[Held, int], Phase | None] = Held.mutes,
) -> Mute | None:
    """By which one an alert is muted then: the one that does so longest."""
    longest: tuple[float, Held, Phase] | None = None
    for one in index.of(labels):
        if (holds := mutes(one, at_ms)) is not None:
            until = float("inf") if holds.until is None else holds.until
            if longest is None or until > longest[0]:
                longest = until, one, holds
    if longest is None:
        return None
    _, one, holds = longest
    when = "" if holds.until is None else f" until {iso(holds.until)}"
    comment = f": {shortened(one.comment, _MAX_COMMENT_CHARS)}" if one.comment else ""
    return Mute(why, one.by, f"{one.said}{when}{comment}", holds.until)
