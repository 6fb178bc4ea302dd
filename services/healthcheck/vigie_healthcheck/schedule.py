"""When which target is due. Pure: time is a parameter, milliseconds that never go back.

A target is due at the times that a hash of its id and its interval give: any owner comes to the same ones, they are
spread, and nothing that happens moves them. What was missed is not caught up: each target is due once, then at its next
time.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

PAUSE_MS: Final = 2_000
"""Who did not look for so long stood still: what was due meanwhile would come all at once, and is skipped."""
SETTLE_MS: Final = 2_000
"""Meanwhile others may have got the targets, which is heard of within so long: until then nothing is due."""
SOON_MS: Final = 2
"""Between two targets that are due as soon as possible: thousands that come together do not begin together."""
_SLACK: Final = 64


@dataclass(slots=True, eq=False)
class _Entry:
    target: str
    interval_ms: int
    due_ms: int
    place: int
    """Of its item in the heap, an ordinal; other items of it are void. _TAKEN: it is being checked."""


_TAKEN: Final = -1


@dataclass(frozen=True, slots=True)
class Due:
    """A target whose time has come. `done` ends it."""

    target: str
    due_ms: int
    next_ms: int
    entry: _Entry


def offset_ms(target: str, interval_ms: int) -> int:
    """Where in its interval a target is due."""
    return int.from_bytes(blake2b(target.encode(), digest_size=8).digest(), "big") % interval_ms


def next_after(target: str, interval_ms: int, after_ms: int) -> int:
    """The first time after `after_ms` at which a target is due."""
    return after_ms + interval_ms - (after_ms - offset_ms(target, interval_ms)) % interval_ms


class Schedule:
    """Targets by their next time. Each operation costs O(log n)."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[int, int, _Entry]] = []
        self._places = 0
        self._looked_ms: int | None = None
        self._soon_ms = 0
        self.skipped = 0
        """Times that were missed, since the start."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, target: str) -> bool:
        return target in self._entries

    def put(self, target: str, interval_ms: int, now_ms: int, *, soon: bool) -> None:
        """Add or replace a target. `soon`: it is due as soon as those that came before it are, and in `interval_ms` at
        the latest; then at its times."""
        due_ms = next_after(target, interval_ms, now_ms)
        if soon:
            self._soon_ms = max(now_ms, self._soon_ms + SOON_MS)
            due_ms = min(due_ms, self._soon_ms)
        entry = self._entries.get(target)
        if entry is None:
            entry = self._entries[target] = _Entry(target, interval_ms, due_ms, 0)
            self._push(entry)
            return
        entry.interval_ms, entry.due_ms = interval_ms, due_ms
        if entry.place != _TAKEN:
            self._push(entry)

    def ask(self, target: str, now_ms: int) -> None:
        """It is due now, or, while it is being checked, as soon as that is over."""
        entry = self._entries.get(target)
        if entry is None or entry.due_ms <= now_ms:
            return
        entry.due_ms = now_ms
        if entry.place != _TAKEN:
            self._push(entry)

    def remove(self, target: str) -> None:
        """Forget a target, if it is there."""
        entry = self._entries.pop(target, None)
        if entry is not None:
            entry.place = _TAKEN
            self._compact()

    def take(self, now_ms: int, most: int) -> list[Due]:
        """At most `most` of what is due, the earliest first. Call it often, also without room for any: a pause between
        two calls is one of the process."""
        if self._looked_ms is not None and now_ms - self._looked_ms > PAUSE_MS:
            self._skip(now_ms + SETTLE_MS)
        self._looked_ms = now_ms
        taken: list[Due] = []
        while len(taken) < most and (entry := self._first()) is not None and entry.due_ms <= now_ms:
            heapq.heappop(self._heap)
            due_ms, entry.place = entry.due_ms, _TAKEN
            entry.due_ms = next_after(entry.target, entry.interval_ms, now_ms)
            missed = (now_ms - due_ms) // entry.interval_ms
            self.skipped += missed
            taken.append(Due(entry.target, due_ms, entry.due_ms, entry))
        return taken

    def done(self, due: Due) -> None:
        """Its check is over: it may be due again."""
        if self._entries.get(due.target) is due.entry:
            self._push(due.entry)

    def next_ms(self) -> int | None:
        """When `take` has something to give; None: never, as it is now."""
        entry = self._first()
        return None if entry is None else entry.due_ms

    def waiting(self, now_ms: int) -> int:
        """How many are due, and not taken. Looks at all of them."""
        return sum(e.place != _TAKEN and e.due_ms <= now_ms for e in self._entries.values())

    def _skip(self, until_ms: int) -> None:
        """What is due by then is due at its first time afterwards."""
        while (entry := self._first()) is not None and entry.due_ms <= until_ms:
            heapq.heappop(self._heap)
            self.skipped += (until_ms - entry.due_ms) // entry.interval_ms + 1
            entry.due_ms = next_after(entry.target, entry.interval_ms, until_ms)
            self._push(entry)

    def _first(self) -> _Entry | None:
        while self._heap:
            _, place, entry = self._heap[0]
            if entry.place == place:
                return entry
            heapq.heappop(self._heap)
        return None

    def _push(self, entry: _Entry) -> None:
        self._places += 1
        entry.place = self._places
        heapq.heappush(self._heap, (entry.due_ms, entry.place, entry))
        self._compact()

    def _compact(self) -> None:
        """Void items go when they are as many as the others: each operation pays for one."""
        if len(self._heap) > 2 * len(self._entries) + _SLACK:
            self._heap = [item for item in self._heap if item[2].place == item[1]]
            heapq.heapify(self._heap)
