"""What the API reads: targets with their states, checks, incidents, uptime, and the pages made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from vigie_identity.known_tenants import KnownTenants
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_runtime.expressions import Expressions
from vigie_storage.health.checks import Checks
from vigie_storage.health.incidents import Incidents
from vigie_storage.health.states import HealthStates
from vigie_storage.health.targets import TargetStore
from vigie_storage.reader import Limits, SeriesReader
from vigie_storage.series.catalogue import SeriesCatalogue
from vigie_storage.windows.reader import WindowReader

from vigie_healthcheck.forced import ForcedChecks
from vigie_healthcheck.health import Health
from vigie_healthcheck.readings import Readings
from vigie_healthcheck.status.pages import StatusPages

_LIMITS: Final = Limits(20_000, 60_000, 5_000)
"""Of one question about uptime: the days of 300 targets are some 26,000 documents."""
_CONCURRENT_READS: Final = 4


@dataclass(frozen=True, slots=True)
class Reads:
    clock: Clock
    health: Health
    history: Checks
    incidents: Incidents
    readings: Readings
    forced: ForcedChecks
    pages: StatusPages

    @classmethod
    def of(
        cls,
        database: Database,
        targets: TargetStore,
        tenants: KnownTenants,
        clock: Clock,
        *,
        samples_topic: str,
        look: Callable[[], None],
    ) -> Self:
        """`look` is called when somebody waits for a check that this process may have to make."""
        states, incidents = HealthStates(database), Incidents(database)
        health = Health(targets, states, clock)
        windows = WindowReader(database, clock, samples_topic, concurrent_reads=_CONCURRENT_READS)
        series = SeriesReader(SeriesCatalogue(database, Expressions()), windows, clock, _LIMITS)
        readings = Readings(series, clock)
        return cls(
            clock,
            health,
            Checks(database),
            incidents,
            readings,
            ForcedChecks(states, clock, look),
            StatusPages(health, incidents, readings, tenants, clock),
        )
