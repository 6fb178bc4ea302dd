"""Recurrence rules of RFC 5545 (`FREQ=WEEKLY;BYDAY=SA,SU`), as far as silences and maintenance need them.

What would mute every few seconds, or needs an expansion without bounds, is refused: SECONDLY, MINUTELY, BYSECOND,
BYWEEKNO, BYYEARDAY.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from vigie_contracts.problems import shortened

MAX_CHARS: Final = 500
MAX_INTERVAL: Final = 1_000
MAX_COUNT: Final = 1_000
LEAST_APART_MINUTES: Final = 5
"""Between two that begin on the same day."""
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WEEKDAY: Final = re.compile(r"([+-]?[1-9]\d?)?(MO|TU|WE|TH|FR|SA|SU)\Z", re.ASCII)
_UNTIL: Final = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?\Z", re.ASCII)
_REFUSED: Final[Mapping[str, str]] = {
    "BYSECOND": "nothing recurs by seconds",
    "BYWEEKNO": "say it by BYMONTH and BYDAY",
    "BYYEARDAY": "say it by BYMONTH and BYMONTHDAY",
}


class InvalidRruleError(ValueError):
    """The text is no rule that is taken; the message says why."""


class Frequency(StrEnum):
    """The period of a rule."""

    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True)
class Weekday:
    """`nth` of its month or year, from the end when it is negative; 0: every one. Monday is 0."""

    day: int
    nth: int = 0


@dataclass(frozen=True, slots=True)
class Rrule:
    """What is empty is as the start says it. `until` has a zone where the rule says UTC."""

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    months: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    weekdays: tuple[Weekday, ...] = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_starts: int = 0


def parse(text: str) -> Rrule:
    """With or without `RRULE:` in front. Raises InvalidRruleError."""
    if len(text) > MAX_CHARS:
        raise InvalidRruleError(f"has more than {MAX_CHARS} characters")
    parts = _parts(text.strip().removeprefix("RRULE:").removesuffix(";"))
    frequency = _frequency(parts.pop("FREQ", ""))
    fields: dict[str, Any] = {}
    for name, value in parts.items():
        field, read = _FIELDS[name]
        fields[field] = read(value)
    rule = Rrule(frequency, **fields)
    _check(rule)
    return rule


def _parts(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.upper().split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise InvalidRruleError(f"must be parts like FREQ=WEEKLY;BYDAY=SA,SU, but has {shortened(part)!r}")
        if name in found:
            raise InvalidRruleError(f"{name} is there twice")
        if name in _REFUSED:
            raise InvalidRruleError(f"{name}: {_REFUSED[name]}")
        if name != "FREQ" and name not in _FIELDS:
            raise InvalidRruleError(f"there is no part {shortened(name)!r} of a recurrence rule")
        found[name] = value
    return found


def _frequency(text: str) -> Frequency:
    if not text:
        raise InvalidRruleError("must say how often: FREQ=DAILY, WEEKLY, MONTHLY, ...")
    if text in ("SECONDLY", "MINUTELY"):
        raise InvalidRruleError(f"FREQ={text} would begin all the time: HOURLY is the most often that something recurs")
    if text not in set(Frequency):
        raise InvalidRruleError(f"FREQ must be one of {', '.join(Frequency)}, but is {shortened(text)!r}")
    return Frequency(text)


def _check(rule: Rrule) -> None:
    if rule.count is not None and rule.until is not None:
        raise InvalidRruleError("has either COUNT or UNTIL, not both")
    if any(one.nth for one in rule.weekdays) and rule.frequency not in (Frequency.MONTHLY, Frequency.YEARLY):
        raise InvalidRruleError("the 2nd Monday (BYDAY=2MO) is one of a month or year: FREQ must be MONTHLY or YEARLY")
    if rule.positions and not (rule.months or rule.month_days or rule.weekdays or rule.hours or rule.minutes):
        raise InvalidRruleError("BYSETPOS chooses among what another part says: there is none")
    begins = sorted(60 * hour + minute for hour in rule.hours or (0,) for minute in rule.minutes or (0,))
    if rule.frequency is Frequency.HOURLY and rule.minutes:
        begins = [*sorted(rule.minutes), 60 + min(rule.minutes)]
    if any(after - before < LEAST_APART_MINUTES for before, after in pairwise(begins)):
        raise InvalidRruleError(f"begins more often than every {LEAST_APART_MINUTES} minutes")


def _number(name: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?\d{1,5}", text, re.ASCII) or not least <= int(text) <= most:
        raise InvalidRruleError(f"{name} must be from {least} to {most:,}, but is {shortened(text)!r}")
    return int(text)


def _one(name: str, least: int, most: int) -> Callable[[str], int]:
    return lambda text: _number(name, text, least, most)


def _several(name: str, least: int, most: int) -> Callable[[str], tuple[int, ...]]:
    return lambda text: tuple(sorted({_number(name, one, least, most) for one in text.split(",")}))


def _signed(name: str, most: int) -> Callable[[str], tuple[int, ...]]:
    def read(text: str) -> tuple[int, ...]:
        found = _several(name, -most, most)(text)
        if 0 in found:
            raise InvalidRruleError(f"{name} counts from 1, or from -1 at the end")
        return found

    return read


def _weekdays(text: str) -> tuple[Weekday, ...]:
    found: dict[Weekday, None] = {}
    for one in text.split(","):
        match = _WEEKDAY.match(one)
        if match is None or abs(int(match[1] or 0)) > 53:
            raise InvalidRruleError(f"BYDAY must be days like MO,TU or 2MO,-1FR, but has {shortened(one)!r}")
        found[Weekday(_WEEKDAYS.index(match[2]), int(match[1] or 0))] = None
    return tuple(found)


def _week_starts(text: str) -> int:
    if text not in _WEEKDAYS:
        raise InvalidRruleError(f"WKST must be one of {', '.join(_WEEKDAYS)}, but is {shortened(text)!r}")
    return _WEEKDAYS.index(text)


def _until(text: str) -> datetime:
    match = _UNTIL.match(text)
    try:
        if match is None:
            raise ValueError
        day = datetime.strptime(match[1], "%Y%m%d")  # noqa: DTZ007 - local, unless it says UTC
        if match[2] is None:
            return day + timedelta(days=1, seconds=-1)
        moment = datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S")  # noqa: DTZ007
    except (ValueError, OverflowError):
        raise InvalidRruleError(
            f"UNTIL must be like 20261231 or 20261231T235959Z, but is {shortened(text)!r}"
        ) from None
    return moment.replace(tzinfo=UTC) if match[3] else moment


_FIELDS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "INTERVAL": ("interval", _one("INTERVAL", 1, MAX_INTERVAL)),
    "COUNT": ("count", _one("COUNT", 1, MAX_COUNT)),
    "UNTIL": ("until", _until),
    "BYMONTH": ("months", lambda text: frozenset(_several("BYMONTH", 1, 12)(text))),
    "BYMONTHDAY": ("month_days", lambda text: frozenset(_signed("BYMONTHDAY", 31)(text))),
    "BYDAY": ("weekdays", _weekdays),
    "BYHOUR": ("hours", _several("BYHOUR", 0, 23)),
    "BYMINUTE": ("minutes", _several("BYMINUTE", 0, 59)),
    "BYSETPOS": ("positions", _signed("BYSETPOS", 366)),
    "WKST": ("week_starts", _week_starts),
}
