"""Samples that wait to be sent: added up where that is exact, bounded, oldest dropped first, every drop counted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import RLock

from vigie_client.series import Sample, Series
from vigie_client.tally import Dropped, Tally
from vigie_client.values import MetricType, NotRecordable

WINDOW_MS = 10_000
"""The finest window of Vigie. Increments that meet in one window are one sample; they never cross its border, so sums
are exact in every window, however late they are sent."""
_MAX_SERIES = 20_000
_SLICE = 256
_SAMPLE_BYTES = 64
"""Value, timestamp and punctuation of a sample, about."""
_INF = float("inf")


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Buffer:
    """First in, first out. Samples that are taken for a request keep their place until `settle` or `put_back`.

    Every method may be called from any thread, and `add` from a signal handler or a finalizer as well.
    """

    def __init__(
        self,
        limit: int,
        tally: Tally,
        *,
        labels: Mapping[str, str] | None = None,
        now_ms: Callable[[], int] = wall_ms,
        notify_at: int = 0,
        notify: Callable[[], None] | None = None,
    ) -> None:
        """`limit` samples at most, two or more. `labels` are added to every series. `notify` is called, under the
        buffer's lock, when the first sample comes into the empty buffer and when `notify_at` samples wait."""
        self._limit = limit
        self._tally = tally
        self.labels = labels or {}
        self.now_ms = now_ms
        self._notify_at = {1, notify_at}
        self._notify = notify or (lambda: None)
        self._lock = RLock()
        self._busy = False
        self._aside: deque[tuple[MetricType, str, Mapping[str, str], float, int]] = deque()
        self._series: dict[object, Series] = {}
        self._waiting: deque[Sample] = deque()
        self._taken: Sequence[Sample] = ()
        self._last = 0

    def __len__(self) -> int:
        """Samples that wait or are being sent."""
        return len(self._waiting) + len(self._taken)

    def add(self, kind: MetricType, name: str, labels: Mapping[str, str], value: float) -> None:
        """Record. `value` is a finite number. Raises NotRecordable, and TypeError for what cannot be hashed."""
        now = self.now_ms()
        with self._lock:
            if self._busy:  # a signal handler or finalizer of this very thread: its outer call does it when done
                self._aside.append((kind, name, labels, value, now))
                return
            self._busy = True
            try:
                self._add(kind, name, labels, value, now)
                while self._aside:
                    self._add_aside(*self._aside.popleft())
            finally:
                self._busy = False

    def take(self, max_samples: int, max_bytes: int) -> Sequence[Sample]:
        """The oldest samples, at least one if there is one. Nothing else may be taken until these are settled."""
        wanted = min(max_samples, self._limit // 2)
        taken: list[Sample] = []
        self._taken = taken
        size, room = 0, True
        while room and len(taken) < wanted:
            with self._lock:  # again and again, so that nobody who records waits for long
                for _ in range(min(_SLICE, wanted - len(taken))):
                    size += len(self._waiting[0].series.head) + _SAMPLE_BYTES if self._waiting else 0
                    room = bool(self._waiting) and (not taken or size <= max_bytes)
                    if not room:
                        break
                    taken.append(self._leave())
        return taken

    def settle(self) -> None:
        """What was taken is done with."""
        with self._lock:
            self._taken = ()

    def put_back(self) -> None:
        """What was taken waits again, in its old place."""
        with self._lock:
            self._waiting.extendleft(reversed(self._taken))
            self._taken = ()

    def mark(self) -> int:
        """The newest sample there is; see `reached`."""
        return self._last

    def reached(self, mark: int) -> bool:
        """Whether nothing recorded before the mark waits or is being sent."""
        with self._lock:
            oldest = self._taken[0] if self._taken else self._waiting[0] if self._waiting else None
            return oldest is None or oldest.number > mark

    def _add(self, kind: MetricType, name: str, labels: Mapping[str, str], value: float, now: int) -> None:
        key = (kind, name, frozenset(labels.items())) if labels else (kind, name)
        series = self._series.get(key)
        if series is None:
            series = self._new_series(key, kind, name, labels)
        elif (sample := series.open) is not None and sample.timestamp // WINDOW_MS == now // WINDOW_MS:
            total = sample.value + value if kind is MetricType.COUNTER else value
            if total < _INF:  # else the sum cannot be sent, while each of its parts can
                sample.value = total
                sample.timestamp = max(now, sample.timestamp)
                return
        self._append(series, now, value)

    def _add_aside(self, kind: MetricType, name: str, labels: Mapping[str, str], value: float, now: int) -> None:
        try:
            self._add(kind, name, labels, value, now)
        except (NotRecordable, TypeError) as problem:
            self._tally.invalid(name, str(problem))

    def _append(self, series: Series, now: int, value: float) -> None:
        if len(self._waiting) + len(self._taken) >= self._limit:
            self._leave()
            self._tally.drop(Dropped.BUFFER_FULL, 1)
        self._last += 1
        sample = Sample(series, now, value, self._last)
        if series.kind is not MetricType.HISTOGRAM:
            series.open = sample
        self._waiting.append(sample)
        if len(self._waiting) in self._notify_at:
            self._notify()

    def _leave(self) -> Sample:
        sample = self._waiting.popleft()
        if sample.series.open is sample:
            sample.series.open = None
        return sample

    def _new_series(self, key: object, kind: MetricType, name: str, labels: Mapping[str, str]) -> Series:
        series = Series(kind, name, {**self.labels, **labels})
        if len(self._series) >= _MAX_SERIES:
            self._series.clear()  # only a cache: a series that comes again starts a new sample
        self._series[key] = series
        return series
