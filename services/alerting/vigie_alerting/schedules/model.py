"""Schedules as they are written down: layers of rotations, overrides on top, and how the people in them are reached."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

DAY_MINUTES: Final = 1_440


class Unit(StrEnum):
    """What turns are counted in."""

    DAY = "day"
    WEEK = "week"

    @property
    def days(self) -> int:
        return 7 if self is Unit.WEEK else 1


class Weekday(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class Restriction(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """When a layer has anybody. Minutes of the day by the layer's clock; one that does not end later than it starts
    ends on the next day."""

    weekdays: tuple[Weekday, ...] = ()
    """On which it starts; empty: on all."""
    start: int = 0
    end: int = DAY_MINUTES


class Layer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A rotation: each of the people has a turn, one after the other, again and again from `start` on."""

    name: str
    people: tuple[str, ...]
    start: date
    """The day of the first hand-off; of a weekly rotation it gives the weekday."""
    handoff: int = 0
    """Minute of the day at which turns begin, by the layer's clock, in summer as in winter."""
    every: int = 1
    unit: Unit = Unit.WEEK
    timezone: str = ""
    """Empty: the schedule's."""
    restrictions: tuple[Restriction, ...] = ()
    """It has somebody in any of them; none: always."""


class Override(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Somebody in the place of whoever the layers say. Unix milliseconds, `end` exclusive."""

    id: str
    person: str
    start: int
    end: int
    note: str = ""
    by: str = ""
    """Who made it."""


class Schedule(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Of two layers that have somebody at one moment the later one counts; of two overrides the later one."""

    timezone: str
    layers: tuple[Layer, ...]
    overrides: tuple[Override, ...] = ()
    description: str = ""

    @property
    def people(self) -> set[str]:
        """Everybody who is named in it."""
        layers = {person for layer in self.layers for person in layer.people}
        return layers | {override.person for override in self.overrides}


class Person(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """How somebody is reached: by mail, by channels of the tenant, or both."""

    email: str = ""
    channels: tuple[str, ...] = ()
    """Their names."""
    slack: str = ""
    """The id of the person in Slack: who presses a button there."""
