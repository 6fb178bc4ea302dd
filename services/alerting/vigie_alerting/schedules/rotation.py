"""Who a schedule says is on call, at one moment and over a time.

Hand-offs are moments of a wall clock: 09:00 stays 09:00 when summer time begins. A wall-clock time that is skipped then
is taken with the offset from before, so that it comes an hour later; of one that comes twice the first counts (both as
RFC 5545 has it).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall_time
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vigie_alerting.schedules.model import DAY_MINUTES, Layer, Restriction, Schedule, Weekday

_WEEKDAYS: Final = tuple(Weekday)
_DAY: Final = timedelta(days=1)
_LOOK_AHEAD_MS: Final = tuple(days * 86_400_000 for days in (2, 16, 128))
"""How far the next change is looked for, one after the other: most come soon."""


class Shift(NamedTuple):
    """Somebody is on call from `start` until `end`, exclusive; Unix milliseconds."""

    person: str
    start: int
    end: int
    by: str
    """The name of the layer, or the id of the override, that says so."""
    override: bool = False


class Gap(NamedTuple):
    """Nobody is on call from `start` until `end`."""

    start: int
    end: int


class Now(NamedTuple):
    """Who is on call at a moment, and who after that."""

    person: str | None
    by: str
    """The layer or override that says so; empty when nobody is."""
    until: int | None
    """When somebody else, or nobody, is. None: in the next four months nothing changes."""
    next: str | None
    """Who is on call next, maybe after a gap."""
    next_at: int | None


def on_call(schedule: Schedule, at_ms: int) -> tuple[str, str] | None:
    """The person and what says so: the name of a layer or the id of an override. None: nobody is."""
    for override in reversed(schedule.overrides):
        if override.start <= at_ms < override.end:
            return override.person, override.id
    for layer in reversed(schedule.layers):
        turns = _Turns(layer, zone_of(layer.timezone or schedule.timezone))
        turn = turns.at(at_ms)
        if turn >= 0 and turns.open(at_ms):
            return turns.person(turn), layer.name
    return None


def shifts(schedule: Schedule, from_ms: int, to_ms: int) -> list[Shift]:
    """Everything between the two moments in order, cut at both; what one says after the other about one person is one
    shift."""
    found: list[Shift] = []
    for layer in schedule.layers:
        found = _over(found, list(_Turns(layer, zone_of(layer.timezone or schedule.timezone)).shifts(from_ms, to_ms)))
    for one in schedule.overrides:
        start, end = max(one.start, from_ms), min(one.end, to_ms)
        if start < end:
            found = _over(found, [Shift(one.person, start, end, one.id, override=True)])
    return list(_joined(found))


def gaps(found: Iterable[Shift], from_ms: int, to_ms: int) -> list[Gap]:
    """What these shifts, in order, leave of the time between the two moments."""
    left: list[Gap] = []
    at = from_ms
    for shift in found:
        if shift.start > at:
            left.append(Gap(at, shift.start))
        at = max(at, shift.end)
    return [*left, Gap(at, to_ms)] if at < to_ms else left


def now(schedule: Schedule, at_ms: int) -> Now:
    """Who is on call then, until when, and who comes next."""
    found = on_call(schedule, at_ms)
    person, by = found or (None, "")
    until: int | None = None
    for ahead in _LOOK_AHEAD_MS:
        end = at_ms
        for shift in shifts(schedule, at_ms, at_ms + ahead):
            if shift.person != person or shift.start != end:
                return Now(person, by, shift.start if person is None else end, shift.person, shift.start)
            end = shift.end
        until = end if person is not None and end < at_ms + ahead else None
    return Now(person, by, until, None, None)


class _Turns:
    """Of one layer, by its clock."""

    def __init__(self, layer: Layer, zone: ZoneInfo) -> None:
        self._layer, self._zone = layer, zone
        self._period = layer.every * layer.unit.days

    def begins(self, turn: int) -> int:
        return _instant(self._layer.start + timedelta(days=turn * self._period), self._layer.handoff, self._zone)

    def at(self, at_ms: int) -> int:
        """The last turn that has begun by then; negative before the first."""
        turn = (_day(at_ms, self._zone) - self._layer.start).days // self._period + 1
        while self.begins(turn) > at_ms:
            turn -= 1
        return turn

    def person(self, turn: int) -> str:
        return self._layer.people[turn % len(self._layer.people)]

    def open(self, at_ms: int) -> bool:
        """Whether the restrictions let anybody be on call then."""
        restrictions = self._layer.restrictions
        return not restrictions or any(
            start <= at_ms < end for one in restrictions for start, end in _windows(one, at_ms, at_ms, self._zone)
        )

    def shifts(self, from_ms: int, to_ms: int) -> Iterator[Shift]:
        """In order, cut at both moments."""
        turn = max(self.at(from_ms), 0)
        start = self.begins(turn)
        for window_start, window_end in self._windows(from_ms, to_ms):
            at = max(window_start, start)
            while at < window_end:
                while (end := self.begins(turn + 1)) <= at:
                    turn += 1
                until = min(end, window_end)
                yield Shift(self.person(turn), at, until, self._layer.name)
                at = until

    def _windows(self, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
        """When the layer has anybody, in order, none touching another."""
        if not self._layer.restrictions:
            return [(from_ms, to_ms)]
        found: list[tuple[int, int]] = []
        each = (_windows(one, from_ms, to_ms, self._zone) for one in self._layer.restrictions)
        for start, end in sorted((max(a, from_ms), min(b, to_ms)) for windows in each for a, b in windows):
            if start >= end:
                continue
            if found and start <= found[-1][1]:
                found[-1] = found[-1][0], max(found[-1][1], end)
            else:
                found.append((start, end))
        return found


def _windows(restriction: Restriction, from_ms: int, to_ms: int, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Those that may reach into this time: one begins at most a day before it."""
    day, last = _day(from_ms, zone) - 2 * _DAY, _day(to_ms, zone) + _DAY
    end = restriction.end + (DAY_MINUTES if restriction.end <= restriction.start else 0)
    while day <= last:
        if not restriction.weekdays or _WEEKDAYS[day.weekday()] in restriction.weekdays:
            yield _instant(day, restriction.start, zone), _instant(day, end, zone)
        day += _DAY


def _over(below: Sequence[Shift], above: Sequence[Shift]) -> list[Shift]:
    """Both, where those above are in the place of those below. Both are in order, and so is what comes of it."""
    ends = [shift.end for shift in above]
    found = list(above)
    for shift in below:
        at = shift.start
        for index in range(bisect_right(ends, at), len(above)):
            top = above[index]
            if top.start >= shift.end:
                break
            if top.start > at:
                found.append(shift._replace(start=at, end=top.start))
            at = top.end
        if at < shift.end:
            found.append(shift._replace(start=at))
    return sorted(found, key=lambda shift: shift.start)


def _joined(found: Iterable[Shift]) -> Iterator[Shift]:
    last: Shift | None = None
    for shift in found:
        if last is not None and (last.end, last.person, last.by) == (shift.start, shift.person, shift.by):
            last = last._replace(end=shift.end)
            continue
        if last is not None:
            yield last
        last = shift
    if last is not None:
        yield last


def zone_of(name: str) -> ZoneInfo:
    """UTC for a name that was good when it was written, and is not in the time zones of this process: better somebody
    at the wrong hour than nobody."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _day(at_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()


def _instant(day: date, minute: int, zone: ZoneInfo) -> int:
    """The wall-clock time that is so many minutes after midnight, by name and not by what passes meanwhile."""
    wall = datetime.combine(day, wall_time()) + timedelta(minutes=minute)
    return int(wall.replace(tzinfo=zone).timestamp()) * 1000
