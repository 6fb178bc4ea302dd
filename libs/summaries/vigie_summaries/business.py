"""The numbers of the business."""

from __future__ import annotations

from vigie_contracts import names
from vigie_query.functions import Function

from vigie_summaries.numbers import Numbers, Source, between, finite, percent, rounded
from vigie_summaries.schemas.business import (
    Bookings,
    FunnelStep,
    Money,
    Payments,
    Satisfaction,
    ServiceBookings,
    ServiceMoney,
    Sessions,
    Users,
)

NAMES = names.BUSINESS
PREFIXES = (
    "business_", "booking", "payment", "revenue", "order", "ticket", "customer", "user", "session", "funnel", "cart",
    "conversion", "satisfaction", "event", "sale", "traffic_",
)  # fmt: skip
_COUNTS = (names.BOOKINGS_CREATED, names.BOOKINGS_COMPLETED, names.BOOKINGS_CANCELLED)


def bookings(source: Source) -> Bookings:
    """Counts and shares."""
    created, completed, cancelled = (source.value(Function.INCREASE, name) for name in _COUNTS)
    return Bookings(
        created=created,
        completed=completed,
        cancelled=cancelled,
        completion_rate_percent=percent(completed, created),
        cancellation_rate_percent=percent(cancelled, created),
    )


def bookings_by_service(numbers: Numbers) -> list[ServiceBookings]:
    """Each service by itself, by name."""
    found = numbers.label_values(_COUNTS, "service")
    return [ServiceBookings(service=name, **dict(bookings(numbers.part("service", name)))) for name in found]


def money(numbers: Numbers) -> list[Money]:
    """By currency."""
    return [Money(currency=currency, **amounts) for (currency,), amounts in _amounts(numbers, ("currency",)).items()]


def money_by_service(numbers: Numbers) -> list[ServiceMoney]:
    """By service and currency."""
    return [
        ServiceMoney(service=service, currency=currency, **amounts)
        for (service, currency), amounts in _amounts(numbers, ("service", "currency")).items()
    ]


def payments(numbers: Numbers) -> Payments:
    """By outcome."""
    counts = numbers.by(Function.INCREASE, names.PAYMENTS, ("status",))
    succeeded, failed, refunded = (counts.get((status,)) for status in ("succeeded", "failed", "refunded"))
    tried = (succeeded or 0.0) + (failed or 0.0)
    return Payments(
        succeeded=succeeded, failed=failed, refunded=refunded, success_rate_percent=percent(succeeded, tried)
    )


def users(numbers: Numbers) -> Users:
    """Active users of all services."""
    total = numbers.total(names.ACTIVE_USERS)
    if total is None:
        return Users(current=None, avg=None, peak=None)
    return Users(current=finite(total.last), avg=between(total.avg, None, total.max), peak=finite(total.max))


def funnel(numbers: Numbers) -> list[FunnelStep]:
    """The usual steps first, in their order, then others by name; steps without any count are left out."""
    counts = {step: count for (step,), count in numbers.by(Function.INCREASE, names.FUNNEL_STEPS, ("step",)).items()}
    usual = [step for step in names.FUNNEL_ORDER if step in counts]
    order = [*usual, *sorted(counts.keys() - set(usual))]
    previous = [None, *(counts[step] for step in order)]
    return [
        FunnelStep(
            step=step,
            count=counts[step],
            rate_from_previous_percent=percent(counts[step], before),
            rate_from_first_percent=percent(counts[step], counts[order[0]]),
        )
        for step, before in zip(order, previous, strict=False)  # the last step is before none
    ]


def satisfaction(numbers: Numbers) -> Satisfaction:
    """Scores of all services."""
    return Satisfaction(
        avg=rounded(numbers.value(Function.AVG, names.SATISFACTION)),
        p50=rounded(numbers.value(Function.P50, names.SATISFACTION)),
        count=numbers.value(Function.COUNT, names.SATISFACTION),
    )


def sessions(numbers: Numbers) -> Sessions:
    """Of all services."""
    return Sessions(
        started=numbers.value(Function.INCREASE, names.SESSIONS_STARTED),
        ended=numbers.value(Function.INCREASE, names.SESSIONS_ENDED),
        avg_duration_seconds=rounded(numbers.value(Function.AVG, names.SESSION_DURATION)),
    )


def events(numbers: Numbers) -> dict[str, float]:
    """By type."""
    return {type_: count for (type_,), count in numbers.by(Function.INCREASE, names.EVENTS, ("type",)).items()}


def _amounts(numbers: Numbers, labels: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, float | None]]:
    revenue = numbers.by(Function.INCREASE, names.REVENUE, labels)
    refunds = numbers.by(Function.INCREASE, names.REFUNDS, labels)
    return {
        group: {
            "revenue": rounded(revenue.get(group)),
            "refunds": rounded(refunds.get(group)),
            "net": rounded(revenue.get(group, 0.0) - refunds.get(group, 0.0)),
        }
        for group in sorted(revenue.keys() | refunds.keys())
    }
