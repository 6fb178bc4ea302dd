"""Families and values as text, in pieces, with no sample twice.

A delta counter shows the sum of its increments, a cumulative one its last value, a gauge its last value, a histogram
the count and sum of its observations as a summary. Names are claimed in the order of families; one whose names are
taken (after escaping, or because OpenMetrics gives a counter `x` the sample name `x_total`) tries other forms, and is
dropped and counted when all of them are taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from vigie_contracts.series import Kind, Labels

from vigie_api.exposition.families import Family, LatestTable, Values
from vigie_api.exposition.names import classic_metric, label_text, reversible, underscored
from vigie_api.exposition.negotiation import Escaping, Format, NegotiatedFormat

PIECE_SERIES: Final = 1_000
"""Series written between two chances for other requests."""

_TYPES: Final = {Kind.GAUGE: "gauge", Kind.COUNTER: "counter", Kind.CUMULATIVE: "counter", Kind.HISTOGRAM: "summary"}
_RESERVED: Final = {"counter": ("_total", "_created"), "summary": ("_count", "_sum", "_created")}
"""Suffixes that OpenMetrics keeps for a family of a type, used or not."""


@dataclass(frozen=True, slots=True)
class _SampleForm:
    """A family as it is written: `name` of the TYPE line, `samples` the suffixes of its samples."""

    name: str
    type: str
    samples: tuple[str, ...]

    def claims(self, format_: Format) -> set[str]:
        """The names that nobody else may have in the answer."""
        reserved = _RESERVED.get(self.type, ()) if format_ is Format.OPENMETRICS else ()
        return {self.name + suffix for suffix in ("", *self.samples, *reserved)}


@dataclass(slots=True)
class Exposition:
    """One answer. `dropped` counts the series that were left out, once it is written."""

    families: Sequence[Family]
    latest: LatestTable
    negotiated: NegotiatedFormat
    since_ms: int
    dropped: int = 0
    _taken: set[str] = field(default_factory=set)

    def pieces(self) -> Iterator[bytes]:
        """The text, in pieces of at most PIECE_SERIES series (and possibly none)."""
        names = {family.name for family in self.families}
        for family in self.families:
            values = self.latest.of(family, self.since_ms)
            if not len(values.place):
                yield b""
                continue
            form = self._claim(family, names)
            if form is None:
                self.dropped += len(values.place)
                continue
            yield f"# TYPE {self._written(form.name)} {form.type}\n".encode()
            yield from self._samples(family, form, values)
        if self.negotiated.format is Format.OPENMETRICS:
            yield b"# EOF\n"

    def _samples(self, family: Family, form: _SampleForm, values: Values) -> Iterator[bytes]:
        columns = _columns(family.kind, values)
        written = _ready(family)
        index: list[int] = values.place.tolist()
        for start in range(0, len(index), PIECE_SERIES):
            lines: list[str] = []
            end = start + PIECE_SERIES
            for position, *numbers in zip(index[start:end], *(c[start:end] for c in columns), strict=True):
                labels = self._labels(family.labels[position], written)
                if labels is None:
                    self.dropped += 1
                    continue
                lines += [
                    f"{self._sample(form.name + suffix, labels)} {number(value)}\n"
                    for suffix, value in zip(form.samples, numbers, strict=True)
                ]
            yield "".join(lines).encode()

    def _labels(self, labels: str | Labels, written: set[str]) -> str | None:
        """The label text; None when another series of the family has the same one after escaping."""
        if isinstance(labels, str):
            return labels
        for escaping in (self.negotiated.escaping, Escaping.VALUES):
            text = label_text(labels, escaping)
            if text not in written:
                written.add(text)
                return text
        return None

    def _sample(self, name: str, labels: str) -> str:
        if classic_metric(name):
            return f"{name}{{{labels}}}" if labels else name
        return f'{{"{name}",{labels}}}' if labels else f'{{"{name}"}}'

    def _written(self, name: str) -> str:
        return name if classic_metric(name) else f'"{name}"'

    def _claim(self, family: Family, names: set[str]) -> _SampleForm | None:
        for form in self._forms(family, names):
            claims = form.claims(self.negotiated.format)
            if self._taken.isdisjoint(claims):
                self._taken |= claims
                return form
        return None

    def _forms(self, family: Family, names: set[str]) -> Iterator[_SampleForm]:
        """The ways to write the family, best first."""
        exact = classic_metric(family.name) or self.negotiated.escaping is Escaping.UTF8
        base = family.name if exact else underscored(family.name)
        openmetrics = self.negotiated.format is Format.OPENMETRICS
        # An escaped name never takes the place of a metric that is really called so.
        if exact or (base not in names and self.negotiated.escaping is not Escaping.VALUES):
            yield _form(base, family.kind, openmetrics=openmetrics)
            if family.kind is not Kind.HISTOGRAM:
                yield _SampleForm(base, "unknown" if openmetrics else "untyped", ("",))
            yield _form(f"{base}_{family.kind.name.lower()}", family.kind, openmetrics=openmetrics)
        yield _form(reversible(family.name), family.kind, openmetrics=openmetrics)
        yield _form(f"{reversible(family.name)}_{family.kind.name.lower()}", family.kind, openmetrics=openmetrics)


def _form(name: str, kind: Kind, *, openmetrics: bool) -> _SampleForm:
    type_ = _TYPES[kind]
    if type_ == "summary":
        return _SampleForm(name, type_, ("_count", "_sum"))
    if type_ == "counter" and openmetrics:
        # A counter that is called nothing but `_total` keeps its name: a family must have one.
        return _SampleForm(name.removesuffix("_total") or name, type_, ("_total",))
    return _SampleForm(name, type_, ("",))


def _columns(kind: Kind, values: Values) -> list[list[float]]:
    match kind:
        case Kind.HISTOGRAM:
            return [values.counts.tolist(), values.sums.tolist()]
        case Kind.COUNTER:
            return [values.sums.tolist()]
        case _:
            return [values.values.tolist()]


def _ready(family: Family) -> set[str]:
    """The labels that are taken from the start; not needed when no series of the family is escaped."""
    return {labels for labels in family.labels if isinstance(labels, str)} if family.escaped else set()


def number(value: float) -> str:
    """As Prometheus writes numbers."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
