"""Which series the gateway has seen in the catalogue, and which were refused a moment ago. Both are bounded."""

from __future__ import annotations

from collections.abc import Hashable
from sys import intern
from typing import Final

from vigie_ingest.errors import ItemError

Identity = tuple[Hashable, ...]
"""What a sender wrote of a series, as it wrote it: (tenant, name, type, temporality, bytes of the labels).

Spelled in another order the same series has another identity here, and the same fingerprint. The bytes must be a
copy: a `msgspec.Raw` would keep the whole request body alive."""


class SeriesCache:
    """Identity -> fingerprint. Two generations: when the young one is full the old one is forgotten, so what was used
    within the last `limit / 2` new identities is kept, and a hit costs one dict lookup."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self.young: dict[Identity, int] = {}
        """For the hot path: look here first, then call `get`. Another dict after every await."""
        self._old: dict[Identity, int] = {}

    def get(self, identity: Identity) -> int | None:
        """The fingerprint, or None when the series has to be looked up in the catalogue."""
        fingerprint = self.young.get(identity)
        if fingerprint is None and (fingerprint := self._old.get(identity)) is not None:
            self.add(identity, fingerprint)
        return fingerprint

    def add(self, identity: Identity, fingerprint: int) -> None:
        """Remember a series that is in the catalogue."""
        if len(self.young) >= self._half:
            self._old, self.young = self.young, {}
        # One name has many series: they share its text, which saves memory and cache misses.
        tenant, name, *rest = identity
        self.young[(tenant, intern(name) if isinstance(name, str) else name, *rest)] = fingerprint

    def __len__(self) -> int:
        return len(self.young) + len(self._old)


class RefusedSeries:
    """Identity -> why the catalogue refused it, for a short time, so that a sender that keeps on does not reach the
    catalogue each time."""

    _LIMIT: Final = 20_000

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._refused: dict[Identity, tuple[float, ItemError]] = {}

    def get(self, identity: Identity, now: float) -> ItemError | None:
        """The refusal while it is fresh; `now` is monotonic seconds."""
        found = self._refused.get(identity)
        if found is None:
            return None
        if found[0] < now:
            del self._refused[identity]
            return None
        return found[1]

    def add(self, identity: Identity, error: ItemError, now: float) -> None:
        """Remember a refusal; the oldest is forgotten for it when there are too many."""
        if len(self._refused) >= self._LIMIT:
            del self._refused[next(iter(self._refused))]
        self._refused[identity] = (now + self._ttl_s, error)

    def __len__(self) -> int:
        return len(self._refused)
