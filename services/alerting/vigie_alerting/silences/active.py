"""When something mutes: once from a start to an end, or again and again by a recurrence rule. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from vigie_alerting.silences.occurrences import Occurrences
from vigie_alerting.silences.rrule import InvalidRruleError, parse

UTC: Final = "UTC"
_REMEMBERED: Final = 10_000


class Timing(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """From `starts` to before `ends` (None: without end), Unix milliseconds. With `rrule`: in that time, for
    `duration_ms` from each occurrence of the rule on."""

    starts: int
    ends: int | None = None
    rrule: str = ""
    zone: str = UTC
    """IANA: by whose clock the rule goes."""
    duration_ms: int = 0
    """As it passes: one that begins before the clock is put back ends an hour earlier by the clock."""


class State(StrEnum):
    """As Alertmanager calls them."""

    PENDING = "pending"
    """It does not mute now, and will."""
    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Phase:
    """What holds at one time."""

    state: State
    since: int
    """The time that was asked about, or earlier: what is said holds from then on."""
    until: int | None = None
    """The state does not change before; it may stay the same then, where occurrences overlap. None: never."""

    def holds(self, at_ms: int) -> bool:
        """Whether it is still so."""
        return self.since <= at_ms and (self.until is None or at_ms < self.until)


def state(timing: Timing, at_ms: int) -> State:
    """Of something with this timing, at that time."""
    return phase(timing, at_ms).state


def next_change(timing: Timing, at_ms: int) -> int | None:
    """When the state may change next; None: never."""
    return phase(timing, at_ms).until


def phase(timing: Timing, at_ms: int) -> Phase:
    """The state at that time, and how long it stays so."""
    if timing.ends is not None and at_ms >= timing.ends:
        return Phase(State.EXPIRED, timing.ends)
    if not timing.rrule:
        if at_ms < timing.starts:
            return Phase(State.PENDING, at_ms, timing.starts)
        return Phase(State.ACTIVE, timing.starts, timing.ends)
    return _recurring(timing, at_ms)


def windows(timing: Timing, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """The parts of that time in which it would mute had it always been there: all of it for what does not recur.
    Ascending, none overlaps another."""
    if not timing.rrule:
        return [(from_ms, to_ms)]
    found: list[tuple[int, int]] = []
    for start in occurrences(timing).between(from_ms - timing.duration_ms + 1, to_ms):
        begin, end = max(start, from_ms), min(start + timing.duration_ms, to_ms)
        if found and begin <= found[-1][1]:
            begin = found.pop()[0]
        found.append((begin, end))
    return found


@lru_cache(_REMEMBERED)
def occurrences(timing: Timing) -> Occurrences:
    """Of its rule. Raises InvalidRruleError; ZoneInfoNotFoundError, ValueError and OSError for no zone."""
    return Occurrences.of(parse(timing.rrule), timing.starts, ZoneInfo(timing.zone))


def _recurring(timing: Timing, at_ms: int) -> Phase:
    try:
        all_ = occurrences(timing)
    except (InvalidRruleError, ZoneInfoNotFoundError, ValueError, OSError):
        # Judged when it was written: what this version does not understand any more mutes nobody.
        return Phase(State.EXPIRED, at_ms)
    first = timing.starts - timing.starts % 1000
    last = all_.last_between(max(first, at_ms - timing.duration_ms + 1), at_ms + 1)
    if last is not None:
        end = last + timing.duration_ms
        return Phase(State.ACTIVE, last, end if timing.ends is None else min(end, timing.ends))
    following = next(all_.after(max(first, at_ms + 1)), None)
    if following is None or (timing.ends is not None and following >= timing.ends):
        return Phase(State.EXPIRED, at_ms)
    return Phase(State.PENDING, at_ms, following)
