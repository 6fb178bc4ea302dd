"""What is asked of a silence, or a maintenance window, before it is stored. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace
from vigie_query.errors import InvalidParameter
from vigie_query.matchers import Matcher
from vigie_query.times import DAY, MINUTE, duration, iso

from vigie_alerting.named import normalized
from vigie_alerting.routing import matchers as routing
from vigie_alerting.silences.active import Timing, occurrences
from vigie_alerting.silences.breadth import fits_no_labels
from vigie_alerting.silences.model import MAX_COMMENT_CHARS, MAX_CREATOR_CHARS
from vigie_alerting.silences.rrule import InvalidRruleError, parse

MAX_AHEAD_MS: Final = 10 * 366 * DAY
LEAST_DURATION_MS: Final = MINUTE
MAX_DURATION_MS: Final = 31 * DAY


def checked_matchers(matchers: Sequence[Matcher], field: str = "matchers") -> tuple[Matcher, ...]:
    """Raises InvalidParameter, QueryLimitExceeded."""
    made = routing.of(matchers, field).all
    if fits_no_labels(made):
        raise InvalidParameter(
            field, "one at least must ask for a label that an alert has: these fit alerts without any label too"
        )
    return made


def checked_comment(text: str) -> str:
    """Why it is done, for those who wonder later. Raises InvalidParameter."""
    comment = normalized(text)
    if not comment:
        raise InvalidParameter("comment", "say why: others will want to know")
    if len(comment) > MAX_COMMENT_CHARS:
        raise InvalidParameter("comment", f"has more than {MAX_COMMENT_CHARS:,} characters")
    return comment


def checked_creator(text: str) -> str:
    """Who is named as the creator of a silence; it stands in every decision. Raises InvalidParameter."""
    name = normalized(text)
    if len(name) > MAX_CREATOR_CHARS or not name.isprintable():
        raise InvalidParameter("createdBy", f"must have at most {MAX_CREATOR_CHARS} printable characters")
    return name


def checked_timing(timing: Timing, now_ms: int) -> Timing:
    """As it is stored: what begins in the past begins now, and what recurs ends with its last time, where its rule
    says which that is. Raises InvalidParameter."""
    if timing.ends is not None:
        if timing.ends <= now_ms:
            raise InvalidParameter("endsAt", f"{iso(timing.ends)} is in the past: it would mute nothing")
        if timing.ends > now_ms + MAX_AHEAD_MS:
            raise InvalidParameter("endsAt", "must be at most ten years from now")
    if not 0 <= timing.starts <= now_ms + MAX_AHEAD_MS:
        raise InvalidParameter("startsAt", "must be at most ten years from now")
    if timing.ends is not None and timing.ends <= timing.starts:
        raise InvalidParameter("endsAt", "must be after startsAt")
    if timing.rrule:
        return _recurring(timing, now_ms)
    if timing.duration_ms or timing.zone != Timing(0).zone:
        raise InvalidParameter("recurrence", "has a duration or a time zone, and no rule")
    if timing.ends is None:
        raise InvalidParameter("endsAt", "say when it ends: only what recurs may go on for ever")
    return replace(timing, starts=max(timing.starts, now_ms))


def _recurring(timing: Timing, now_ms: int) -> Timing:
    try:
        rule = parse(timing.rrule)
    except InvalidRruleError as e:
        raise InvalidParameter("recurrence.rrule", str(e)) from None
    try:
        ZoneInfo(timing.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidParameter(
            "recurrence.timeZone", "must be the IANA name of a time zone: Europe/Paris, UTC"
        ) from None
    if not LEAST_DURATION_MS <= timing.duration_ms <= MAX_DURATION_MS:
        raise InvalidParameter(
            "recurrence.duration",
            f"must be from {duration(LEAST_DURATION_MS)} to {duration(MAX_DURATION_MS)}: how long it mutes each time",
        )
    all_ = occurrences(timing)
    try:
        last = all_.last()
    except ValueError:
        raise InvalidParameter("recurrence.rrule", "ends before it has occurred once") from None
    if last is not None:
        timing = replace(timing, ends=min(timing.ends or last + MAX_AHEAD_MS, last + timing.duration_ms))
    _check_occurs(timing, now_ms, counted=rule.count is not None)
    return timing


def _check_occurs(timing: Timing, now_ms: int, *, counted: bool) -> None:
    first = timing.starts - timing.starts % 1000
    following = next(occurrences(timing).after(max(first, now_ms - timing.duration_ms + 1)), None)
    if following is None:
        raise InvalidParameter(
            "recurrence.rrule", "never occurs: there is no such time in the years to come (in 14 months, if hourly)"
        )
    if timing.ends is not None and following >= timing.ends:
        reason = "has occurred as often as COUNT says" if counted else "never occurs before endsAt"
        raise InvalidParameter("recurrence.rrule", f"{reason}; the next time would be {iso(following)}")
