"""In which record the samples came that a rule has not looked at yet: whose trace a notification is a part of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Labels

Ints: TypeAlias = npt.NDArray[np.int64]

MAX_CAME: Final = 64
"""Arrivals that are remembered of each rule, the newest ones."""
MAX_SERIES: Final = 5_000
"""Of them, whose traces are told apart."""
MAX_PARTS: Final = 100
"""Of these, that are asked whether they are a part of what is aggregated."""


class Came(NamedTuple):
    """Samples that came together."""

    homes: Ints
    """[samples]: of their series."""
    records: Ints
    """[samples]: the position of the record that each came in."""
    traceparent: Callable[[int], str]
    """Of a record, by its position."""


class Origins:
    """Of one rule, since it was evaluated last."""

    def __init__(self) -> None:
        self._came: deque[Came] = deque(maxlen=MAX_CAME)
        self._newest: dict[Labels, str] | None = None
        """By the labels of the series, the newest first; made when somebody asks."""

    def add(self, came: Came) -> None:
        """The oldest are forgotten."""
        self._came.append(came)
        self._newest = None

    def __len__(self) -> int:
        return len(self._came)

    def traceparent(self, labels: Labels, labels_of: Callable[[int], Labels]) -> str:
        """Of the newest sample of the series with these labels; where the result has others, of the newest that may be
        a part of it; empty when none came."""
        if self._newest is None:
            self._newest = self._by_labels(labels_of)
        if (own := self._newest.get(labels)) is not None:
            return own
        for other, traceparent in islice(self._newest.items(), MAX_PARTS):
            texts = dict(other)
            if all(texts.get(name, text) == text for name, text in labels):
                return traceparent
        return ""

    def _by_labels(self, labels_of: Callable[[int], Labels]) -> dict[Labels, str]:
        found: dict[Labels, str] = {}
        for came in reversed(self._came):
            for home, record in zip(came.homes[::-1].tolist(), came.records[::-1].tolist(), strict=True):
                labels = labels_of(home)
                if labels not in found:
                    found[labels] = came.traceparent(record)
                if len(found) == MAX_SERIES:
                    return found
        return found
