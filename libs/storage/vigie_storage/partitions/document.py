"""The documents that are kept of a partition of the samples log.

partitions  {_id: "<topic>/<partition>", cluster_id, topic_id, epoch, next: {tier: offset}, within: {tier: samples},
            dirty_since: {coarse tier: ms | null}, whole_since: {added tier: ms}, lost, updated,
            corrections: {coarse tier: {count, next, within}}}; `within` is how many samples of the record at `next` are
            counted already: 0, but for a moment after a record that touches thousands of windows. Of corrections
            `next` and `within` repeat those of the tier: else an aggregator counted that knows of none
requests    {_id: {p: partition, k: request key}, offset, epoch, received: ms, earlier: [{offset, epoch, received}],
            expires}; `earlier` is there only when the key came again after its time was over
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bson import Binary, Int64
from vigie_contracts.tiers import TIERS
from vigie_runtime.clients import Document

from vigie_storage.partitions.checkpoint import Checkpoint, Log, Position

NEVER: Final = 1 << 62
"""A tier that the aggregators do not know yet is whole from this moment on, ms."""
COMPLETENESS: Final[Mapping[str, int]] = {
    "next": 1, "within": 1, "dirty_since": 1, "whole_since": 1, "corrections": 1,
}  # fmt: skip
"""What `dirty_since`, `whole_since` and `corrections` need of the document."""
FIRST_USES: Final[Mapping[str, int]] = {"epoch": 1, "offset": 1, "received": 1, "earlier": 1}
"""What `parse_keys` needs of the documents."""


@dataclass(frozen=True, slots=True)
class FirstUse:
    """The record that carried a request key first: its offset, in the log of that epoch; and when the request was
    received, ms. 0: not said."""

    epoch: int
    offset: int
    received_ms: int = 0


Uses = tuple[FirstUse, ...]
"""The first uses of one key, in the order of the log. Nearly always one: a key that comes again after its time is over
is used for the first time once more."""


def partition_id(topic: str, partition: int) -> str:
    """The `_id` of a partition's document."""
    return f"{topic}/{partition}"


def of_topic(topic: str) -> Document:
    """The query for all partitions of a topic."""
    prefix = partition_id(topic, 0)[:-1]
    return {"_id": {"$gte": prefix, "$lt": prefix + "\U0010ffff"}}


def partition_of(document: Mapping[str, Any]) -> int:
    """Which partition the document is about."""
    return int(document["_id"].rpartition("/")[2])


def fields(checkpoint: Checkpoint) -> Document:
    """All of the document but its `_id` and `updated`. Set as a whole: a tier that is no longer kept is gone then."""
    return {
        "cluster_id": checkpoint.log.cluster_id,
        "topic_id": checkpoint.log.topic_id,
        "epoch": checkpoint.epoch,
        "next": {name: Int64(position.offset) for name, position in checkpoint.positions.items()},
        "within": {name: position.sample for name, position in checkpoint.positions.items()},
        "dirty_since": {name: None if ms is None else Int64(ms) for name, ms in checkpoint.dirty_since.items()},
        "whole_since": {name: Int64(ms) for name, ms in checkpoint.whole_since.items()},
        "lost": Int64(checkpoint.lost),
        "corrections": {
            name: {"count": Int64(count), **_at(checkpoint.positions[name])}
            for name, count in checkpoint.corrections.items()
        },
    }


def _at(position: Position) -> Document:
    return {"next": Int64(position.offset), "within": position.sample}


def unmoved(checkpoint: Checkpoint) -> Document:
    """A filter that the document passes only if nobody has moved it since it said `checkpoint`."""
    stored = fields(checkpoint)
    same = {name: stored[name] for name in ("cluster_id", "topic_id", "epoch")}
    for group in ("next", "within"):
        # None is what MongoDB finds where nothing is: a tier that is new may not have been counted by anybody else.
        same |= {f"{group}.{tier.name}": stored[group].get(tier.name) for tier in TIERS}
    return same


def parse(document: Mapping[str, Any]) -> Checkpoint:
    """What `fields` made, without the tiers that are no longer kept."""
    offsets, within = document["next"], document["within"]
    names = [tier.name for tier in TIERS if tier.name in offsets]
    return Checkpoint(
        Log(document["cluster_id"], document["topic_id"]),
        document["epoch"],
        {name: Position(int(offsets[name]), within[name]) for name in names},
        {name: ms for name, ms in dirty_since(document).items() if name in names},
        int(document["lost"]),
        {name: ms for name, ms in whole_since(document).items() if name in names},
        {name: count for name, count in _counted_corrections(document).items() if name in names},
    )


def dirty_since(document: Mapping[str, Any]) -> dict[str, int | None]:
    """`Checkpoint.dirty_since`, of the tiers that were kept when it was written."""
    stored: Mapping[str, Any] = document.get("dirty_since") or {}
    return {name: None if ms is None else int(ms) for name, ms in stored.items()}


def whole_since(document: Mapping[str, Any]) -> dict[str, int]:
    """`Checkpoint.whole_since`, of the tiers that were kept when it was written; NEVER for others."""
    stored: Mapping[str, Any] = document.get("whole_since") or {}
    unknown = {tier.name: NEVER for tier in TIERS if tier.name not in document["next"]}
    return {name: int(ms) for name, ms in stored.items()} | unknown


def corrections(document: Mapping[str, Any]) -> dict[str, int]:
    """`Checkpoint.corrections`, of the tiers of which all were counted."""
    stored: Mapping[str, Any] = document.get("corrections") or {}
    return {name: int(one["count"]) for name, one in stored.items() if _is_last(document, name, one)}


def _counted_corrections(document: Mapping[str, Any]) -> dict[str, int]:
    """One more where there may have been some that nobody counted."""
    stored: Mapping[str, Any] = document.get("corrections") or {}
    return {name: int(one["count"]) + (not _is_last(document, name, one)) for name, one in stored.items()}


def _is_last(document: Mapping[str, Any], name: str, one: Mapping[str, Any]) -> bool:
    return one["next"] == document["next"].get(name) and one["within"] == document["within"].get(name)


def key_id(partition: int, key: bytes) -> Document:
    """The `_id` of a request key."""
    return {"p": partition, "k": Binary(key)}


def key_document(partition: int, key: bytes, uses: Uses, expires: datetime) -> Document:
    """A request key with its first uses, at least one."""
    *earlier, last = map(_use, uses)
    more = {"earlier": earlier} if earlier else {}
    return {"_id": key_id(partition, key), **last, **more, "expires": expires}


def parse_keys(documents: Iterable[Mapping[str, Any]]) -> dict[bytes, Uses]:
    """What `key_document` made."""
    return {bytes(one["_id"]["k"]): tuple(map(_parse_use, (*one.get("earlier", ()), one))) for one in documents}


def _use(use: FirstUse) -> Document:
    return {"offset": Int64(use.offset), "epoch": use.epoch, "received": Int64(use.received_ms)}


def _parse_use(document: Mapping[str, Any]) -> FirstUse:
    return FirstUse(document["epoch"], int(document["offset"]), int(document.get("received", 0)))
