"""What happens in one service during one slice of time. Pure: the same seed, service and time give the same.

Nothing is carried from slice to slice, so the past can be filled in as exactly as the present is played.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from vigie_standalone.demo.incidents import Conditions
from vigie_standalone.demo.services import Service

WEEKEND = 5  # the number of Saturday
MAX_LATENCIES = 40
"""Latencies reported per endpoint and slice; of more requests a sample is taken."""


@dataclass(frozen=True)
class Payment:
    """One try to pay."""

    succeeded: bool
    amount: float
    currency: str
    method: str


@dataclass(frozen=True)
class Requests:
    """The requests to one endpoint."""

    method: str
    endpoint: str
    by_status: dict[int, int]
    latencies_s: list[float]


@dataclass(frozen=True)
class Host:
    """One machine at the end of the slice."""

    name: str
    cpu_percent: float
    memory_percent: float
    disk_percent: float
    load_1m: float
    received_bytes: int
    """During the slice."""
    sent_bytes: int
    running: bool = True
    """Whether the service's program runs on it."""


@dataclass(frozen=True)
class Activity:
    """Everything one service did from `start_ms` on for `seconds`."""

    service: str
    start_ms: int
    seconds: float
    funnel: dict[str, int]
    """Step -> visitors that reached it, first to last: visit, search, cart, payment, booked."""
    payments: list[Payment]
    cancelled: int
    refunds: list[Payment]
    scores: list[int]
    sessions_started: int
    session_durations_s: list[float]
    active_users: int
    requests: list[Requests]
    hosts: list[Host] = field(default_factory=list)


def rhythm(when: datetime, *, evening: float = 0.5, weekend: float = 1.0) -> float:
    """How busy the moment is: near 1 at the day's peak, about 0.1 at night; more or less on weekends."""
    hour = when.hour + when.minute / 60 + when.second / 3600
    office = _bump(hour, 11.5, 3.2)
    home = _bump(hour, 20.0, 2.4)
    level = 0.1 + 0.9 * max((1 - 0.5 * evening) * office, (0.5 + 0.5 * evening) * home)
    return level * (weekend if when.weekday() >= WEEKEND else 1.0)


def simulate(
    seed: int, service: Service, start_ms: int, seconds: float, *, rate: float = 1.0, state: Conditions | None = None
) -> Activity:
    """One slice. `rate` multiplies the number of visitors."""
    now = state or Conditions()
    rng = Random(f"{seed}:{service.name}:{start_ms}")
    busy = rhythm(datetime.fromtimestamp(start_ms / 1000, UTC), evening=service.evening, weekend=service.weekend)
    funnel = _funnel(rng, service, service.visits_per_s * busy * rate * now.demand * seconds, now)
    payments = [_payment(rng, service, index >= funnel["booked"]) for index in range(funnel["payment"])]
    cancelled = binomial(rng, funnel["booked"], service.cancel)
    refunds = [_payment(rng, service, failed=False) for _ in range(cancelled)]
    strain = min(1.0, busy * now.demand / 2)
    return Activity(
        service=service.name,
        start_ms=start_ms,
        seconds=seconds,
        funnel=funnel,
        payments=payments,
        cancelled=cancelled,
        refunds=refunds,
        scores=[_score(rng, now) for _ in range(binomial(rng, funnel["booked"], 0.35))],
        sessions_started=funnel["visit"],
        session_durations_s=[round(rng.lognormvariate(5.1, 0.8), 1) for _ in range(funnel["visit"])],
        active_users=round(service.visits_per_s * busy * rate * now.demand * rng.uniform(210, 250)),
        requests=_requests(rng, service, funnel, now),
        hosts=[
            _host(rng, f"{service.name}-{index + 1}", index, (strain, seconds), now) for index in range(service.hosts)
        ],
    )


def _bump(hour: float, centre: float, width: float) -> float:
    distance = min(abs(hour - centre), 24 - abs(hour - centre))
    return math.exp(-((distance / width) ** 2) / 2)


def _funnel(rng: Random, service: Service, expected_visits: float, now: Conditions) -> dict[str, int]:
    visit = poisson(rng, expected_visits)
    patience = 1 / math.sqrt(now.slowness * now.search_slowness)  # people leave pages that are slow
    search = binomial(rng, visit, service.search)
    cart = binomial(rng, search, service.cart * patience)
    payment = binomial(rng, cart, service.pay)
    booked = payment - binomial(rng, payment, now.payment_failures)
    return {"visit": visit, "search": search, "cart": cart, "payment": payment, "booked": booked}


def _payment(rng: Random, service: Service, failed: bool) -> Payment:
    amount = round(service.median_price * rng.lognormvariate(0, 0.5), 2)
    return Payment(not failed, amount, _pick(rng, service.currencies), _pick(rng, service.methods))


def _score(rng: Random, now: Conditions) -> int:
    return max(1, min(5, round(rng.gauss(4.3 + now.mood, 0.8))))


def _pick(rng: Random, shares: tuple[tuple[str, float], ...]) -> str:
    return rng.choices([name for name, _ in shares], [share for _, share in shares])[0]


# Endpoint of each funnel step: method, path, median latency in seconds.
_ENDPOINTS = {
    "visit": ("GET", "/", 0.035),
    "search": ("GET", "/api/search", 0.18),
    "cart": ("POST", "/api/cart", 0.06),
    "payment": ("POST", "/api/payments", 0.42),
    "booked": ("POST", "/api/bookings", 0.11),
}


def _requests(rng: Random, service: Service, funnel: dict[str, int], now: Conditions) -> list[Requests]:
    result: list[Requests] = []
    for step, (method, endpoint, median) in _ENDPOINTS.items():
        count = funnel[step]
        if count == 0:
            continue
        errors = binomial(rng, count, now.server_errors)
        refused = binomial(rng, count - errors, 0.015)
        ok = 201 if method == "POST" else 200
        statuses = {ok: count - errors - refused, 404 if method == "GET" else 422: refused, 503: errors}
        slow = service.latency * now.slowness * (now.search_slowness if step == "search" else 1.0)
        latencies = [round(median * slow * rng.lognormvariate(0, 0.45), 4) for _ in range(min(count, MAX_LATENCIES))]
        result.append(Requests(method, endpoint, {k: n for k, n in statuses.items() if n}, latencies))
    return result


def _host(rng: Random, name: str, index: int, load: tuple[float, float], now: Conditions) -> Host:
    strain, seconds = load
    cpu = min(99.5, max(1.0, 14 + 58 * strain + now.cpu + rng.gauss(0, 3)))
    return Host(
        name=name,
        cpu_percent=round(cpu, 1),
        memory_percent=round(min(98.5, 46 + 9 * index + 8 * strain + now.memory + rng.gauss(0, 0.6)), 1),
        disk_percent=round(38 + 7 * index + rng.gauss(0, 0.1), 1),
        load_1m=round(max(0.0, cpu / 100 * 4 + rng.gauss(0, 0.15)), 2),
        received_bytes=round((20_000 + 900_000 * strain) * seconds * rng.uniform(0.8, 1.2)),
        sent_bytes=round((60_000 + 3_500_000 * strain) * seconds * rng.uniform(0.8, 1.2)),
        running=index > 0 or now.running > 0,
    )


def poisson(rng: Random, mean: float) -> int:
    """A Poisson number: exact below 30, by the normal law above."""
    if mean <= 0:
        return 0
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def binomial(rng: Random, trials: int, chance: float) -> int:
    """How many of `trials` succeed: exact up to 200 trials, by the normal law above."""
    chance = min(1.0, max(0.0, chance))
    if trials <= 200:
        return sum(rng.random() < chance for _ in range(trials))
    spread = math.sqrt(trials * chance * (1 - chance))
    return min(trials, max(0, round(rng.gauss(trials * chance, spread))))
