"""What the stores say of credentials and tenants, cached so that a request need not ask them.

A result is fresh for TTL_S; then it is looked up again, once for all who want the same. While the stores are away, a
positive one is served stale for up to MAX_STALE_S, because senders must be served then too: each time is counted, and
logged. Rejections are kept apart (negative caching) and hold no more than a reason: whoever guesses evicts nobody who
is known and has nothing of the guess kept (an exception would keep it, in the frames of its traceback).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from vigie_runtime import logging
from vigie_runtime.cache import SingleFlight
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy, StoreUnavailable

from vigie_identity.errors import IssuerUnavailable

log = logging.get(__name__)

T = TypeVar("T")
R = TypeVar("R")
Key: TypeAlias = bytes | str

TTL_S: Final = 5.0
"""A revoked key, an ended session, a changed role, a tenant switched off: in force after so long."""
MAX_STALE_S: Final = 900.0
"""How long a positive result is served while the stores cannot be asked."""
LOOKUP_WAIT_S: Final = 0.25
"""How long a request that can be answered from the cache waits for the stores."""
MAX_REJECTED: Final = 5_000
MAX_FIRST_LOOKUPS: Final = 128
"""At a time: lookups of credentials that are not known, which anybody can cause."""
MAX_FIRST_LOOKUPS_PER_CLIENT: Final = 8
"""Of these for one client, so that none takes the places of all others."""
MAX_REFRESHES: Final = 1_024
"""At a time: lookups of what is known. First lookups cannot take their place."""
LOG_EVERY_S: Final = 10.0


class Requester(Protocol):
    """The client that makes this process look up what it does not know; rate limits implement it."""

    @property
    def client(self) -> str | None:
        """What counts as one client; None: this machine itself, which is not counted."""
        ...

    def check_lookup(self) -> None:
        """Raises a ProblemError when the client caused too many."""
        ...


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A positive result, good for `expires_in_s` seconds at most."""

    value: T
    expires_in_s: float = inf


@dataclass(frozen=True, slots=True)
class Rejected(Generic[R]):
    """A negative result, and why."""

    reason: R


Lookup: TypeAlias = Callable[[], Awaitable[Found[T] | Rejected[R]]]
"""Asks the stores. What it raises is cached by nobody."""


@dataclass(slots=True)
class _Entry(Generic[T]):
    """Times are the clock's monotonic ones: looked up again after `fresh_until`, not served after `stale_until`."""

    value: T
    weight: int
    fresh_until: float
    stale_until: float
    stale: bool = False


class CredentialCache(Generic[T, R]):
    """A cache that serves stale results while the stores are away, and caches rejections. For one event loop.

    Not `TtlCache`: that one serves nothing stale, keeps no rejections, and every caller may cause its work."""

    def __init__(
        self, what: str, clock: Clock, *, max_weight: int, weigh: Callable[[T], int], on_stale: Callable[[], object]
    ) -> None:
        """`on_stale` is called for each result that is served although it could not be looked up again."""
        self._what = what
        self._clock = clock
        self._max_weight = max_weight
        self._weigh = weigh
        self._on_stale = on_stale
        self._known: OrderedDict[Key, _Entry[T]] = OrderedDict()
        """Least recently used first."""
        self._weight = 0
        self._rejected: OrderedDict[Key, tuple[Rejected[R], float]] = OrderedDict()
        """Oldest first, with the time until which it holds."""
        self._first = SingleFlight[T | Rejected[R]](f"{what} to look up")
        self._refreshes = SingleFlight[T | Rejected[R]](f"{what} to look up")
        self._clients: dict[Key, str] = {}
        """Who caused the first lookups that are under way."""
        self._refreshes_began: dict[Key, float] = {}
        """Those under way, oldest first."""
        self._unlogged = 0
        self._logged = -inf

    def at_once(self, key: Key) -> T | Rejected[R] | None:
        """Return the cached result while it is fresh; None: call `get`."""
        entry = self._known.get(key)
        now = self._clock.monotonic()
        if entry is not None:
            if now >= entry.fresh_until:
                return None
            if entry.stale:
                self._note_stale()
            self._known.move_to_end(key)
            return entry.value
        rejected = self._rejected.get(key)
        if rejected is not None:
            if now < rejected[1]:
                return rejected[0]
            del self._rejected[key]
        return None

    def remembered(self, key: Key) -> T | None:
        """Return the last positive result, fresh or stale, at most MAX_STALE_S old; None when there is none."""
        entry = self._known.get(key)
        return None if entry is None or self._clock.monotonic() >= entry.stale_until else entry.value

    async def get(self, key: Key, lookup: Lookup[T, R], requester: Requester | None = None) -> T | Rejected[R]:
        """Return the result, looked up unless it is fresh. `requester` is checked only when nothing is known and nobody
        else looks up the same. Raises what that check and, when nothing is known, `lookup` raise; Busy."""
        cached = self.at_once(key)
        if cached is not None:
            return cached
        entry = self._known.get(key)
        if entry is None or self._clock.monotonic() >= entry.stale_until:
            self._forget(key)
            return await asyncio.shield(self._running(key) or self._look_up_first(key, lookup, requester))
        try:
            async with asyncio.timeout(LOOKUP_WAIT_S):
                return await asyncio.shield(self._running(key) or self._refresh(key, lookup))
        except (TimeoutError, StoreUnavailable, IssuerUnavailable):
            entry.fresh_until = min(self._clock.monotonic() + TTL_S, entry.stale_until)
            entry.stale = True
            self._note_stale()
            return entry.value

    async def close(self) -> None:
        """End what is under way."""
        await self._first.close()
        await self._refreshes.close()

    def _running(self, key: Key) -> asyncio.Task[T | Rejected[R]] | None:
        return self._refreshes.running(key) or self._first.running(key)

    def _look_up_first(
        self, key: Key, lookup: Lookup[T, R], requester: Requester | None
    ) -> asyncio.Task[T | Rejected[R]]:
        client = None
        if requester is not None:
            client = requester.client
            requester.check_lookup()
        if client is not None and [*self._clients.values()].count(client) >= MAX_FIRST_LOOKUPS_PER_CLIENT:
            raise Busy(self._first.name)
        task = self._first.start(key, partial(self._look_up, key, lookup), MAX_FIRST_LOOKUPS)
        if client is not None:
            self._clients[key] = client
            task.add_done_callback(lambda _: self._clients.pop(key))
        return task

    def _refresh(self, key: Key, lookup: Lookup[T, R]) -> asyncio.Task[T | Rejected[R]]:
        now = self._clock.monotonic()
        if len(self._refreshes) >= MAX_REFRESHES and now - next(iter(self._refreshes_began.values())) > LOOKUP_WAIT_S:
            raise StoreUnavailable  # those under way do not get an answer: one more would not either
        task = self._refreshes.start(key, partial(self._look_up, key, lookup), MAX_REFRESHES)
        self._refreshes_began[key] = now
        task.add_done_callback(lambda _: self._refreshes_began.pop(key))
        return task

    async def _look_up(self, key: Key, lookup: Lookup[T, R]) -> T | Rejected[R]:
        began = self._clock.monotonic()
        result = await lookup()
        self._forget(key)
        if isinstance(result, Rejected):
            self._rejected[key] = result, began + TTL_S
            while len(self._rejected) > MAX_REJECTED:
                self._rejected.popitem(last=False)
            return result
        weight = self._weigh(result.value)
        left_s = max(0.0, result.expires_in_s)
        self._known[key] = _Entry(result.value, weight, began + min(TTL_S, left_s), began + min(MAX_STALE_S, left_s))
        self._weight += weight
        while self._weight > self._max_weight:
            self._forget(next(iter(self._known)))
        return result.value

    def _forget(self, key: Key) -> None:
        entry = self._known.pop(key, None)
        if entry is not None:
            self._weight -= entry.weight

    def _note_stale(self) -> None:
        self._on_stale()
        self._unlogged += 1
        if self._clock.monotonic() - self._logged >= LOG_EVERY_S:
            log.warning("served stale: the stores do not answer", what=self._what, answers=self._unlogged)
            self._unlogged, self._logged = 0, self._clock.monotonic()
