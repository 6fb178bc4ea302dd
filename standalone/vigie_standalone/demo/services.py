"""The five simulated booking services: how much, how well and for how much they sell."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """One booking service at its busiest hour."""

    name: str
    visits_per_s: float
    search: float
    """Share of visits that search."""
    cart: float
    """Share of searches that put something in the cart."""
    pay: float
    """Share of carts that go to payment."""
    median_price: float
    currencies: tuple[tuple[str, float], ...]
    """ISO code and its share of the bookings."""
    methods: tuple[tuple[str, float], ...] = (("card", 0.72), ("wallet", 0.2), ("transfer", 0.08))
    weekend: float = 1.0
    """How much busier a weekend is."""
    evening: float = 0.5
    """0: people book at work, 1: at home in the evening."""
    cancel: float = 0.04
    """Cancellations for every completed booking."""
    latency: float = 1.0
    """How slow compared with the others."""
    hosts: int = 2


SERVICES: tuple[Service, ...] = (
    Service(
        "hotel-booking", 6.0, 0.62, 0.31, 0.52, 240.0,
        (("EUR", 0.6), ("USD", 0.3), ("GBP", 0.1)), weekend=1.25, evening=0.8, cancel=0.11, hosts=3,
    ),
    Service(
        "flight-booking", 4.5, 0.82, 0.22, 0.47, 310.0,
        (("EUR", 0.5), ("USD", 0.35), ("GBP", 0.15)), evening=0.6, cancel=0.03, latency=1.9, hosts=3,
    ),
    Service(
        "event-tickets", 3.5, 0.55, 0.4, 0.66, 64.0,
        (("EUR", 0.8), ("GBP", 0.2)), weekend=1.4, evening=0.9, cancel=0.01, latency=0.8,
    ),
    Service(
        "train-tickets", 8.0, 0.88, 0.38, 0.71, 47.0,
        (("EUR", 0.75), ("CHF", 0.25)), weekend=0.8, evening=0.3, cancel=0.05, latency=0.7,
    ),
    Service(
        "car-rental", 1.5, 0.7, 0.27, 0.5, 118.0,
        (("USD", 0.55), ("EUR", 0.45)), weekend=1.15, evening=0.5, cancel=0.08, latency=1.2, hosts=1,
    ),
)  # fmt: skip
