"""What a series is: its identity, the rules its names obey, and the 64-bit fingerprint that stands for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import Final

from vigie_contracts import limits


class Kind(IntEnum):
    """Type and temporality of a series in one number; the same numbers as `vigie_windows.Kind`."""

    GAUGE = 0
    COUNTER = 1
    """Each value is an increment (delta temporality)."""
    CUMULATIVE = 2
    """Each value is the total since the sender started (cumulative temporality)."""
    HISTOGRAM = 3
    """Each value is one observation."""

    @property
    def type(self) -> str:
        """The metric type as users write it: `gauge`, `counter` or `histogram`."""
        return "counter" if self in (Kind.COUNTER, Kind.CUMULATIVE) else self.name.lower()

    @property
    def temporality(self) -> str | None:
        """`delta` or `cumulative` for a counter, else None."""
        return {Kind.COUNTER: "delta", Kind.CUMULATIVE: "cumulative"}.get(self)


_TYPES: Final[dict[tuple[str, str | None], Kind]] = {
    ("gauge", None): Kind.GAUGE,
    ("counter", None): Kind.COUNTER,
    ("counter", "delta"): Kind.COUNTER,
    ("counter", "cumulative"): Kind.CUMULATIVE,
    ("histogram", None): Kind.HISTOGRAM,
    # Clients of prom-client send single observations under either name.
    ("summary", None): Kind.HISTOGRAM,
}

# Prometheus names, widened by the separators of OpenTelemetry and Kubernetes names.
_METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.\-/]*\Z")
_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.\-/]*\Z")
_TENANT: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*\Z")

Labels = tuple[tuple[str, str], ...]
"""Label pairs sorted by name."""


class InvalidSeriesError(ValueError):
    """A name, type or label breaks a rule. `field` is the path of the offender inside the item: `labels.region`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """The identity of a series. Build one with `series_key`, which validates; the constructor trusts its caller."""

    tenant: str
    name: str
    kind: Kind
    labels: Labels

    @property
    def fingerprint(self) -> int:
        """Unsigned 64-bit hash of tenant, name, kind and sorted labels; each part is length-prefixed, so no two
        different identities have the same bytes under the hash."""
        h = blake2b(digest_size=8, person=b"vigie-series-v1")
        parts = [self.tenant, self.name, self.kind.name]
        for pair in self.labels:
            parts.extend(pair)
        for part in parts:
            data = part.encode()
            h.update(len(data).to_bytes(4, "little"))
            h.update(data)
        return int.from_bytes(h.digest(), "little")


def kind_of(type_: str, temporality: str | None = None) -> Kind:
    """The kind that the `type` and `temporality` of a metric name.

    Raises InvalidSeriesError for an unknown type, or a temporality on something that is no counter.
    """
    if (kind := _TYPES.get((type_, temporality))) is not None:
        return kind
    if (type_, None) not in _TYPES:
        raise InvalidSeriesError("type", "must be one of gauge, counter, histogram, summary")
    if type_ != "counter":
        raise InvalidSeriesError("temporality", f"only a counter has a temporality, not a {type_}")
    raise InvalidSeriesError("temporality", "must be delta or cumulative")


def series_key(tenant: str, name: str, kind: Kind, labels: Mapping[str, object]) -> SeriesKey:
    """Validate and normalise: labels are sorted, numbers and booleans become text, empty values are dropped
    (a label that is empty and one that is absent are the same, as in Prometheus). Equal numbers become equal texts: 1,
    1.0 and 1e0 are `1`, the number 1 and the text `1` one series.

    Raises InvalidSeriesError naming the field.
    """
    validate_tenant(tenant)
    if not name or len(name) > limits.MAX_NAME_CHARS:
        raise InvalidSeriesError("name", f"must have 1 to {limits.MAX_NAME_CHARS} characters")
    if not _METRIC_NAME.match(name):
        raise InvalidSeriesError(
            "name", "must start with a letter, '_' or ':' and hold only letters, digits and _ : . - /"
        )
    if len(labels) > limits.MAX_LABELS:
        raise InvalidSeriesError("labels", f"has {len(labels)} labels, the limit is {limits.MAX_LABELS}")
    clean = sorted((label, text) for label, value in labels.items() if (text := _label_text(label, value)))
    if sum(len(label.encode()) + len(text.encode()) for label, text in clean) > limits.MAX_LABELS_BYTES:
        raise InvalidSeriesError("labels", f"are longer than {limits.MAX_LABELS_BYTES} bytes together")
    return SeriesKey(tenant, name, kind, tuple(clean))


def validate_tenant(tenant: str) -> None:
    """Raises InvalidSeriesError unless `tenant` is usable as part of keys, channels and paths."""
    if len(tenant) > limits.MAX_TENANT_CHARS or not _TENANT.match(tenant):
        raise InvalidSeriesError(
            "tenant",
            f"must have 1 to {limits.MAX_TENANT_CHARS} characters: letters, digits and _ . -, a letter or digit first",
        )


def _label_text(label: str, value: object) -> str:
    field = f"labels.{label[: limits.MAX_LABEL_NAME_CHARS]}"
    if len(label) > limits.MAX_LABEL_NAME_CHARS or not _LABEL_NAME.match(label):
        raise InvalidSeriesError(
            field,
            f"must have 1 to {limits.MAX_LABEL_NAME_CHARS} characters: letters, digits and _ . - /, no digit first",
        )
    if label.startswith("__"):
        raise InvalidSeriesError(field, "label names that start with __ are reserved")
    match value:
        case bool():
            text = "true" if value else "false"
        case str():
            text = value
        case float() if value.is_integer():
            text = str(int(value))
        case int() | float():
            text = str(value)
        case _:
            raise InvalidSeriesError(field, "must be a string, a number or a boolean")
    if len(text) > limits.MAX_LABEL_VALUE_CHARS:
        raise InvalidSeriesError(field, f"is longer than {limits.MAX_LABEL_VALUE_CHARS} characters")
    if "\x00" in text or not _encodable(text):
        raise InvalidSeriesError(field, "holds a character that is not allowed (NUL or a lone surrogate)")
    return text


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def to_signed(fingerprint: int) -> int:
    """A fingerprint as BSON's signed 64-bit integer."""
    return fingerprint - (1 << 64) if fingerprint >= 1 << 63 else fingerprint


def to_unsigned(stored: int) -> int:
    """The fingerprint that `to_signed` stored."""
    return stored + (1 << 64) if stored < 0 else stored
