"""Answers of the stores that are believed for a while, so that a request need not ask.

An answer is believed for TTL_S; then it is asked for again, once for all who want the same. While nobody can be asked,
a good one is believed for up to STALE_S, because senders must be served then too: each time is counted, and said in
the log. What was refused is kept apart and holds no more than a reason: whoever guesses pushes out nobody who is known
and has nothing of the guess kept (an exception would keep it, in the frames of its traceback).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from vigie_runtime import logging, tasks
from vigie_runtime.clock import Clock
from vigie_runtime.errors import Busy, StoreUnavailable

from vigie_identity.errors import IssuerUnavailable

log = logging.get(__name__)

T = TypeVar("T")
R = TypeVar("R")
Key: TypeAlias = bytes | str

TTL_S: Final = 5.0
"""A revoked key, an ended session, a changed role, a tenant switched off: in force after so long."""
STALE_S: Final = 900.0
"""How long what was good is believed while the stores cannot be asked."""
PATIENCE_S: Final = 0.25
"""How long a request that can be answered from memory waits for the stores."""
MAX_REFUSED: Final = 5_000
MAX_FIRST: Final = 128
"""Look-ups of strangers at a time."""
MAX_FIRST_PER_PLACE: Final = 8
"""Of these for one asker, so that nobody takes the places of all others."""
MAX_AGAIN: Final = 1_024
"""Look-ups at a time of what is known: strangers cannot take their place."""
SAY_EVERY_S: Final = 10.0


class Asker(Protocol):
    """Who makes this process ask the stores about something it does not know: a stranger, maybe."""

    @property
    def place(self) -> str | None:
        """What counts as one asker; None: from this machine itself, which is not counted."""
        ...

    def may_ask(self) -> None:
        """Raises an ProblemError when it asked too often."""
        ...


@dataclass(frozen=True, slots=True)
class Good(Generic[T]):
    """An answer to believe, for `left_s` seconds at most."""

    value: T
    left_s: float = inf


@dataclass(frozen=True, slots=True)
class Bad(Generic[R]):
    """A refusal, and why."""

    reason: R


@dataclass(slots=True)
class _Known(Generic[T]):
    """Times are the clock's monotonic ones: looked up again after `fresh`, not believed any more after `dead`."""

    value: T
    weight: int
    fresh: float
    dead: float
    stale: bool = False


@dataclass(frozen=True, slots=True)
class _Running(Generic[T, R]):
    task: asyncio.Task[T | Bad[R]]
    began: float
    place: str | None


class Memory(Generic[T, R]):
    """All methods are for one event loop. What a question raises is remembered by nobody."""

    def __init__(
        self, what: str, clock: Clock, *, room: int, weigh: Callable[[T], int], stale: Callable[[], object]
    ) -> None:
        """Good answers may weigh `room` together. `stale` is called for each answer that could not be asked for."""
        self._what = what
        self._clock = clock
        self._room = room
        self._weigh = weigh
        self._count_stale = stale
        self._known: OrderedDict[Key, _Known[T]] = OrderedDict()
        self._weight = 0
        self._refused: OrderedDict[Key, tuple[Bad[R], float]] = OrderedDict()
        self._first: dict[Key, _Running[T, R]] = {}
        self._again: dict[Key, _Running[T, R]] = {}
        self._unsaid = 0
        self._said = -inf

    def at_once(self, key: Key) -> T | Bad[R] | None:
        """What needs no look-up; None: `ask`."""
        known = self._known.get(key)
        now = self._clock.monotonic()
        if known is not None:
            if now >= known.fresh:
                return None
            if known.stale:
                self._note_stale()
            self._known.move_to_end(key)
            return known.value
        refused = self._refused.get(key)
        if refused is not None:
            if now < refused[1]:
                return refused[0]
            del self._refused[key]
        return None

    def remembered(self, key: Key) -> T | None:
        """What was good when it was looked up, be it old: for those who must go on without a better answer."""
        known = self._known.get(key)
        return None if known is None or self._clock.monotonic() >= known.dead else known.value

    async def ask(
        self, key: Key, load: Callable[[], Awaitable[Good[T] | Bad[R]]], asker: Asker | None = None
    ) -> T | Bad[R]:
        """`load` asks the stores; `asker` has to do with it only when nothing is known and nobody else asks the same.
        Raises what they raise when nothing is known; Busy."""
        answer = self.at_once(key)
        if answer is not None:
            return answer
        known = self._known.get(key)
        if known is None or self._clock.monotonic() >= known.dead:
            self._forget(key)
            return await asyncio.shield(self._look_up(key, load, self._first, asker))
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(self._look_up(key, load, self._again))
        except (TimeoutError, StoreUnavailable, IssuerUnavailable):
            known.fresh = min(self._clock.monotonic() + TTL_S, known.dead)
            known.stale = True
            self._note_stale()
            return known.value

    async def close(self) -> None:
        """End what is under way."""
        await tasks.end([one.task for one in (*self._first.values(), *self._again.values())])

    def _look_up(
        self,
        key: Key,
        load: Callable[[], Awaitable[Good[T] | Bad[R]]],
        among: dict[Key, _Running[T, R]],
        asker: Asker | None = None,
    ) -> asyncio.Task[T | Bad[R]]:
        """One look-up for all who want the same at the same time."""
        running = self._again.get(key) or self._first.get(key)
        if running is None:
            place = None if asker is None else asker.place
            if asker is not None:
                asker.may_ask()
            self._check_room(among, place)
            task = asyncio.create_task(self._learn(key, load), name=f"look up {self._what}")
            running = among[key] = _Running(task, self._clock.monotonic(), place)
            task.add_done_callback(lambda done: self._done(among, key, done))
        return running.task

    def _check_room(self, among: dict[Key, _Running[T, R]], place: str | None) -> None:
        if place is not None and sum(one.place == place for one in among.values()) >= MAX_FIRST_PER_PLACE:
            raise Busy(f"{self._what} to look up")
        if among is self._first and len(among) >= MAX_FIRST:
            raise Busy(f"{self._what} to look up")
        if among is self._again and len(among) >= MAX_AGAIN:
            oldest = next(iter(among.values()))
            if self._clock.monotonic() - oldest.began > PATIENCE_S:
                raise StoreUnavailable  # those who ask do not get an answer: one more would not either
            raise Busy(f"{self._what} to look up")

    @staticmethod
    def _done(among: dict[Key, _Running[T, R]], key: Key, task: asyncio.Task[T | Bad[R]]) -> None:
        among.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported when nobody waits any more

    async def _learn(self, key: Key, load: Callable[[], Awaitable[Good[T] | Bad[R]]]) -> T | Bad[R]:
        began = self._clock.monotonic()
        answer = await load()
        self._forget(key)
        if isinstance(answer, Bad):
            self._refused[key] = answer, began + TTL_S
            while len(self._refused) > MAX_REFUSED:
                self._refused.popitem(last=False)
            return answer
        weight = self._weigh(answer.value)
        left_s = max(0.0, answer.left_s)
        self._known[key] = _Known(answer.value, weight, began + min(TTL_S, left_s), began + min(STALE_S, left_s))
        self._weight += weight
        while self._weight > self._room:
            self._forget(next(iter(self._known)))
        return answer.value

    def _forget(self, key: Key) -> None:
        known = self._known.pop(key, None)
        if known is not None:
            self._weight -= known.weight

    def _note_stale(self) -> None:
        self._count_stale()
        self._unsaid += 1
        if self._clock.monotonic() - self._said >= SAY_EVERY_S:
            log.warning("answered from memory: the stores do not answer", what=self._what, answers=self._unsaid)
            self._unsaid, self._said = 0, self._clock.monotonic()
