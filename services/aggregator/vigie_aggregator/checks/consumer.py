"""The consumer of the checks topic. A check is known by its id, so one that comes again is stored already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from vigie_contracts.checks import Check
from vigie_contracts.days import END_MS
from vigie_contracts.series import InvalidSeriesError, validate_tenant
from vigie_contracts.topics import CHECKS
from vigie_runtime.bus import decoding, events
from vigie_runtime.clients import KafkaRecord
from vigie_runtime.errors import DeadReason, InvalidMessage
from vigie_storage.health.checks import Checks

from vigie_aggregator.metrics import Metrics
from vigie_aggregator.resources import Resources

MAX_WORD_CHARS: Final = 200
"""Of the words that name a check: its id, its target, the probe."""
MAX_REASON_CHARS: Final = 4_000
MAX_PHASES: Final = 64

_decoded: Final = decoding.json(Check)


def consumer(resources: Resources) -> events.Batches[Check]:
    """The declaration, for the registry."""
    life = timedelta(seconds=resources.settings.health_checks_ttl)
    return stored_in(Checks(resources.database), life, resources.metrics)


def stored_in(store: Checks, life: timedelta, metrics: Metrics) -> events.Batches[Check]:
    """The declaration with this store, in which checks live so long."""

    async def stored(checks: Sequence[Check]) -> None:
        new = await store.write(checks)
        metrics.checks.inc(new)
        metrics.repeated_checks.inc(len(checks) - new)

    return events.batches(CHECKS, read, stored, prepare=partial(store.prepare, life))


def read(record: KafkaRecord) -> Check:
    """Raises InvalidMessage."""
    check = _decoded(record)
    for name, word in (("id", check.id), ("target", check.target), ("probe", check.probe)):
        if not 1 <= len(word) <= MAX_WORD_CHARS:
            raise InvalidMessage(DeadReason.INVALID, f"{name}: must have 1 to {MAX_WORD_CHARS} characters")
    try:
        validate_tenant(check.tenant)
    except InvalidSeriesError as e:
        raise InvalidMessage(DeadReason.INVALID, str(e)) from e
    if not 0 <= check.timestamp < END_MS:
        raise InvalidMessage(DeadReason.INVALID, "timestamp: must be in the years 1970 to 9998, in milliseconds")
    if len(check.reason) > MAX_REASON_CHARS:
        raise InvalidMessage(DeadReason.INVALID, f"reason: must have at most {MAX_REASON_CHARS} characters")
    if len(check.phases) > MAX_PHASES:
        raise InvalidMessage(DeadReason.INVALID, f"phases: must be at most {MAX_PHASES}")
    return check
