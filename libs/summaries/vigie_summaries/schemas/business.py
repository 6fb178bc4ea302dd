"""GET /api/metrics/business."""

from __future__ import annotations

from pydantic import Field

from vigie_summaries.schemas.base import Model, Number, Ranged
from vigie_summaries.schemas.common import CustomMetric


class Bookings(Model):
    """Events in the range."""

    created: Number
    completed: Number
    cancelled: Number
    completion_rate_percent: Number = Field(description="completed of created, 0 to 100 (late completions: above)")
    cancellation_rate_percent: Number = Field(description="cancelled of created")


class ServiceBookings(Bookings):
    service: str


class Money(Model):
    """Amounts in units of the currency (19.99, not cents)."""

    currency: str
    revenue: Number = Field(description="completed bookings")
    refunds: Number
    net: Number = Field(description="revenue less refunds")


class ServiceMoney(Money):
    service: str


class Payments(Model):
    """Payments in the range, by outcome."""

    succeeded: Number
    failed: Number
    refunded: Number
    success_rate_percent: Number = Field(description="succeeded of succeeded and failed")


class Users(Model):
    """Active users: the sum over the services at each moment of the range."""

    current: Number = Field(description="at the newest moment with a sample")
    avg: Number
    peak: Number = Field(description="where several services changed within one window, the greatest of each added")


class FunnelStep(Model):
    """A step of the conversion funnel, in the usual order; unknown steps come last."""

    step: str
    count: float
    rate_from_previous_percent: Number = Field(description="of the step before it in this list; null for the first")
    rate_from_first_percent: Number


class Satisfaction(Model):
    """Scores as given, by convention 1 to 5."""

    avg: Number
    p50: Number
    count: Number


class Sessions(Model):
    started: Number
    ended: Number
    avg_duration_seconds: Number


class BusinessMetrics(Ranged):
    """What the business did."""

    bookings: Bookings
    bookings_by_service: list[ServiceBookings]
    revenue: list[Money] = Field(description="by currency; never added over currencies")
    revenue_by_service: list[ServiceMoney]
    payments: Payments
    active_users: Users
    funnel: list[FunnelStep]
    satisfaction: Satisfaction
    sessions: Sessions
    events: dict[str, float] = Field(description="business events by type")
    other: list[CustomMetric] = Field(
        description="all other metrics sent to POST /api/metrics/business, and those that are named like a business'"
    )
    other_truncated: bool = Field(description="there are more than 500 of them")
