"""Families and values as text, in pieces, with no sample twice.

A delta counter shows the sum of its increments, a cumulative one its last value, a gauge its last value, a histogram
the count and sum of its observations, and how many lie at or below each bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vigie_contracts.latest import BUCKET_BOUNDS
from vigie_contracts.series import Kind
from vigie_summaries.families.families import Family, LatestTable, Values
from vigie_summaries.families.names import classic_metric, label_text, telling_labels

from vigie_api.exposition.layout import Block, Part, blocks
from vigie_api.exposition.negotiation import Format, NegotiatedFormat

PIECE_LINES: Final = 1_000
"""Lines written between two chances for other requests, about."""
_LE: Final = (*(f'le="{bound!r}"' for bound in BUCKET_BOUNDS), 'le="+Inf"')


@dataclass(frozen=True, slots=True)
class Exposition:
    """One answer."""

    families: Sequence[Family]
    latest: LatestTable
    negotiated: NegotiatedFormat
    since_ms: int

    def pieces(self) -> Iterator[bytes]:
        """The text, in pieces of about PIECE_LINES lines (and possibly none)."""
        for block in blocks(self.families, self.negotiated):
            yield from self._block(block)
        if self.negotiated.format is Format.OPENMETRICS:
            yield b"# EOF\n"

    def _block(self, block: Block) -> Iterator[bytes]:
        begun = False
        for part in block.parts:
            values = self.latest.of(part.family, self.since_ms)
            if len(values.place) and not begun:
                yield f"# TYPE {_quoted(block.name)} {block.type}\n".encode()
                begun = True
            yield from self._samples(part, values)
        yield b""

    def _samples(self, part: Part, values: Values) -> Iterator[bytes]:
        step = PIECE_LINES // len(_LE) if "_bucket" in part.suffixes else PIECE_LINES
        for start in range(0, len(values.place), step):
            piece = values.between(start, start + step)
            labels = self._labels(part.family, piece)
            lines = [self._lines(part, suffix, labels, piece) for suffix in part.suffixes]
            yield "".join(line for series in zip(*lines, strict=True) for line in series).encode()

    def _lines(self, part: Part, suffix: str, labels: Sequence[str], values: Values) -> list[str]:
        """The lines of each series that a suffix of its family stands for."""
        name = part.name + suffix
        if suffix == "_bucket":
            below = self.latest.at_or_below(values.placements).tolist()
            counts = zip(labels, below, values.counts.tolist(), strict=True)
            return [_bucket_lines(name, own, [*bounded, every]) for own, bounded, every in counts]
        numbers = _column(part.family.kind, suffix, values)
        return [f"{_sample(name, own)} {number(value)}\n" for own, value in zip(labels, numbers, strict=True)]

    def _labels(self, family: Family, values: Values) -> list[str]:
        escaping = self.negotiated.escaping
        telling = telling_labels(family.name, family.kind, escaping)
        texts: list[str] = []
        for position in values.place.tolist():
            labels = family.labels[position]
            own = labels if isinstance(labels, str) else label_text(labels, family.kind, escaping)
            texts.append(",".join([own, *telling] if own else telling) if telling else own)
        return texts


def _bucket_lines(name: str, labels: str, counts: Sequence[int]) -> str:
    opening = f"{name}{{" if classic_metric(name) else f'{{"{name}",'
    if labels:
        opening += labels + ","
    return "".join(f"{opening}{le}}} {count}\n" for le, count in zip(_LE, counts, strict=True))


def _sample(name: str, labels: str) -> str:
    if classic_metric(name):
        return f"{name}{{{labels}}}" if labels else name
    return f'{{"{name}",{labels}}}' if labels else f'{{"{name}"}}'


def _quoted(name: str) -> str:
    return name if classic_metric(name) else f'"{name}"'


def _column(kind: Kind, suffix: str, values: Values) -> list[float]:
    match kind:
        case Kind.HISTOGRAM:
            return values.counts.tolist() if suffix == "_count" else values.sums.tolist()
        case Kind.COUNTER:
            return values.sums.tolist()
        case _:
            return values.values.tolist()


def number(value: float) -> str:
    """As Prometheus writes numbers."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
