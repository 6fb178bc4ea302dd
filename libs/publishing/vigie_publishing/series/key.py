"""Series keys: as a sender wrote them, which is what the cache knows, and validated, once per new series."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from json import JSONDecoder
from typing import Final

import msgspec
from vigie_contracts.series import InvalidSeriesError, Kind, SeriesKey, kind_of, series_key

from vigie_publishing.errors import ItemError, Reason
from vigie_publishing.metric import UNREADABLE, Metric, Sample

RawSeriesKey = tuple[Hashable, ...]
"""What a sender wrote of a series, as it wrote it: (tenant, name, type, temporality, bytes of the labels).

Spelled in another order the same series has another raw key, and the same fingerprint. The bytes must be a copy: a
`msgspec.Raw` would keep the whole request body alive."""

_labels: Final = msgspec.json.Decoder(dict[str, object] | None)
_pairs: Final = JSONDecoder(object_pairs_hook=list)


def raw_key(tenant: str, metric: Metric) -> RawSeriesKey:
    """The metric's series as its sender wrote it."""
    return (tenant, metric.name, metric.type, metric.temporality, bytes(metric.labels))


def derived_key(tenant: str, sample: Sample) -> RawSeriesKey:
    """The raw key of a derived sample: four parts, so never equal to the five of `raw_key`."""
    return (tenant, sample.name, sample.kind, sample.labels)


def key_of_derived(tenant: str, sample: Sample) -> SeriesKey | ItemError:
    """`key_of` for a derived sample."""
    labels = dict(sample.labels)
    if len(labels) != len(sample.labels):
        return _twice(sample.labels)
    return build(tenant, sample.name, sample.kind, labels)


def key_of(tenant: str, metric: Metric) -> SeriesKey | ItemError:
    """The validated key, or the first rule that it breaks."""
    labels = parse_labels(bytes(metric.labels))
    if isinstance(labels, ItemError):
        return labels
    try:
        kind = kind_of(metric.type, metric.temporality)
    except InvalidSeriesError as e:
        return ItemError(Reason.SERIES, e.field, e.reason)
    return build(tenant, metric.name, kind, labels)


def build(tenant: str, name: str, kind: Kind, labels: Mapping[str, object]) -> SeriesKey | ItemError:
    """`series_key` with its error as a value."""
    try:
        return series_key(tenant, name, kind, labels)
    except InvalidSeriesError as e:
        return ItemError(Reason.SERIES, e.field, e.reason)
    except ValueError:  # an integer of more digits than Python turns into text
        return ItemError(Reason.SERIES, "labels", "hold a number that is too long")


def parse_labels(raw: bytes) -> dict[str, object] | ItemError:
    """The labels object; absent and null are empty. A label that is there twice is refused: it would be a guess."""
    if not raw:
        return {}
    try:
        labels = _labels.decode(raw)
    except msgspec.ValidationError as e:
        return ItemError(Reason.SERIES, "labels", _why(e))
    except UNREADABLE:
        return ItemError(
            Reason.SERIES, "labels", "hold text that is not valid UTF-8 or half a surrogate pair, or nest too deeply"
        )
    if labels is None:
        return {}
    if any(isinstance(value, dict | list) for value in labels.values()):
        name = next(name for name, value in labels.items() if isinstance(value, dict | list))
        return ItemError(Reason.SERIES, f"labels.{name[:128]}", "must be a string, a number or a boolean")
    pairs = _pairs.decode(raw.decode())
    return labels if len(pairs) == len(labels) else _twice(pairs)


def _twice(pairs: Iterable[tuple[str, object]]) -> ItemError:
    """Which of these labels is there twice."""
    seen: set[str] = set()
    twice = next(name for name, _ in pairs if name in seen or seen.add(name))
    return ItemError(Reason.SERIES, f"labels.{twice[:128]}", "is there twice")


def _why(error: msgspec.ValidationError) -> str:
    return (
        "hold a number that is too large" if "out of range" in str(error) else "must be an object of names and values"
    )
