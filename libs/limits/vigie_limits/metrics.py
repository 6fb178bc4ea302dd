"""The metrics of the rate limits; they live in the metrics of the service that limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_runtime.metrics import Counter, Gauge
from vigie_runtime.redis_breaker import REDIS_AWAY

from vigie_limits.counter import LimitName


class LeaseOutcome(StrEnum):
    """How asking for a lease ended; `alone`: it was counted locally, without Redis."""

    GRANTED = "granted"
    REFUSED = "refused"
    ALONE = "alone"


THROTTLED: Final = Counter(
    "vigie_limits_throttled_total", "requests", "Requests that were refused because of a limit", {"scope": LimitName}
)
QUESTIONS: Final = Counter(
    "vigie_limits_questions_total", "questions", "How often more units had to be asked for", {"answer": LeaseOutcome}
)
ACCOUNTS: Final = Gauge("vigie_limits_accounts", "callers", "Callers whose units are counted", {"scope": LimitName})
USAGE_WAITING: Final = Gauge("vigie_limits_usage_waiting", "tenants", "Tenants whose usage is not stored yet")
USAGE_DROPPED: Final = Counter(
    "vigie_limits_usage_dropped_total", "requests", "Requests missing in the usage, because MongoDB was away too long"
)

LIMITS_METRICS: Final = (THROTTLED, QUESTIONS, REDIS_AWAY, ACCOUNTS, USAGE_WAITING, USAGE_DROPPED)
