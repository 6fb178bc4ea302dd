"""Which families stand together in an answer, and under which type.

A series' name never depends on what else there is (`names`), but a format takes a name under one type only. So what is
alike in name and type is one family, and what shares a name with something of another type stands without a type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from vigie_contracts.series import Kind
from vigie_summaries.families.families import Family
from vigie_summaries.families.names import metric_name

from vigie_api.exposition.negotiation import Format, NegotiatedFormat

_TOTAL: Final = "_total"
_SUFFIXES: Final = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
_RESERVED: Final = {"counter": ("", _TOTAL, "_created"), "histogram": ("", "_bucket", "_sum", "_count", "_created")}
"""Ends of names that OpenMetrics keeps for a family of a type, used or not."""


@dataclass(frozen=True, slots=True)
class Part:
    """Samples of a family: those with these suffixes to `name`."""

    family: Family
    name: str
    suffixes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Block:
    """What stands under one TYPE line."""

    name: str
    type: str
    parts: Sequence[Part]


def blocks(families: Iterable[Family], negotiated: NegotiatedFormat) -> list[Block]:
    """In the order of the families; those without a type come last."""
    typed: dict[tuple[str, str], list[Part]] = {}
    for family in families:
        part = Part(family, metric_name(family.name, negotiated.escaping), _SUFFIXES.get(family.kind, ("",)))
        typed.setdefault(_type(part, negotiated.format), []).append(part)
    claimed: dict[str, list[tuple[str, str]]] = {}
    for name, type_ in typed:
        for claim in _claims(name, type_, negotiated.format):
            claimed.setdefault(claim, []).append((name, type_))
    mixed = {key for keys in claimed.values() if len(keys) > 1 for key in keys}
    untyped: dict[str, list[Part]] = {}
    for key in sorted(mixed):
        for part in typed.pop(key):
            for suffix in part.suffixes:
                untyped.setdefault(part.name + suffix, []).append(Part(part.family, part.name, (suffix,)))
    found = [Block(name, type_, parts) for (name, type_), parts in typed.items()]
    return found + [Block(name, _no_type(negotiated.format), parts) for name, parts in untyped.items()]


def _type(part: Part, format_: Format) -> tuple[str, str]:
    """Name and type of a TYPE line that is right for the part alone."""
    if part.family.kind is Kind.GAUGE:
        return part.name, "gauge"
    if part.family.kind is Kind.HISTOGRAM:
        return part.name, "histogram"
    # In OpenMetrics the samples of a counter are called `_total`, and its family has a name without it.
    family = part.name.removesuffix(_TOTAL)
    if not family or (format_ is Format.OPENMETRICS and family == part.name):
        return part.name, _no_type(format_)
    return part.name if format_ is Format.TEXT else family, "counter"


def _claims(name: str, type_: str, format_: Format) -> set[str]:
    """The names that nothing of another name or type may have beside it."""
    reserved = _RESERVED.get(type_, ("",)) if format_ is Format.OPENMETRICS or type_ == "histogram" else ("",)
    claims = {name + suffix for suffix in reserved}
    if format_ is Format.TEXT and type_ == "counter" and not name.endswith(_TOTAL):
        claims.add(name + _TOTAL)  # as some parsers read its samples
    return claims


def _no_type(format_: Format) -> str:
    return "unknown" if format_ is Format.OPENMETRICS else "untyped"
