"""How large the documents of a partition are: what bounds a transaction, besides their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from vigie_contracts.tiers import TIERS, Tier
from vigie_storage.windows.document import Window

FIRST_GUESS: Final = 16 << 10
_SAMPLED: Final = 32
"""Documents looked at in one commit."""
_WEIGHT: Final = 0.2


class DocumentSizes:
    """A running mean per tier, in encoded bytes. It follows growth at once and shrinks slowly."""

    def __init__(self) -> None:
        self._mean: dict[Tier, float] = dict.fromkeys(TIERS, 0.0)

    def saw(self, tier: Tier, windows: Sequence[Window]) -> None:
        """These documents were written."""
        some = windows[:: max(1, len(windows) // _SAMPLED)]
        if some:
            size = sum(map(nbytes, some)) / len(some)
            mean = self._mean[tier]
            self._mean[tier] = max(size, mean + _WEIGHT * (size - mean))

    def total(self, documents: Mapping[Tier, int]) -> float:
        """About how many bytes so many documents of each tier have."""
        return sum(count * (self._mean[tier] or FIRST_GUESS) for tier, count in documents.items())


def nbytes(window: Window) -> int:
    """Of the document, about: its columns are what counts."""
    return sum(len(value) if isinstance(value, bytes) else 8 for value in window.document.values())
