"""What a selector of rules selects, and where its windows are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tenants import TenantId
from vigie_query.matchers import Matcher
from vigie_query.promql.cells import Shown
from vigie_query.promql.derived import Selecting
from vigie_query.promql.label_sets import LabelSets
from vigie_query.series import Series

from vigie_alerting.engine.horizon import Depth

WatchKey: TypeAlias = tuple[TenantId, tuple[Matcher, ...], Depth]


@dataclass(slots=True, eq=False)
class Watch:
    """The series of a tenant that a selector selects, as it shows them; and where their windows are."""

    number: int
    key: WatchKey
    selecting: Selecting
    labels: list[Labels] = field(default_factory=list[Labels])
    rows: list[int] = field(default_factory=list[int])
    """In the bank."""
    homes: list[int] = field(default_factory=list[int])
    """In the memory."""
    kinds: list[int] = field(default_factory=list[int])
    parts: list[int] = field(default_factory=list[int])
    _shown: Shown | None = None
    _has: tuple[bool, bool] | None = None

    @property
    def tenant(self) -> TenantId:
        return self.key[0]

    @property
    def depth(self) -> Depth:
        return self.key[2]

    @property
    def shown(self) -> Shown:
        if self._shown is None:
            self._shown = Shown(
                LabelSets(self.labels),
                np.array(self.rows, np.int64),
                np.array(self.kinds, np.uint8),
                np.array(self.parts, np.int64),
            )
        return self._shown

    @property
    def shows_totals(self) -> bool:
        """Whether some of it are running totals."""
        return self._there_are[0]

    @property
    def shows_histograms(self) -> bool:
        """Whether some of it are histograms, or derived of them."""
        return self._there_are[1]

    @property
    def _there_are(self) -> tuple[bool, bool]:
        if self._has is None:
            self._has = bool(self.shown.incremental.any()), Kind.HISTOGRAM in self.kinds
        return self._has

    def clear(self) -> None:
        for column in (self.labels, self.rows, self.homes, self.kinds, self.parts):
            column.clear()
        self._shown = self._has = None

    def add(self, rows: Sequence[int], homes: Sequence[int], parts: Sequence[Selected]) -> None:
        """More that it shows, and where that is."""
        self.rows += rows
        self.homes += homes
        self.kinds += [int(series.kind) for _, series, _, _ in parts]
        self.labels += [labels for _, _, labels, _ in parts]
        self.parts += [part for *_, part in parts]
        self._shown = self._has = None


Selected: TypeAlias = tuple[Watch, Series, Labels, int]
"""A part of a series of its tenant that a watch shows."""


def selected(watch: Watch, series: Series) -> list[Selected]:
    """What a watch shows of a series."""
    return [(watch, series, labels, part) for labels, part in watch.selecting.shown(series)]
