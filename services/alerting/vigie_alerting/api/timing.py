"""JSON of when something mutes, and of the matchers that say what: silences and maintenance have both."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field
from vigie_contracts.limits import MAX_LABEL_VALUE_CHARS
from vigie_query.errors import InvalidParameter
from vigie_query.matchers import MAX_MATCHERS
from vigie_query.times import parse_time
from vigie_web.schemas import Body, Model

from vigie_alerting.rules.durations import duration, parse_duration
from vigie_alerting.silences.active import UTC, Timing
from vigie_alerting.silences.rrule import MAX_CHARS

MatcherTexts = Annotated[
    list[Annotated[str, Field(max_length=2 * MAX_LABEL_VALUE_CHARS)]],
    Field(min_length=1, max_length=MAX_MATCHERS, examples=[['alertname="cpu_high"', 'host=~"web-.*"']]),
]
TimeText = Annotated[str, Field(max_length=64, examples=["now+2h"])]


class RecurrenceBody(Body):
    """Again and again: in the time between start and end, from each occurrence of the rule on."""

    rrule: Annotated[str, Field(max_length=MAX_CHARS, examples=["FREQ=WEEKLY;BYDAY=SU"])]
    duration: Annotated[str, Field(max_length=32, description="how long each time", examples=["2h"])]
    time_zone: Annotated[str, Field(max_length=64, description="by whose clock", examples=["Europe/Paris"])] = UTC


class TimingBody(Body):
    """From a start, by default now, to an end; what recurs may have none."""

    starts_at: TimeText | None = None
    ends_at: TimeText | None = None
    recurrence: RecurrenceBody | None = None

    def timing(self, now_ms: int, starts: int | None = None) -> Timing:
        """As it is asked for; `starts` is the start where none is said. Raises InvalidParameter."""
        begins = now_ms if starts is None else starts
        if self.starts_at is not None:
            begins = parse_time(self.starts_at, "startsAt", now_ms)
        ends = None if self.ends_at is None else parse_time(self.ends_at, "endsAt", now_ms)
        again = self.recurrence
        if again is None:
            return Timing(begins, ends)
        try:
            length = parse_duration(again.duration)
        except ValueError as e:
            raise InvalidParameter("recurrence.duration", str(e)) from None
        return Timing(begins, ends, again.rrule.strip(), again.time_zone, length)


class Recurrence(Model):
    """See `RecurrenceBody`."""

    rrule: str
    duration: str
    time_zone: str

    @classmethod
    def of(cls, timing: Timing) -> Self | None:
        if not timing.rrule:
            return None
        return cls(rrule=timing.rrule, duration=duration(timing.duration_ms), time_zone=timing.zone)
