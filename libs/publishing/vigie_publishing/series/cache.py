"""Which series the gateway has seen in the catalogue, and which were refused a moment ago. Both are bounded."""

from __future__ import annotations

from sys import intern
from typing import Final

from vigie_publishing.errors import ItemError
from vigie_publishing.series.key import RawSeriesKey


class SeriesCache:
    """Raw series key -> fingerprint. Two generations: when the young one is full the old one is forgotten, so what was
    used within the last `limit / 2` new keys is kept, and a hit costs one dict lookup."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self.young: dict[RawSeriesKey, int] = {}
        """For the hot path: look here first, then call `get`. Another dict after every await."""
        self._old: dict[RawSeriesKey, int] = {}

    def get(self, key: RawSeriesKey) -> int | None:
        """The fingerprint, or None when the series has to be looked up in the catalogue."""
        fingerprint = self.young.get(key)
        if fingerprint is None and (fingerprint := self._old.get(key)) is not None:
            self.add(key, fingerprint)
        return fingerprint

    def add(self, key: RawSeriesKey, fingerprint: int) -> None:
        """Remember a series that is in the catalogue."""
        if len(self.young) >= self._half:
            self._old, self.young = self.young, {}
        # One name has many series: they share its text, which saves memory and cache misses.
        tenant, name, *rest = key
        self.young[(tenant, intern(name) if isinstance(name, str) else name, *rest)] = fingerprint

    def __len__(self) -> int:
        return len(self.young) + len(self._old)


class RefusedSeries:
    """Raw series key -> why the catalogue refused it, for a short time, so that a sender that keeps on does not reach
    the catalogue each time."""

    _LIMIT: Final = 20_000

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._refused: dict[RawSeriesKey, tuple[float, ItemError]] = {}

    def get(self, key: RawSeriesKey, now: float) -> ItemError | None:
        """The refusal while it is fresh; `now` is monotonic seconds."""
        found = self._refused.get(key)
        if found is None:
            return None
        if found[0] < now:
            del self._refused[key]
            return None
        return found[1]

    def add(self, key: RawSeriesKey, error: ItemError, now: float) -> None:
        """Remember a refusal; the oldest is forgotten for it when there are too many."""
        if len(self._refused) >= self._LIMIT:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = (now + self._ttl_s, error)

    def __len__(self) -> int:
        return len(self._refused)
