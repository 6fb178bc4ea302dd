"""What a status page shows, made of targets, their states, uptime, incidents and maintenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from vigie_contracts.targets import Target
from vigie_query.times import DAY
from vigie_storage.health.incidents import Incident

from vigie_healthcheck import maintenance
from vigie_healthcheck.known import Known
from vigie_healthcheck.readings import Days
from vigie_healthcheck.status import public

ANNOUNCED_MS: Final = 14 * DAY
"""How long before it maintenance is announced."""
MAX_ANNOUNCED: Final = 50


class Shown(StrEnum):
    """What a service is, for its users."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Service:
    """Times are Unix milliseconds."""

    name: str
    shown: Shown
    since_ms: int
    """0: it was never anything else."""
    days: Days


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a service was down, without what only insiders are to know."""

    name: str
    started_ms: int
    ended_ms: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Planned:
    """Maintenance of one or several services."""

    names: tuple[str, ...]
    starts_ms: int
    ends_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class StatusPage:
    """`groups`: services by group, in order; those without one under the empty name, first."""

    tenant: str
    title: str
    at_ms: int
    shown: Shown
    """The worst of all services."""
    groups: Mapping[str, Sequence[Service]]
    outages: Sequence[Outage] = ()
    """The last begun first."""
    current: Sequence[Planned] = ()
    announced: Sequence[Planned] = ()
    truncated: bool = False
    """Whether there are more services than are shown."""
    services: Sequence[Service] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "services", [one for group in self.groups.values() for one in group])


_NO_DAYS: Final[Mapping[str, Days]] = {}
_WORST: Final = (Shown.DOWN, Shown.DEGRADED, Shown.MAINTENANCE, Shown.UP, Shown.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Public:
    """What a tenant shows: its targets that are public, in their order."""

    tenant: str
    title: str
    services: Sequence[Known]
    truncated: bool = False
    """Whether it has more than these."""


def assembled(
    of: Public, at_ms: int, days: Mapping[str, Days] = _NO_DAYS, incidents: Iterable[Incident] = ()
) -> StatusPage:
    """The page as it is at a time. `days` by the names of targets."""
    groups: dict[str, list[Service]] = {}
    for one in of.services:
        name = one.target.name
        service = Service(name, shown(one, at_ms), one.since_ms(at_ms), days.get(name, Days()))
        groups.setdefault(one.target.group, []).append(service)
    targets = {one.target.id: one.target for one in of.services}
    current, announced = _planned(targets.values(), at_ms)
    return StatusPage(
        of.tenant,
        of.title,
        at_ms,
        worst(one.shown for group in groups.values() for one in group),
        groups,
        [_outage(one, targets[one.target]) for one in incidents if one.target in targets],
        current,
        announced,
        of.truncated,
    )


def shown(known: Known, at_ms: int) -> Shown:
    """What a target is for its users: in maintenance nobody asks whether it is up."""
    if maintenance.current(known.target.maintenance, at_ms) is not None:
        return Shown.MAINTENANCE
    return Shown(known.verdict(at_ms).value)


def worst(all_: Iterable[Shown]) -> Shown:
    """Of several services; what is not known counts only where nothing is."""
    found = set(all_)
    return next((one for one in _WORST if one in found), Shown.UNKNOWN)


def _outage(incident: Incident, target: Target) -> Outage:
    return Outage(target.name, incident.started_ms, incident.ended_ms, public.sentence(incident.reason, target.url))


def _planned(targets: Iterable[Target], at_ms: int) -> tuple[list[Planned], list[Planned]]:
    """What goes on, and what is announced, the first first. Services of one time and reason stand together."""
    names: dict[maintenance.Occurrence, list[str]] = {}
    for target in targets:
        for planned in target.maintenance:
            one = maintenance.current_or_next(planned, at_ms)
            if one is not None and one.starts_ms <= at_ms + ANNOUNCED_MS:
                names.setdefault(one, []).append(target.name)
    found = [
        Planned(tuple(dict.fromkeys(own)), one.starts_ms, one.ends_ms, public.sentence(one.reason))
        for one, own in sorted(names.items(), key=lambda item: (item[0].starts_ms, item[0].ends_ms, item[1]))
    ][:MAX_ANNOUNCED]
    return [one for one in found if one.starts_ms <= at_ms], [one for one in found if one.starts_ms > at_ms]
