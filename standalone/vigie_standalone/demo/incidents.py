"""What can go wrong on demand: each incident is a change of the model's numbers."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True)
class Conditions:
    """How the world of one service differs from a good day; the defaults are a good day."""

    demand: float = 1.0
    """Factor on visits."""
    payment_failures: float = 0.02
    """Share of payments that fail."""
    server_errors: float = 0.003
    """Share of requests answered 5xx."""
    slowness: float = 1.0
    """Factor on all latencies."""
    search_slowness: float = 1.0
    """Factor on the latency of searches, on top."""
    cpu: float = 0.0
    """Percentage points on top of the processors' load."""
    memory: float = 0.0
    """Percentage points on top of the used memory."""
    mood: float = 0.0
    """Added to satisfaction scores (1 to 5)."""
    running: float = 1.0
    """1 while the service's program runs on its first host, 0 while it does not."""


@dataclass(frozen=True)
class Incident:
    """A named change, for some services or for all."""

    name: str
    summary: str
    changes: dict[str, float]
    services: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    """The shipped rules that it makes fire."""


INCIDENTS: dict[str, Incident] = {
    incident.name: incident
    for incident in (
        Incident(
            "service-down",
            "the program of car rental is stopped on its host",
            {"running": 0.0, "demand": 0.0},
            ("car-rental",),
            ("service_down", "ServiceUnavailable"),
        ),
        Incident(
            "payment-outage",
            "the payment provider fails nine payments of ten, everywhere",
            {"payment_failures": 0.9, "server_errors": 0.04, "mood": -1.2},
        ),
        Incident(
            "slow-search",
            "searches for hotels and flights take eight times as long",
            {"search_slowness": 8.0, "cpu": 25.0, "mood": -0.6},
            ("hotel-booking", "flight-booking"),
            ("HighLatency",),
        ),
        Incident(
            "flash-sale",
            "a star goes on tour: five times the visitors on event tickets",
            {"demand": 5.0, "slowness": 2.2, "cpu": 65.0, "server_errors": 0.02},
            ("event-tickets",),
            ("cpu_high", "HighCpuUsage"),
        ),
        Incident(
            "error-burst",
            "a bad release of flight booking answers a quarter of the requests with 500",
            {"server_errors": 0.25, "mood": -1.0},
            ("flight-booking",),
            ("HighErrorRate",),
        ),
        Incident(
            "memory-leak",
            "train tickets eat their memory and swap",
            {"memory": 42.0, "slowness": 3.0, "cpu": 15.0},
            ("train-tickets",),
            ("memory_high", "LowMemory"),
        ),
        Incident("quiet", "almost nobody comes: a broken link on the start page", {"demand": 0.05}),
    )
}


def conditions(service: str, active: Iterable[str]) -> Conditions:
    """The conditions of a service under the named incidents, the last one winning where they touch the same."""
    result = Conditions()
    for name in active:
        incident = INCIDENTS[name]
        if not incident.services or service in incident.services:
            result = replace(result, **incident.changes)
    return result


FIRST = "service-down"
"""What a newcomer sees: its alert fires with the first sample, and is over with the first good one."""
FIRST_S = 45
SLOT_S = 1800
USUAL_S = 420
"""Long enough for every shipped rule to fire; the slowest asks for five minutes."""


def due(seed: int, at: int) -> str | None:
    """The incident that begins by itself in second `at`: one in each half hour, such as an alert tells of."""
    slot = at // SLOT_S
    rng = Random(f"{seed}:incident:{slot}")
    begin = rng.randrange(SLOT_S - USUAL_S)
    name = rng.choice([incident.name for incident in INCIDENTS.values() if incident.alerts])
    return name if at == slot * SLOT_S + begin else None
