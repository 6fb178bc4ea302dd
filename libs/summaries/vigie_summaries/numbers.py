"""Single numbers from the samples of a query."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from vigie_query.evaluation import Evaluation, Samples
from vigie_query.functions import Function
from vigie_query.series import Selection, Series

from vigie_summaries.totals import Total, totals

Where: TypeAlias = Callable[[Series], bool]
"""Which series of a name are meant. Use functions of a module: results are remembered by identity."""

_Groups: TypeAlias = tuple[list[tuple[str, ...]], Evaluation]


class Source(Protocol):
    """A source of numbers of metrics: all series, or a part of them."""

    @property
    def seconds(self) -> float:
        """Length of the range."""
        ...

    def value(self, function: Function, name: str, where: Where | None = None) -> float | None:
        """None when there is no sample."""
        ...

    def by_label(self, function: Function, name: str, label: str, where: Where | None = None) -> dict[str, float]:
        """By the values of a label; values without a sample are absent."""
        ...

    def total(self, name: str) -> Total | None:
        """Of a gauge, over all its series. None when there is no sample."""
        ...


class Numbers:
    """The samples of several metrics over one step of time; all series of a name have kinds that it is known for."""

    def __init__(self, selection: Selection, samples: Samples) -> None:
        self._samples = samples
        self._selection = selection
        self._by_name: dict[str, list[int]] = {}
        for index, one in enumerate(selection.series):
            self._by_name.setdefault(one.name, []).append(index)
        self._groups: dict[tuple[object, ...], _Groups] = {}
        self._answers: dict[tuple[object, ...], Mapping[tuple[str, ...], float]] = {}
        self._nested: dict[tuple[object, ...], dict[str, dict[str, float]]] = {}
        self._totals: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], Total | None]] = {}
        self.seconds = float(samples.grid.seconds(samples.now_ms)[0])

    def value(self, function: Function, name: str, where: Where | None = None) -> float | None:
        """Of all series of the name (for which `where` holds) together."""
        return self.by(function, name, (), where).get(())

    def by_label(self, function: Function, name: str, label: str, where: Where | None = None) -> dict[str, float]:
        return {value: number for (value,), number in self.by(function, name, (label,), where).items()}

    def by_two(
        self, function: Function, name: str, labels: tuple[str, str], where: Where | None = None
    ) -> dict[str, dict[str, float]]:
        """By the values of the first label, then of the second. Remembered."""
        key = (function, name, labels, where)
        if key not in self._nested:
            nested = self._nested[key] = {}
            for (first, second), number in self.by(function, name, labels, where).items():
                nested.setdefault(first, {})[second] = number
        return self._nested[key]

    def total(self, name: str) -> Total | None:
        """Of all series of the gauge together."""
        return self.totals(name, ()).get(())

    def totals(self, name: str, labels: tuple[str, ...]) -> Mapping[tuple[str, ...], Total | None]:
        """By the values of these labels. Remembered."""
        if (name, labels) not in self._totals:
            groups, group_of_row = self._selection.groups(labels, self._by_name.get(name, ()))
            self._totals[name, labels] = dict(
                zip(groups, totals(self._samples, group_of_row, len(groups)), strict=True)
            )
        return self._totals[name, labels]

    def by(
        self, function: Function, name: str, labels: tuple[str, ...], where: Where | None = None
    ) -> Mapping[tuple[str, ...], float]:
        """By the values of these labels, sorted; groups without a sample are absent. Remembered."""
        key = (function, name, labels, where)
        if key not in self._answers:
            self._answers[key] = self._evaluated(function, name, labels, where)
        return self._answers[key]

    def _evaluated(
        self, function: Function, name: str, labels: tuple[str, ...], where: Where | None
    ) -> dict[tuple[str, ...], float]:
        if name not in self._by_name:
            return {}
        groups, evaluation = self._grouped(name, labels, where)
        if not groups:
            return {}
        values = evaluation.run(function)[:, 0]
        return {group: float(values[i]) for i, group in enumerate(groups) if np.isfinite(values[i])}

    def part(self, label: str, value: str) -> Part:
        """Only the series whose label has this value."""
        return Part(self, label, value)

    def label_values(self, names: Sequence[str], label: str) -> list[str]:
        """The values of a label among the series of these names, sorted."""
        series = self._selection.series
        return sorted({series[index].label(label) for name in names for index in self._by_name.get(name, ())})

    def _grouped(self, name: str, labels: tuple[str, ...], where: Where | None) -> _Groups:
        key = (name, labels, where)
        if key not in self._groups:
            chosen = [index for index in self._by_name[name] if where is None or where(self._selection.series[index])]
            groups, group_of_row = self._selection.groups(labels, chosen)
            self._groups[key] = groups, self._samples.grouped(group_of_row, len(groups))
        return self._groups[key]


@dataclass(frozen=True, slots=True)
class Part:
    """A `Source` of one label value; all values of the label are computed at once."""

    numbers: Numbers
    label: str
    label_value: str

    @property
    def seconds(self) -> float:
        return self.numbers.seconds

    def value(self, function: Function, name: str, where: Where | None = None) -> float | None:
        return self.numbers.by(function, name, (self.label,), where).get((self.label_value,))

    def by_label(self, function: Function, name: str, label: str, where: Where | None = None) -> dict[str, float]:
        return self.numbers.by_two(function, name, (self.label, label), where).get(self.label_value, {})

    def total(self, name: str) -> Total | None:
        return self.numbers.totals(name, (self.label,)).get((self.label_value,))


def percent(part: float | None, whole: float | None) -> float | None:
    """part / whole in percent; None without a whole. No part counts as nothing of it."""
    return rounded((part or 0.0) / whole * 100) if whole and math.isfinite(whole) else None


def rounded(value: float | None) -> float | None:
    """Nine significant digits: what binary fractions add beyond is noise to a reader. Integers stay exact. None for
    what JSON cannot say: values are stored up to the greatest float, and arithmetic on them may leave it."""
    if value is None or not math.isfinite(value):
        return None
    if value == math.trunc(value) or abs(value) >= 1e15:
        return value
    return float(f"{value:.9g}")


def between(value: float | None, least: float | None, greatest: float | None) -> float | None:
    """A mean as it is shown: `rounded`, but never beyond the least and greatest value that stand beside it."""
    shown = rounded(value)
    if shown is None:
        return None
    if least is not None:
        shown = max(shown, least)
    return shown if greatest is None else min(shown, greatest)


def finite(value: float | np.float64 | None) -> float | None:
    """As a plain number; None for what JSON cannot say."""
    return None if value is None or not math.isfinite(value) else float(value)
