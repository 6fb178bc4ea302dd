"""When a recurrence rule occurs. Pure, and bounded: a question looks at the periods of the rule in the time that it
asks about, and at no others, however long ago the rule began.

Rules go by the clock on the wall of their zone, as RFC 5545 has it. A time that a day skips when the clock is put
forward is as long after the jump as it would have been; of one that comes twice the first counts.
"""

from __future__ import annotations

import calendar
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from vigie_alerting.silences.rrule import Frequency, Rrule, Weekday

MAX_PERIODS: Final = 10_300
"""That one question looks at: 28 years of days, or 14 months of hours."""
_AHEAD: Final = timedelta(days=28 * 366)
"""Every date has been on every day of the week by then."""
_DAY: Final = timedelta(days=1)
_LAST: Final = datetime(9998, 1, 1)  # noqa: DTZ001 - on the wall, as all times here that have no zone


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Those of a rule that begins at `first`, by the clock of `zone`. What the rule does not say is taken from there,
    and its COUNT and UNTIL are not looked at: see `last`."""

    rule: Rrule
    first: datetime
    zone: ZoneInfo

    @classmethod
    def of(cls, rule: Rrule, first_ms: int, zone: ZoneInfo) -> Occurrences:
        """The rule begins at that time, whose milliseconds do not count."""
        first = datetime.fromtimestamp(first_ms // 1000, zone).replace(tzinfo=None)
        return cls(_completed(rule, first), first, zone)

    def after(self, at_ms: int) -> Iterator[int]:
        """From that time on, ascending, Unix milliseconds. It ends where none is found in MAX_PERIODS."""
        return self._between(at_ms, None)

    def between(self, from_ms: int, to_ms: int) -> Iterator[int]:
        """Those from that time on to before the other, ascending; also from before the rule began."""
        return self._between(from_ms, to_ms)

    def last(self) -> int | None:
        """The last one, where the rule says COUNT or UNTIL; None where it goes on. Raises ValueError when there is
        none at all."""
        begins = self._ms(self.first)
        if self.rule.count is not None:
            last = _last(itertools.islice(self._between(begins, None), self.rule.count))
        elif self.rule.until is not None:
            until = self.rule.until
            end = round(until.timestamp() * 1000) if until.tzinfo else self._ms(until)
            end = min(end, self._ms(_LAST))
            last = self.last_between(begins, end + 1) if begins <= end else None
        else:
            return None
        if last is None:
            raise ValueError("it ends before it occurs")
        return last

    def last_between(self, from_ms: int, to_ms: int) -> int | None:
        """The last of `between`. Looks back in steps that grow: there may be thousands in that time."""
        length = 86_400_000
        while True:
            start = max(from_ms, to_ms - length)
            found = _last(self._between(start, to_ms))
            if found is not None or start == from_ms:
                return found
            length *= 8

    def _between(self, from_ms: int, to_ms: int | None) -> Iterator[int]:
        # A day more on both sides: no clock is put by more than that.
        start = self._local(from_ms) - _DAY
        end = min(_LAST, start + _AHEAD if to_ms is None else self._local(to_ms) + _DAY)
        for _, of_day in itertools.groupby(self._walls(start, end), datetime.date):
            for moment in sorted({self._ms(one) for one in of_day}):
                if to_ms is not None and moment >= to_ms:
                    return
                if moment >= from_ms:
                    yield moment

    def _walls(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Times on the wall, ascending; more than those asked for at both ends."""
        index = _index(self.rule, start)
        index -= (index - _index(self.rule, self.first)) % self.rule.interval
        for number in range(MAX_PERIODS):
            period = _Period.of(self.rule, index + number * self.rule.interval)
            if period is None or period.begins > end:
                return
            yield from period.times(self.rule, self.first.second, start.date())

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, self.zone).replace(tzinfo=None)

    def _ms(self, wall: datetime) -> int:
        return round(wall.replace(tzinfo=self.zone).timestamp() * 1000)


def _last(all_: Iterable[int]) -> int | None:
    return next(iter(deque(all_, maxlen=1)), None)


def _completed(rule: Rrule, first: datetime) -> Rrule:
    """With what the rule leaves to its start."""
    if not (rule.month_days or rule.weekdays):
        match rule.frequency:
            case Frequency.YEARLY:
                rule = replace(rule, months=rule.months or frozenset({first.month}), month_days=frozenset({first.day}))
            case Frequency.MONTHLY:
                rule = replace(rule, month_days=frozenset({first.day}))
            case Frequency.WEEKLY:
                rule = replace(rule, weekdays=(Weekday(first.weekday()),))
            case _:
                pass
    if rule.frequency is not Frequency.HOURLY:
        rule = replace(rule, hours=rule.hours or (first.hour,))
    return replace(rule, minutes=rule.minutes or (first.minute,))


def _index(rule: Rrule, at: datetime) -> int:
    """The number of the period in which a time lies."""
    match rule.frequency:
        case Frequency.YEARLY:
            return at.year
        case Frequency.MONTHLY:
            return 12 * at.year + at.month - 1
        case Frequency.WEEKLY:
            return (at.toordinal() - 1 - rule.week_starts) // 7
        case Frequency.DAILY:
            return at.toordinal()
        case Frequency.HOURLY:
            return 24 * at.toordinal() + at.hour


@dataclass(frozen=True, slots=True)
class _Period:
    """Days one after the other; of an hour, the one it is of."""

    first: date
    last: date
    hour: int | None = None

    @classmethod
    def of(cls, rule: Rrule, index: int) -> _Period | None:
        """By its number; None beyond the calendar."""
        try:
            match rule.frequency:
                case Frequency.YEARLY:
                    return cls(date(index, 1, 1), date(index, 12, 31))
                case Frequency.MONTHLY:
                    first = date(index // 12, index % 12 + 1, 1)
                    return cls(first, first.replace(day=calendar.monthrange(first.year, first.month)[1]))
                case Frequency.WEEKLY:
                    first = date.fromordinal(7 * index + 1 + rule.week_starts)
                    return cls(first, first + 6 * _DAY)
                case Frequency.DAILY:
                    return cls(date.fromordinal(index), date.fromordinal(index))
                case Frequency.HOURLY:
                    day = date.fromordinal(index // 24)
                    return cls(day, day, index % 24)
        except (ValueError, OverflowError):
            return None

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.first, time(self.hour or 0))

    def times(self, rule: Rrule, second: int, since: date) -> Iterator[datetime]:
        """What the rule says of this period, ascending, those of days before `since` left out where that costs
        nothing. One by one: a year may have a hundred thousand."""
        hours = rule.hours if self.hour is None else (self.hour,)
        if self.hour is not None and rule.hours and self.hour not in rule.hours:
            return
        if not rule.positions:
            yield from (
                datetime.combine(day, time(hour, minute, second))
                for day in self._days(rule, max(self.first, since))
                for hour in hours
                for minute in rule.minutes
            )
            return
        days, of_hour = list(self._days(rule, self.first)), len(rule.minutes)
        of_day = len(hours) * of_hour
        count = len(days) * of_day
        for at in sorted({one - 1 if one > 0 else count + one for one in rule.positions}):
            if 0 <= at < count:
                clock = time(hours[at % of_day // of_hour], rule.minutes[at % of_hour], second)
                yield datetime.combine(days[at // of_day], clock)

    def _days(self, rule: Rrule, day: date) -> Iterator[date]:
        """From that one on."""
        while day <= self.last:
            if rule.months and day.month not in rule.months:
                day = self._next_month(day)
                continue
            if self._fits(rule, day):
                yield day
            day += _DAY

    def _next_month(self, day: date) -> date:
        return day + timedelta(days=calendar.monthrange(day.year, day.month)[1] - day.day + 1)

    def _fits(self, rule: Rrule, day: date) -> bool:
        if rule.month_days:
            length = calendar.monthrange(day.year, day.month)[1]
            if day.day not in rule.month_days and day.day - length - 1 not in rule.month_days:
                return False
        return not rule.weekdays or any(self._is_weekday(rule, day, one) for one in rule.weekdays)

    def _is_weekday(self, rule: Rrule, day: date, wanted: Weekday) -> bool:
        if day.weekday() != wanted.day:
            return False
        if not wanted.nth:
            return True
        first, last = self.first, self.last
        if rule.frequency is Frequency.YEARLY and rule.months:
            first = day.replace(day=1)
            last = day.replace(day=calendar.monthrange(day.year, day.month)[1])
        nth = (day - first).days // 7 + 1 if wanted.nth > 0 else -((last - day).days // 7 + 1)
        return nth == wanted.nth
