"""The documents of series.

series         {_id: fingerprint (signed), tenant, name, type, temporality, labels: [[name, value]], lv: ["name=value"],
               partition, ordinal, created, business: true once it was sent as a business metric}
tenant_series  {_id: tenant, count, next: {partition: ordinal that the next series there gets}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bson import Int64
from vigie_contracts.days import to_datetime
from vigie_contracts.series import Kind, kind_of, to_signed, to_unsigned
from vigie_query.series import Series
from vigie_runtime.clients import Document

FIELDS: Final[Mapping[str, int]] = {"lv": 0}
"""What `parse` needs: `lv` is only for the index of labels."""

PLACED: Final[Mapping[str, int]] = {**FIELDS, "tenant": 0, "created": 0}
"""What it needs when many are looked up that are not shown: what a series is, and where it lives."""


def series_id(fingerprint: int) -> Int64:
    """MongoDB has no unsigned integers."""
    return Int64(to_signed(fingerprint))


def document(tenant: str, series: Series) -> Document:
    """As it is stored."""
    return {
        "_id": series_id(series.fingerprint),
        "tenant": tenant,
        "name": series.name,
        "type": series.kind.type,
        "temporality": series.kind.temporality,
        "labels": [[name, value] for name, value in series.labels],
        "lv": [f"{name}={value}" for name, value in series.labels],
        "partition": series.partition,
        "ordinal": series.ordinal,
        "created": to_datetime(series.created_ms),
    }


def parse(document: Mapping[str, Any]) -> Series:
    """What `document` made; without its tenant, whom the reader asked for. `created_ms` is 0 where only PLACED was
    read."""
    created = document.get("created")
    return Series(
        fingerprint=to_unsigned(int(document["_id"])),
        name=document["name"],
        kind=kind_of(document["type"], document["temporality"]),
        labels=tuple(map(tuple, document["labels"])),
        partition=int(document["partition"]),
        ordinal=int(document["ordinal"]),
        created_ms=0 if created is None else round(created.timestamp() * 1000),
    )


BUSINESS: Final[Mapping[str, object]] = {"business": True}
"""Of a series that was sent as a business metric. No part of what the series is."""
FAMILIES: Final[Document] = {"$group": {"_id": {"name": "$name", "type": "$type", "temporality": "$temporality"}}}
"""The stage that gives the names and kinds of series, for `parse_family`."""


def parse_family(grouped: Mapping[str, Any]) -> tuple[str, Kind]:
    """Name and kind, from what FAMILIES gives."""
    one = grouped["_id"]
    return one["name"], kind_of(one["type"], one["temporality"])


def count(tenant_series: Mapping[str, Any] | None) -> int:
    """How many series the tenant has."""
    return int(tenant_series["count"]) if tenant_series else 0


def next_ordinals(tenant_series: Mapping[str, Any] | None) -> dict[int, int]:
    """Partition -> the ordinal that the tenant's next series there gets: how many it has."""
    return {int(partition): int(ordinal) for partition, ordinal in (tenant_series or {}).get("next", {}).items()}


def added(series: Mapping[int, int]) -> Document:
    """The update of `tenant_series` for so many new series by partition."""
    steps = {f"next.{partition}": Int64(n) for partition, n in series.items()}
    return {"$inc": {"count": Int64(sum(series.values())), **steps}}
