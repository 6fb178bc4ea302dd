"""Histograms in answers, as Prometheus writes native ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from vigie_query.promql import written
from vigie_query.promql.histogram_vectors import Histograms
from vigie_query.promql.samples import Samples
from vigie_query.promql.written import Bucket, Written

from vigie_api.promql.numbers import seconds, text

WEIGHT: Final = 100
"""As much as so many points: a histogram is written with up to 160 buckets."""
ByRow: TypeAlias = Mapping[int, Sequence[str]]
"""Of each series that has some, `[time,{...}]` in the order of time."""


def of_vector(histograms: Histograms | None, times: Sequence[int]) -> ByRow:
    """Those of a vector at these times (ms)."""
    if histograms is None:
        return {}
    return _by_row((row, times[step], one) for row, step, one in written.written(histograms))


def of_samples(samples: Samples) -> ByRow:
    """Those of a range selector."""
    row = np.repeat(np.arange(len(samples.labels)), np.diff(samples.bounds))
    return _by_row((int(row[at]), int(samples.times[at]), one) for at, one in written.of_samples(samples))


def _by_row(found: Iterable[tuple[int, int, Written]]) -> ByRow:
    by_row: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for row, at, one in found:
        by_row[row].append((at, f"[{seconds(at)},{_object(one)}]"))
    return {row: [point for _, point in sorted(points)] for row, points in by_row.items()}


def _object(one: Written) -> str:
    buckets = f',"buckets":[{",".join(map(_bucket, one.buckets))}]' if one.buckets else ""
    return f'{{"count":"{text(one.count)}","sum":"{text(one.sum)}"{buckets}}}'


def _bucket(one: Bucket) -> str:
    return f'[{one.rule},"{text(one.lower)}","{text(one.upper)}","{text(one.count)}"]'
