"""Which series a question is about, and what MongoDB is asked for that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from vigie_contracts.series import Kind
from vigie_query.errors import InvalidParameter
from vigie_query.matchers import Matcher
from vigie_runtime.clients import Document

from vigie_storage.series.document import series_id


@dataclass(frozen=True, slots=True)
class Filter:
    """Which series: `names` exactly, or beginning with `prefix`; None for any."""

    names: tuple[str, ...] | None = None
    prefix: str | None = None
    matchers: tuple[Matcher, ...] = ()
    kinds: frozenset[Kind] | None = None


def kinds_of(types: Sequence[str] | None, temporality: str | None = None) -> frozenset[Kind] | None:
    """The kinds of series that have one of these types, and of counters this temporality; None when all have. Raises
    InvalidParameter when none can have."""
    if not types and temporality is None:
        return None
    kinds = frozenset(
        kind
        for kind in Kind
        if (not types or kind.type in types) and (temporality is None or kind.temporality == temporality)
    )
    if not kinds:
        raise InvalidParameter("temporality", f"only a counter has one, not a {' or '.join(types or ())}")
    return kinds


def exactly(names: Collection[str]) -> Filter:
    """All series of these names."""
    return Filter(names=tuple(sorted(names)))


def query(wanted: Filter, after: tuple[str, int] | None = None) -> Document:
    """The query for what the store can decide of `wanted`; from that (name, fingerprint) on."""
    conditions: list[Document] = []
    if wanted.names is not None:
        names: Any = wanted.names[0] if len(wanted.names) == 1 else {"$in": list(wanted.names)}
        conditions.append({"name": names})
    if wanted.prefix:
        # Names are ASCII, so the greatest code point ends every name that has the prefix.
        conditions.append({"name": {"$gte": wanted.prefix, "$lt": wanted.prefix + "\U0010ffff"}})
    conditions += [{"lv": entry} for m in wanted.matchers if (entry := m.stored_equality) is not None]
    conditions += [{"lv": {"$ne": entry}} for m in wanted.matchers if (entry := m.stored_exclusion) is not None]
    if wanted.kinds is not None:
        conditions.append({"$or": [{"type": kind.type, "temporality": kind.temporality} for kind in wanted.kinds]})
    if after is not None:
        name, fingerprint = after
        conditions.append({"$or": [{"name": {"$gt": name}}, {"name": name, "_id": {"$gt": series_id(fingerprint)}}]})
        conditions.append({"name": {"$gte": name}})  # bounds for the index
    return {"$and": conditions} if conditions else {}
