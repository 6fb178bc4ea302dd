"""The documents of windows, one collection per tier.

windows_*  {_id: {t: tenant, p: partition, c: chunk, w: start in ms}, expires, ...columns of `vigie_windows.chunks`}

MongoDB compares embedded documents field by field, in their order: ids are built here and nowhere else. The windows of
a chunk stand together, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bson import Int64
from vigie_contracts.days import to_datetime
from vigie_contracts.tiers import Tier
from vigie_runtime.clients import Document


class Place(NamedTuple):
    """The chunk-window of a document in one tier and partition."""

    tenant: str
    chunk: int
    start_ms: int


@dataclass(frozen=True, slots=True)
class Window:
    """A whole chunk-window, as stored."""

    place: Place
    document: Mapping[str, Any]


def window_id(tenant: str, partition: int, chunk: int, start_ms: int) -> Document:
    """The `_id` of a window; only its tenant's."""
    return {"t": tenant, "p": partition, "c": chunk, "w": Int64(start_ms)}


def between(tenant: str, partition: int, chunk: int, start_ms: int, end_ms: int) -> Document:
    """The condition on `_id` for the windows of a chunk that begin in [start_ms, end_ms)."""
    return {
        "$gte": window_id(tenant, partition, chunk, start_ms),
        "$lt": window_id(tenant, partition, chunk, end_ms),
    }


def document(partition: int, tier: Tier, window: Window) -> Document:
    """As it is stored."""
    tenant, chunk, start_ms = window.place
    expires = to_datetime(start_ms + tier.width_ms + tier.retention_ms)
    return {"_id": window_id(tenant, partition, chunk, start_ms), "expires": expires, **window.document}


def parse(document: Mapping[str, Any]) -> Window:
    """What `document` made, without its partition."""
    where = document["_id"]
    return Window(Place(where["t"], where["c"], where["w"]), document)


def located(document: Mapping[str, Any]) -> tuple[int, int, int]:
    """Partition, chunk and start in ms of what `document` made: cheaper than `parse`, for many of one tenant."""
    where = document["_id"]
    return where["p"], where["c"], int(where["w"])
