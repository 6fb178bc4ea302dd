"""The samples in the window of each step, of all series at once; and what is computed from each window.

A window is what Prometheus calls a range: after its start, up to and with its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vigie_query.promql.label_sets import listed
from vigie_query.promql.samples import Bools, Floats, Ints, Samples, Vector

CHUNK: Final = 1 << 18
"""Samples that are copied at a time when windows are computed one beside the other."""
SEARCH: Final = 1 << 16
"""Windows that are looked for at a time: their samples stay in the processor's cache."""
MANY: Final = 2
"""So many times more samples than windows, and each window is looked for: else it costs less to count the samples."""
CANCELLATION: Final = 1e3
"""A sum this much smaller than its parts is added up again exactly."""


def exact_sum(values: Floats) -> float:
    """The sum of finite values, rounded once."""
    try:
        return math.fsum(values)
    except OverflowError:  # on the way: the sum itself may well be finite
        return math.fsum(values * 2.0**-64) * 2.0**64


@dataclass(frozen=True, slots=True)
class Windows:
    """Window [i, j] has the samples low[i, j] to high[i, j] of `samples`: those of series i before step j."""

    samples: Samples
    low: Ints
    high: Ints
    starts: Ints
    """[steps], Unix milliseconds; not in the window."""
    ends: Ints
    """[steps]; in the window."""

    @property
    def counts(self) -> Ints:
        """[series, steps]"""
        return self.high - self.low

    def filled(self, minimum: int, *, increments: bool = False) -> Bools:
        """Which windows have samples, and these stand for at least `minimum`; where `increments` count each on its own,
        one is enough of a counter that consists of them."""
        full = self.counts > 0
        if minimum < 2:
            return full
        samples = self.samples
        held = self.counts if samples.columns is None else samples.held[self.high] - samples.held[self.low]
        enough = held >= minimum
        return enough | (full & samples.incremental[:, None]) if increments else enough

    def inside(self) -> Samples:
        """The samples in the windows of the first step, of the series that have some."""
        full = np.flatnonzero(self.counts[:, 0])
        return self.samples.cut(full, self.low[full, 0], self.high[full, 0])


def go_on() -> None:
    """Nothing limits the time."""


def cut(samples: Samples, starts: Ints, ends: Ints, check: Callable[[], None] = go_on) -> Windows:
    """Find the windows, of some series and all steps at a time. `check` is called before each; it may raise."""
    count, steps = len(samples.labels), len(ends)
    if not len(samples.times):
        nothing = np.zeros((count, steps), np.int64)
        return Windows(samples, nothing, nothing, starts, ends)
    size = max(SEARCH // max(steps, 1), 1)

    def position(times: Ints) -> Ints:
        if times.min(initial=samples.last_ms) >= samples.last_ms:  # as of rules, which look at now
            return np.repeat(samples.bounds[1:, None], steps, axis=1)
        many = len(samples.times) > MANY * count * steps or (times[1:] < times[:-1]).any()
        find = _searched if many else _counted
        found = np.empty((count, steps), np.int64)
        for first in range(0, count, size):
            check()
            end = min(first + size, count)
            found[first:end] = find(samples, first, end, times)
        return found

    return Windows(samples, position(starts), position(ends), starts, ends)


def _searched(samples: Samples, first: int, end: int, times: Ints) -> Ints:
    """[series, steps]: where the samples of series first..end - 1 up to each time end."""
    own = slice(samples.bounds[first], samples.bounds[end])
    rows = np.arange(first, end, dtype=np.int64)[:, None] * (samples.span_ms + 2)
    inside = np.clip(times - samples.first_ms, -1, samples.span_ms)
    return own.start + np.searchsorted(samples.keys[own], rows + inside, side="right")


def _counted(samples: Samples, first: int, end: int, times: Ints) -> Ints:
    """The same, of ascending times: each sample counts from the first time on that is not before it."""
    bounds, columns = samples.bounds[first : end + 1], len(times) + 1
    steps = np.searchsorted(times, samples.times[bounds[0] : bounds[-1]])
    rows = np.repeat(np.arange(len(bounds) - 1) * columns, np.diff(bounds))
    counts = np.bincount(rows + steps, minlength=(len(bounds) - 1) * columns).reshape(-1, columns)
    return bounds[:-1, None] + np.cumsum(counts[:, :-1], axis=1)


@dataclass(frozen=True)
class Chunk:
    """Some windows, none of which is empty."""

    samples: Samples
    first: Ints
    """Where the first sample of each window is in `samples`."""
    counts: Ints
    starts: Ints
    """When each window starts, and ends."""
    ends: Ints
    steps: Ints
    """The step of each."""
    rows: Ints
    """The series of each."""

    @property
    def last(self) -> Ints:
        return self.first + self.counts - 1

    @cached_property
    def begins(self) -> Ints:
        """Where each window begins in `values` and `times`."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def places(self) -> Ints:
        """The samples of all windows, one window after the other."""
        return np.repeat(self.first - self.begins, self.counts) + np.arange(int(self.counts.sum()))

    @cached_property
    def values(self) -> Floats:
        return self.samples.values[self.places]

    @cached_property
    def times(self) -> Ints:
        return self.samples.times[self.places]

    @cached_property
    def held(self) -> Ints:
        """For how many samples those of each window stand."""
        if self.samples.columns is None:
            return self.counts
        return self.samples.held[self.first + self.counts] - self.samples.held[self.first]

    @property
    def incremental(self) -> Bools:
        """Which windows are of counters of increments."""
        return self.samples.incremental[self.rows]

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of `samples.Columns` of the samples of all windows."""
        return self.values if self.samples.columns is None else self.samples.column(name)[self.places]

    def per_sample(self, per_window: Floats) -> Floats:
        """A value of each window beside each of its samples."""
        return np.repeat(per_window, self.counts)

    def add(self, values: Floats) -> Floats:
        return np.add.reduceat(values, self.begins)

    def total(self, values: Floats) -> Floats:
        """The sums of the windows, exact where the parts cancel each other."""
        with np.errstate(all="ignore"):
            sums = self.add(values) + 0.0  # a sum begins at 0, so none is -0
            suspect = np.isfinite(sums) & (self.add(np.abs(values)) > CANCELLATION * np.abs(sums))
        for i in np.flatnonzero(suspect):
            sums[i] = exact_sum(values[self.begins[i] : self.begins[i] + self.counts[i]])
        return sums

    def mean(self) -> Floats:
        """The means of the windows; finite when all values are, even if their sum is not."""
        with np.errstate(all="ignore"):
            sums = self.column("sum")
            means = self.total(sums) / self.held
            overflown = ~np.isfinite(means) & np.isfinite(np.add.reduceat(np.abs(sums) * 0, self.begins))
        for i in np.flatnonzero(overflown):
            means[i] = exact_sum(sums[self.begins[i] : self.begins[i] + self.counts[i]] / self.held[i])
        return means

    def only(self, chosen: Bools) -> Chunk:
        """Some of the windows."""
        return Chunk(
            self.samples, self.first[chosen], self.counts[chosen], self.starts[chosen], self.ends[chosen],
            self.steps[chosen], self.rows[chosen],
        )  # fmt: skip

    def ordered(self, values: Floats) -> Floats:
        """Values of samples, in ascending order in each window; NaN is the smallest, as in Prometheus."""
        window = np.repeat(np.arange(len(self.counts)), self.counts)
        return values[np.lexsort((values, ~np.isnan(values), window))]


Reduction: TypeAlias = Callable[[Chunk], Floats]


def chunks(windows: Windows, wanted: Bools) -> Iterator[tuple[Ints, Chunk]]:
    """The wanted ones of the windows, a bounded number of samples at a time; with their flat numbers."""
    low, counts = windows.low.ravel(), windows.counts.ravel()
    steps = len(windows.ends)
    full = np.flatnonzero(wanted)
    reach = np.cumsum(counts[full])
    begin = 0
    while begin < len(full):
        base = reach[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(reach, base + CHUNK, side="right")))
        chosen = full[begin:end]
        row, step = np.divmod(chosen, steps)
        of = low[chosen], counts[chosen], windows.starts[step], windows.ends[step], step, row
        yield chosen, Chunk(windows.samples, *of)
        begin = end


def reduce(
    windows: Windows,
    function: Reduction,
    minimum: int = 1,
    *,
    increments: bool = False,
    check: Callable[[], None] = go_on,
) -> Vector:
    """A value per window; no value where the window has fewer than `minimum` samples (see `Windows.filled`). `check` is
    called before each chunk; it may raise."""
    present = windows.filled(minimum, increments=increments)
    values = np.full(present.shape, np.nan)
    flat = values.ravel()
    for chosen, chunk in chunks(windows, present):
        check()
        with np.errstate(all="ignore"):
            flat[chosen] = function(chunk)
    return Vector(listed(windows.samples.labels), values, present)


def newest(windows: Windows) -> tuple[Ints, Bools]:
    """Where the last sample of each window is (any place, if there is none), and whether there is one."""
    return np.maximum(windows.high - 1, 0), windows.high > windows.low
