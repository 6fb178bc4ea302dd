"""The metrics of identity. Add `IDENTITY_METRICS` to the declarations of a service that asks who somebody is."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vigie_runtime.metrics import Counter, Metric
from vigie_runtime.redis_breaker import REDIS_AWAY


class CacheName(StrEnum):
    """What is cached for a few seconds."""

    CREDENTIALS = "credentials"
    TENANTS = "tenants"


STALE: Final = Counter(
    "vigie_identity_stale_answers_total",
    "answers",
    "Answers from memory that were due to be looked up again, because the stores did not answer",
    {"what": CacheName},
)

IDENTITY_METRICS: Final[tuple[Metric, ...]] = (STALE, REDIS_AWAY)
