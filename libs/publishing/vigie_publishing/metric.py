"""A sample with its name: as senders write it in JSON, and as Vigie derives it from other things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct
from vigie_contracts.series import Kind

from vigie_publishing.timestamps import Timestamp

MetricType = Literal["gauge", "counter", "histogram", "summary"]
Temporality = Literal["delta", "cumulative"]

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes it does not take; RecursionError is not its own."""


class Metric(Struct, gc=False):
    """One measurement. `labels` stay raw: they are looked at only when the series is new. Unknown fields are ignored,
    with a warning; of a field that is there twice the last one counts, as in every JavaScript client."""

    name: Annotated[str, Meta(description="Letters, digits and _ : . - /, a letter, '_' or ':' first")]
    type: MetricType
    value: Annotated[float, Meta(description="Finite. Of a counter: the increment, unless temporality is cumulative")]
    labels: Raw = msgspec.field(default_factory=Raw)
    timestamp: Timestamp = None
    temporality: Temporality | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample that is derived from an event or a report, or read from a protocol that does not speak of metrics in
    JSON.

    Name and labels need not be valid: `SeriesResolver.derived` says of each whether they are."""

    name: str
    kind: Kind
    labels: tuple[tuple[str, str], ...]
    """In any order; the same one each time is found faster."""
    value: float
