"""What /api/oncall answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Self

from pydantic import Field
from vigie_query.times import iso, iso_of
from vigie_storage.alerts.configuration import Stored
from vigie_web.schemas import Model, Time

from vigie_alerting.api.schemas import time
from vigie_alerting.escalation import chain as chains
from vigie_alerting.rules.durations import duration
from vigie_alerting.schedules import model, rotation

GAPS_AHEAD_MS: Final = 28 * 86_400_000
MAX_GAPS: Final = 100


class Next(Model):
    """Who is on call after that."""

    person: str
    at: Time

    @classmethod
    def of(cls, now: rotation.Now) -> Self | None:
        return None if now.next is None or now.next_at is None else cls(person=now.next, at=iso(now.next_at))


class OnCallNow(Model):
    """Of one schedule."""

    schedule: str
    timezone: str
    person: str | None = Field(description="null: nobody is on call")
    by: str = Field(description="the layer, or the id of the override, that says so")
    until: Time | None = Field(
        description="when somebody else, or nobody, is; null: nothing changes in the next four months"
    )
    next: Next | None

    @classmethod
    def of(cls, name: str, schedule: model.Schedule, at_ms: int) -> Self:
        now = rotation.now(schedule, at_ms)
        return cls(
            schedule=name,
            timezone=schedule.timezone,
            person=now.person,
            by=now.by,
            until=time(now.until),
            next=Next.of(now),
        )


class OnCallList(Model):
    timestamp: Time
    schedules: list[OnCallNow]


class Gap(Model):
    """Nobody is on call."""

    from_: Time = Field(alias="from")
    to: Time

    @classmethod
    def all(cls, found: Sequence[rotation.Gap]) -> list[Self]:
        return [cls.model_validate({"from": iso(one.start), "to": iso(one.end)}) for one in found]


class Restriction(Model):
    weekdays: list[model.Weekday]
    from_: str = Field(alias="from", examples=["09:00"])
    to: str = Field(examples=["17:00"])


class Rotation(Model):
    every: int
    unit: model.Unit


class Layer(Model):
    name: str
    people: list[str]
    start: date
    handoff: str
    rotation: Rotation
    timezone: str | None
    restrictions: list[Restriction]

    @classmethod
    def of(cls, layer: model.Layer) -> Self:
        restrictions = [
            Restriction.model_validate(
                {"weekdays": list(one.weekdays), "from": _clock(one.start), "to": _clock(one.end)}
            )
            for one in layer.restrictions
        ]
        return cls(
            name=layer.name,
            people=list(layer.people),
            start=layer.start,
            handoff=_clock(layer.handoff),
            rotation=Rotation(every=layer.every, unit=layer.unit),
            timezone=layer.timezone or None,
            restrictions=restrictions,
        )


class Override(Model):
    id: str
    person: str
    from_: Time = Field(alias="from")
    to: Time
    note: str
    by: str

    @classmethod
    def of(cls, one: model.Override) -> Self:
        return cls.model_validate(
            {
                "id": one.id, "person": one.person, "from": iso(one.start), "to": iso(one.end),
                "note": one.note, "by": one.by,
            }
        )  # fmt: skip


class Schedule(Model):
    """As it is written down; its version is the ETag."""

    name: str
    version: int
    updated_at: Time
    updated_by: str
    timezone: str
    description: str
    layers: list[Layer]
    overrides: list[Override]

    @classmethod
    def of(cls, stored: Stored[model.Schedule]) -> Self:
        return cls(**_schedule(stored))


class ScheduleNow(Schedule):
    """With who is on call now, and where nobody will be."""

    now: OnCallNow
    gaps: list[Gap] = Field(description="of the next 28 days, at most 100")

    @classmethod
    def at(cls, stored: Stored[model.Schedule], at_ms: int) -> Self:
        end = at_ms + GAPS_AHEAD_MS
        left = rotation.gaps(rotation.shifts(stored.value, at_ms, end), at_ms, end)[:MAX_GAPS]
        now = OnCallNow.of(stored.name, stored.value, at_ms)
        return cls(**_schedule(stored), now=now, gaps=Gap.all(left))


class ScheduleList(Model):
    schedules: list[Schedule]


class Shift(Model):
    person: str
    from_: Time = Field(alias="from")
    to: Time
    by: str = Field(description="the layer, or the id of the override")
    override: bool

    @classmethod
    def of(cls, one: rotation.Shift) -> Self:
        return cls.model_validate(
            {
                "person": one.person, "from": iso(one.start), "to": iso(one.end), "by": one.by,
                "override": one.override,
            }
        )  # fmt: skip


class Shifts(Model):
    """All of the time that was asked for is in a shift or in a gap."""

    shifts: list[Shift]
    gaps: list[Gap]

    @classmethod
    def between(cls, schedule: model.Schedule, start_ms: int, end_ms: int) -> Self:
        found = rotation.shifts(schedule, start_ms, end_ms)
        return cls(shifts=[Shift.of(one) for one in found], gaps=Gap.all(rotation.gaps(found, start_ms, end_ms)))


class Shared(Model):
    """The address of a calendar, shown once: whoever knows it reads the calendar."""

    url: str


class Person(Model):
    name: str
    version: int
    updated_at: Time
    updated_by: str
    email: str
    channels: list[str]
    slack: str

    @classmethod
    def of(cls, stored: Stored[model.Person]) -> Self:
        person = stored.value
        return cls(
            name=stored.name,
            version=stored.version,
            updated_at=iso_of(stored.changed),
            updated_by=stored.by,
            email=person.email,
            channels=list(person.channels),
            slack=person.slack,
        )


class PersonList(Model):
    people: list[Person]


class Target(Model):
    type: chains.Kind
    name: str


class Step(Model):
    after: str = Field(examples=["5m"])
    notify: list[Target]


class Chain(Model):
    """As it is written down; its version is the ETag."""

    name: str
    version: int
    updated_at: Time
    updated_by: str
    description: str
    steps: list[Step]
    repeat: int
    repeat_after: str
    warnings: list[str] = Field(description="where it would tell nobody")

    @classmethod
    def of(cls, stored: Stored[chains.Chain], warnings: Sequence[str] = ()) -> Self:
        chain = stored.value
        steps = [
            Step(
                after=duration(step.after_ms),
                notify=[Target(type=one.kind, name=one.name) for one in step.notify],
            )
            for step in chain.steps
        ]
        return cls(
            name=stored.name,
            version=stored.version,
            updated_at=iso_of(stored.changed),
            updated_by=stored.by,
            description=chain.description,
            steps=steps,
            repeat=chain.repeat,
            repeat_after=duration(chain.repeat_after_ms),
            warnings=list(warnings),
        )


class ChainList(Model):
    chains: list[Chain]


def warned(found: Sequence[Stored[chains.Chain]], schedules: Mapping[str, model.Schedule], now_ms: int) -> list[Chain]:
    """The chains, with warnings about schedules in which nobody is on call now and then; each schedule is looked at
    once."""
    named = [sorted(one.value.named(chains.Kind.SCHEDULE) & schedules.keys()) for one in found]
    warnings = {name: _warning(name, schedules[name], now_ms) for name in set[str]().union(*named)}
    return [
        Chain.of(one, [warnings[name] for name in names if warnings[name]])
        for one, names in zip(found, named, strict=True)
    ]


def _warning(name: str, schedule: model.Schedule, now_ms: int) -> str:
    """Empty when somebody always is."""
    end = now_ms + GAPS_AHEAD_MS
    left = rotation.gaps(rotation.shifts(schedule, now_ms, end), now_ms, end)
    if left == [(now_ms, end)]:
        return f"nobody is on call in {name!r} in the next 28 days"
    if not left:
        return ""
    more = f" and {len(left) - 1} more times" if len(left) > 1 else ""
    return (
        f"nobody is on call in {name!r} from {iso(left[0].start)} to {iso(left[0].end)}{more} in the next 28 days: "
        "steps that tell only that are passed over then"
    )


def _schedule(stored: Stored[model.Schedule]) -> dict[str, Any]:
    schedule = stored.value
    return {
        "name": stored.name,
        "version": stored.version,
        "updated_at": iso_of(stored.changed),
        "updated_by": stored.by,
        "timezone": schedule.timezone,
        "description": schedule.description,
        "layers": [Layer.of(one) for one in schedule.layers],
        "overrides": [Override.of(one) for one in schedule.overrides],
    }


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
