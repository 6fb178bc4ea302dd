"""What is sent to /api/oncall."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal

from pydantic import Field
from vigie_contracts.limits import MAX_NAME_CHARS
from vigie_query.times import DAY, MINUTE, parse_time
from vigie_web.schemas import Body

from vigie_alerting.escalation import chain as chains
from vigie_alerting.escalation.errors import InvalidOnCall
from vigie_alerting.notifiers.errors import Permanent
from vigie_alerting.notifiers.mail import addresses
from vigie_alerting.rules.durations import parse_duration
from vigie_alerting.schedules import model

NAME: Final = r"^[^\W_][\w .@+'-]{0,63}$"
MAX_LAYERS: Final = 10
MAX_PEOPLE: Final = 100
"""Of a layer."""
MAX_RESTRICTIONS: Final = 14
MAX_STEPS: Final = 20
MAX_TARGETS: Final = 20
MAX_REPEATS: Final = 9
MAX_WAIT_MS: Final = 7 * DAY
LEAST_PAUSE_MS: Final = MINUTE
"""Before a chain begins again: without it a chain could go round and round at once."""
_TIMES: Final = r"^([01]\d|2[0-3]):[0-5]\d$"
_ENDS: Final = r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"

Name = Annotated[str, Field(pattern=NAME, examples=["database"])]
Zone = Annotated[str, Field(min_length=1, max_length=64, examples=["Europe/Paris"])]
Description = Annotated[str, Field(max_length=1_000)]
Email = Annotated[str, Field(max_length=254, examples=["ana@example.com"])]


class Restriction(Body):
    """When a layer has anybody, by its clock; what does not end later than it starts ends on the next day."""

    weekdays: Annotated[
        list[Annotated[model.Weekday, Field(strict=False)]],
        Field(default_factory=list, max_length=7, description="empty: on all"),
    ]
    from_: Annotated[str, Field(alias="from", pattern=_TIMES, examples=["09:00"])] = "00:00"
    to: Annotated[str, Field(pattern=_ENDS, examples=["17:00"])] = "24:00"

    @property
    def value(self) -> model.Restriction:
        return model.Restriction(tuple(self.weekdays), minute(self.from_), minute(self.to))


class Rotation(Body):
    every: Annotated[int, Field(ge=1, le=365)] = 1
    unit: Annotated[model.Unit, Field(strict=False)] = model.Unit.WEEK


class Layer(Body):
    """Each of the people has a turn, one after the other."""

    name: Name
    people: Annotated[list[Name], Field(min_length=1, max_length=MAX_PEOPLE)]
    start: Annotated[
        date, Field(strict=False, ge=date(2000, 1, 1), le=date(2100, 1, 1), description="the day of the first hand-off")
    ]
    handoff: Annotated[str, Field(pattern=_TIMES, description="when turns begin, by the layer's clock")] = "09:00"
    rotation: Rotation = Rotation()
    timezone: Annotated[Zone | None, Field(description="null: the schedule's")] = None
    restrictions: Annotated[list[Restriction], Field(default_factory=list, max_length=MAX_RESTRICTIONS)]

    @property
    def value(self) -> model.Layer:
        return model.Layer(
            name=self.name,
            people=tuple(self.people),
            start=self.start,
            handoff=minute(self.handoff),
            every=self.rotation.every,
            unit=self.rotation.unit,
            timezone=self.timezone or "",
            restrictions=tuple(one.value for one in self.restrictions),
        )


class ScheduleBody(Body):
    """Later layers are over earlier ones. Overrides are made and deleted by themselves, and stay."""

    timezone: Zone
    layers: Annotated[list[Layer], Field(min_length=1, max_length=MAX_LAYERS)]
    description: Description = ""

    @property
    def value(self) -> model.Schedule:
        """Raises InvalidOnCall."""
        names = [layer.name for layer in self.layers]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InvalidOnCall("layers", f"two have the name {twice!r}")
        layers = tuple(layer.value for layer in self.layers)
        return model.Schedule(timezone=self.timezone, layers=layers, description=self.description)


class OverrideBody(Body):
    """Somebody in the place of whoever the layers say."""

    person: Name
    from_: Annotated[str, Field(alias="from", max_length=64, examples=["2026-12-24T17:00:00Z"])] = "now"
    to: Annotated[str, Field(max_length=64, examples=["now+2h"])]
    note: Annotated[str, Field(max_length=500)] = ""

    def value(self, now_ms: int) -> model.Override:
        """Raises InvalidOnCall, InvalidParameter."""
        start, end = parse_time(self.from_, "from", now_ms), parse_time(self.to, "to", now_ms)
        if end <= start:
            raise InvalidOnCall("to", "must be later than from")
        if end <= now_ms:
            raise InvalidOnCall("to", "must be in the future: nobody was told of it")
        return model.Override(id="", person=self.person, start=start, end=end, note=self.note)


class PersonBody(Body):
    """How somebody is reached: at least one way."""

    email: Email = ""
    channels: Annotated[
        list[Annotated[str, Field(max_length=64)]],
        Field(default_factory=list, max_length=10, description="names of the tenant's channels"),
    ]
    slack: Annotated[
        str,
        Field(
            pattern=r"^([UW][A-Z0-9]{2,30})?$",
            description="the id in Slack, for who presses buttons there; empty: they are known by their address",
            examples=["U012AB3CD"],
        ),
    ] = ""

    @property
    def value(self) -> model.Person:
        """Raises InvalidOnCall."""
        if not self.email and not self.channels:
            raise InvalidOnCall("email", "give an address or channels, else nothing reaches this person")
        if self.email:
            _check_address(self.email)
        return model.Person(email=self.email, channels=tuple(self.channels), slack=self.slack)


class Target(Body):
    """Who is told: whoever is on call in a schedule, one person, or a channel."""

    type: Literal["schedule", "person", "channel"]
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]


class Step(Body):
    after: Annotated[
        str,
        Field(max_length=16, examples=["5m"], description="since the step before; of the first: since the alert fires"),
    ] = "0s"
    notify: Annotated[list[Target], Field(min_length=1, max_length=MAX_TARGETS)]


class ChainBody(Body):
    """Steps, one after the other until somebody acknowledges."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=MAX_STEPS)]
    repeat: Annotated[int, Field(ge=0, le=MAX_REPEATS, description="how often all steps are told again")] = 0
    repeat_after: Annotated[str, Field(max_length=16, description="after the last step")] = "5m"
    description: Description = ""

    @property
    def value(self) -> chains.Chain:
        """Raises InvalidOnCall."""
        pause = _duration(self.repeat_after, "repeatAfter")
        if pause < LEAST_PAUSE_MS:
            raise InvalidOnCall("repeatAfter", "must be at least 1m: the chain would go round without a pause")
        steps = tuple(
            chains.Step(
                tuple(chains.Target(chains.Kind(one.type), one.name) for one in step.notify),
                _duration(step.after, f"steps[{at}].after"),
            )
            for at, step in enumerate(self.steps)
        )
        return chains.Chain(steps=steps, repeat=self.repeat, repeat_after_ms=pause, description=self.description)


def minute(text: str) -> int:
    """Of the day, of `09:30`."""
    hour, _, rest = text.partition(":")
    return int(hour) * 60 + int(rest)


def _check_address(text: str) -> None:
    """By the judge of who sends the mail."""
    try:
        one = addresses(text) == [text]
    except Permanent:
        one = False
    if not one:
        raise InvalidOnCall("email", "must be one mail address like ops@example.com: letters without accents, no name")


def _duration(text: str, field: str) -> int:
    try:
        length = parse_duration(text)
    except ValueError as e:
        raise InvalidOnCall(field, str(e)) from None
    if length > MAX_WAIT_MS:
        raise InvalidOnCall(field, "must be at most 7d")
    return length
