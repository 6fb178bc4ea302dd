"""JSON of /api/alerts/time-intervals."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field
from vigie_query.times import iso, iso_of
from vigie_storage.alerts.configuration import Stored
from vigie_web.schemas import Body, Model, Time

from vigie_alerting.silences.model import MAX_COMMENT_CHARS
from vigie_alerting.times import reading
from vigie_alerting.times.interval import MAX_PARTS, Part, TimeInterval, changes, contains

Text = Annotated[str, Field(max_length=64)]
Texts = Annotated[list[Text], Field(max_length=MAX_PARTS)]


class TimeOfDayBody(Body):
    """From the start to before the end, 00:00 to 24:00."""

    start_time: Annotated[Text, Field(examples=["09:00"])]
    end_time: Annotated[Text, Field(examples=["17:00"])]


class PartBody(Body):
    """All that is said must hold; of each list one entry: `monday:friday`, `1:7`, `-1`, `january:march`, `2026`."""

    times: Annotated[list[TimeOfDayBody], Field(max_length=MAX_PARTS)] = []  # noqa: RUF012 - pydantic copies it
    weekdays: Texts = []  # noqa: RUF012
    days_of_month: Texts = []  # noqa: RUF012
    months: Texts = []  # noqa: RUF012
    years: Texts = []  # noqa: RUF012
    location: Annotated[Text, Field(description="IANA: whose clock", examples=["Europe/Paris"])] = "UTC"


class IntervalBody(Body):
    """Holds whenever one of its parts does."""

    time_intervals: Annotated[list[PartBody], Field(min_length=1, max_length=MAX_PARTS)]
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""

    def interval(self) -> TimeInterval:
        """Raises InvalidParameter."""
        return reading.interval([part.model_dump(by_alias=False) for part in self.time_intervals], comment=self.comment)


class TimeOfDay(Model):
    start_time: str
    end_time: str


class ShownPart(Model):
    times: list[TimeOfDay] = []  # noqa: RUF012
    weekdays: list[str] = []  # noqa: RUF012
    days_of_month: list[str] = []  # noqa: RUF012
    months: list[str] = []  # noqa: RUF012
    years: list[str] = []  # noqa: RUF012
    location: str = "UTC"

    @classmethod
    def of(cls, part: Part) -> Self:
        said: dict[str, Any] = reading.written(part)
        return cls(**{**said, "times": [TimeOfDay(**one) for one in said.get("times", ())]})


class Interval(Model):
    """A time interval, and whether it is now."""

    name: str
    time_intervals: list[ShownPart]
    comment: str
    holds_now: bool
    changes_at: Time | None = Field(description="when that changes; null: not in the next half year")
    updated_by: str
    updated_at: Time
    version: int

    @classmethod
    def of(cls, stored: Stored[TimeInterval], now_ms: int) -> Self:
        value, now = stored.value, contains(stored.value, now_ms)
        until = next((at for at in changes([value], now_ms) if contains(value, at) is not now), None)
        return cls(
            name=stored.name,
            time_intervals=[ShownPart.of(part) for part in value.parts],
            comment=value.comment,
            holds_now=now,
            changes_at=None if until is None else iso(until),
            updated_by=stored.by,
            updated_at=iso_of(stored.changed),
            version=stored.version,
        )


class IntervalList(Model):
    intervals: list[Interval]
