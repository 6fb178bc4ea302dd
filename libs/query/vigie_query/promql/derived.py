"""The series that are derived of stored ones: a histogram `x` is also `x_bucket`, `x_sum` and `x_count`, a counter of
increments also `x_total`, under the names that `/metrics` shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from vigie_contracts.latest import BUCKET_BOUNDS
from vigie_contracts.series import Kind, Labels

from vigie_query.matchers import Matcher, Operator, predicate
from vigie_query.promql.cells import BUCKET, COUNT, SUM, VALUE
from vigie_query.promql.labels import NAME
from vigie_query.series import Series

LE: Final = "le"
EXPORTED_LE: Final = "exported_le"
"""What a bucket shows instead of a label `le` of the histogram itself."""
BOUNDS: Final = (*(repr(bound) for bound in BUCKET_BOUNDS), "+Inf")
BUCKETS: Final = "_bucket"
_TOTAL: Final = "_total"
DERIVED: Final[Mapping[str, tuple[Kind, int]]] = {
    _TOTAL: (Kind.COUNTER, VALUE),
    "_sum": (Kind.HISTOGRAM, SUM),
    "_count": (Kind.HISTOGRAM, COUNT),
    BUCKETS: (Kind.HISTOGRAM, BUCKET),
}
"""How a derived name ends -> of what kind it is derived, and which part it shows."""


def exact_name(matchers: Sequence[Matcher]) -> str | None:
    """The metric name that these matchers ask for; None when they take several."""
    return next(
        (one.value for one in matchers if one.label == NAME and one.operator is Operator.EQUAL and one.value), None
    )


def bases_of(name: str) -> list[tuple[str, str]]:
    """Of what a name may be derived, with its ending: names of stored series other than it."""
    found = [(name.removesuffix(ending), ending) for ending in DERIVED if name.endswith(ending)]
    return [(base, ending) for base, ending in found if derives(base, ending)]


def derives(base: str, ending: str) -> bool:
    """Whether there is such a name: what is called a total already needs no second ending."""
    return bool(base) and not (ending == _TOTAL and base.endswith(_TOTAL))


def names_shown(name: str, kind: Kind) -> list[str]:
    """The names under which the series of a name and kind are found: their own, and the derived ones."""
    return [name, *(name + ending for ending, (of, _) in DERIVED.items() if of is kind and derives(name, ending))]


def labels_of(series: Series, name: str, part: int) -> Labels:
    """The labels of a part of a series, with the metric's name."""
    own = [(NAME, name), *series.labels]
    if part >= BUCKET:
        own = [(EXPORTED_LE if label == LE else label, value) for label, value in own]
        own.append((LE, BOUNDS[part - BUCKET]))
    return tuple(sorted(own))


class Selecting:
    """Which parts of stored series a selector shows, asked series by series."""

    def __init__(self, matchers: Sequence[Matcher], check: Callable[[], None] = lambda: None) -> None:
        """`check` as for `matchers.predicate`."""
        self._accepts = predicate(matchers, check)
        self.exact = exact_name(matchers)
        self._any_labels = self.exact is not None and len(matchers) == 1

    @property
    def names(self) -> frozenset[str] | None:
        """The names of stored series that it may show; None when any may."""
        if self.exact is None:
            return None
        return frozenset({self.exact, *(base for base, _ in bases_of(self.exact))})

    def shown(self, series: Series) -> Iterator[tuple[Labels, int]]:
        """Labels and part of each that it shows."""
        for name, part in self._parts(series):
            labels = labels_of(series, name, part)
            if self._any_labels or self._accepts(dict(labels)):
                yield labels, part

    def _parts(self, series: Series) -> Iterator[tuple[str, int]]:
        """Those with a name that is asked for."""
        if self.exact in (None, series.name):
            yield series.name, VALUE
        if self.exact == series.name:  # under which nothing is derived of it
            return
        for ending, (kind, part) in DERIVED.items():
            name = series.name + ending
            if kind is series.kind and self.exact in (None, name) and derives(series.name, ending):
                yield from ((name, part + place) for place in range(len(BOUNDS) if ending == BUCKETS else 1))
