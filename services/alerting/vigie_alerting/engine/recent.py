"""The newest windows of many series, in memory. Pure numpy.

Each row has a ring of slots, one per window; what a slot holds is a cell of `vigie_windows`, merged by the same code
that makes the stored windows, so both are equal whatever the order of samples and batches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_windows import Cells, Kind, keys, merge, renumbered

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_COLUMNS: Final = {"window": np.int64, "count": np.int64, "last_ts": np.int64, "last": np.float64}
_OF_SEVERAL: Final = {"sum": "last", "min": "last", "max": "last", "first": "last", "first_ts": "last_ts"}
"""What is held of cells of several samples only -> what it is equal to in a cell of one."""
_GROWTH: Final = 1.5
_NO_WINDOW: Final = -1


class RecentWindows:
    """The windows of `width_ms` that end at most `slots` windows before the head, of rows 0, 1, 2...

    About 30 bytes a slot, 70 where windows have several samples; percentile sketches and resets of counters come on
    top, for the slots that have them."""

    def __init__(self, width_ms: int, slots: int) -> None:
        self.width_ms, self.slots = width_ms, slots
        self.head = -1
        """The newest window that is held; the oldest is `slots - 1` before it."""
        self._rows = 0
        self._columns: dict[str, npt.NDArray[Any]] = {
            name: np.zeros((0, slots), dtype) for name, dtype in _COLUMNS.items()
        }
        self._of_several: dict[str, npt.NDArray[Any]] = {}
        """There when the first such cell is."""
        self._kinds = np.zeros(0, np.uint8)
        self._sketched = np.zeros(0, np.bool_)
        # By place (row * slots + slot): few slots have any.
        self._buckets: dict[int, tuple[npt.NDArray[np.int32], Ints]] = {}
        self._turns: dict[int, tuple[Ints, Floats]] = {}

    def __len__(self) -> int:
        return self._rows

    @property
    def kinds(self) -> npt.NDArray[np.uint8]:
        """uint8[rows]: the `Kind` of each row."""
        return self._kinds[: self._rows]

    def grow(self, kinds: npt.NDArray[np.uint8], sketched: Bools) -> None:
        """More rows, after those that are there. Percentiles are kept of those that are `sketched`."""
        rows = self._rows + len(kinds)
        if rows > len(self._kinds):
            capacity = max(rows, int(len(self._kinds) * _GROWTH))
            self._kinds = _extended(self._kinds, capacity, 0)
            self._sketched = _extended(self._sketched, capacity, 0)
            for name, column in self._columns.items():
                self._columns[name] = _extended(column, capacity, _NO_WINDOW if name == "window" else 0)
            for name, column in self._of_several.items():
                self._of_several[name] = _extended(column, capacity, 0)
        self._kinds[self._rows : rows] = kinds
        self._sketched[self._rows : rows] = sketched
        self._rows = rows

    def renew(self, rows: Ints, kinds: npt.NDArray[np.uint8], sketched: Bools) -> None:
        """These rows, which were cleared, are of other series now."""
        self._kinds[rows], self._sketched[rows] = kinds, sketched

    def clear(self, rows: Ints) -> None:
        """Forget what these rows hold."""
        self._columns["window"][rows] = _NO_WINDOW
        places: list[int] = (rows[:, None] * self.slots + np.arange(self.slots)).ravel().tolist()
        for by_place in filter(None, (self._buckets, self._turns)):
            for place in places:
                by_place.pop(place, None)

    def advance(self, until_ms: int) -> None:
        """Windows up to the one that `until_ms` is in are taken from now on; the oldest ones are forgotten."""
        self.head = max(self.head, until_ms // self.width_ms)

    def add(self, cells: Cells) -> int:
        """Add the cells, of this width. How many were not taken, because they are too old or too new."""
        window = keys.windows_of(cells.key)
        held = (window <= self.head) & (window > self.head - self.slots)
        refused = len(cells) - int(held.sum())
        if refused:
            cells, window = cells.select(held), window[held]
        cells = self._without_sketches(cells, cells.rows)
        places = self._places(cells)
        known = self._column("window")[places] == window
        if known.any():
            # Most are of numbers that add up where they are.
            plain = known & (cells.kind != Kind.CUMULATIVE) & ~self._sketched[cells.rows]
            self._add_plain(cells, np.flatnonzero(plain), places[plain])
            if plain.all():
                return refused
            cells, places = cells.select(~plain), places[~plain]
            if not (known <= plain).all():
                cells = merge(self._read(places[known[~plain]]), cells)
                places = self._places(cells)
        self._write(cells, places)
        return refused

    def _add_plain(self, cells: Cells, at: Ints, places: Ints) -> None:
        """What `merge` makes of these cells and those that are held at these places, of which none has a sketch or
        turning points."""
        if not len(at):
            return
        self._hold_several()
        held = self._values(places)
        come = {name: getattr(cells, name)[at] for name in held}
        earlier, later = come["first_ts"] < held["first_ts"], come["last_ts"] > held["last_ts"]
        both_first, both_last = come["first_ts"] == held["first_ts"], come["last_ts"] == held["last_ts"]
        with np.errstate(over="ignore", invalid="ignore"):
            total = held["sum"] + come["sum"]
        made = {
            "count": held["count"] + come["count"],
            "sum": total,
            "min": np.minimum(held["min"], come["min"]),
            "max": np.maximum(held["max"], come["max"]),
            "first_ts": np.minimum(held["first_ts"], come["first_ts"]),
            "first": np.where(earlier, come["first"], held["first"]),
            "last_ts": np.maximum(held["last_ts"], come["last_ts"]),
            "last": np.where(later, come["last"], held["last"]),
        }
        made["first"] = np.where(both_first, np.minimum(held["first"], come["first"]), made["first"])
        made["last"] = np.where(both_last, np.maximum(held["last"], come["last"]), made["last"])
        for name, column in made.items():
            (self._of_several if name in _OF_SEVERAL else self._columns)[name].reshape(-1)[places] = column

    def fill(self, cells: Cells, rows: Ints) -> None:
        """Add cells of which hardly any window is held yet. rows: of each cell, instead of its own."""
        window = keys.windows_of(cells.key)
        held = (window <= self.head) & (window > self.head - self.slots)
        if not held.all():
            cells, rows, window = cells.select(held), rows[held], window[held]
        places = rows * self.slots + window % self.slots
        known = self._column("window")[places] == window
        if known.any():
            self.add(renumbered(cells.select(known), rows[known]))
            cells, rows, places = cells.select(~known), rows[~known], places[~known]
        self._write(self._without_sketches(cells, rows), places)

    def cells(self, rows: Ints | None = None, since_ms: int | None = None) -> Cells:
        """What is held: of these rows (all, by default), in windows that end after `since_ms`, as queries read them: of
        one that `since_ms` cuts, the newest sample tells whether it counts."""
        window = self._columns["window"][: self._rows] if rows is None else self._columns["window"][rows]
        oldest = self.head - self.slots + 1
        if since_ms is not None:
            oldest = max(oldest, since_ms // self.width_ms)
        row, slot = np.nonzero(window >= oldest)
        return self._read((row if rows is None else rows[row]) * self.slots + slot)

    def newest(self, rows: Ints, since_ms: int, until_ms: int) -> tuple[Ints, Floats, Bools]:
        """Time and value of the newest sample of each row after `since_ms`, up to `until_ms`; and whether there is one,
        as far as windows tell: where a window goes on after `until_ms`, those before it."""
        held = self._columns["window"][rows] > self.head - self.slots
        times = np.where(held, self._columns["last_ts"][rows], -1)
        times[times > until_ms] = -1
        slot = times.argmax(axis=1)
        at = np.arange(len(rows)), slot
        return times[at], self._columns["last"][rows, slot], times[at] > since_ms

    def extremes(self, rows: Ints) -> tuple[Floats, Floats]:
        """The lowest and the highest value that is held of each row; infinite, the wrong way round, where none is."""
        held = self._columns["window"][rows] > self.head - self.slots
        low = high = self._columns["last"][rows]
        if self._of_several:
            several = self._columns["count"][rows] > 1
            low = np.where(several, self._of_several["min"][rows], low)
            high = np.where(several, self._of_several["max"][rows], high)
        return np.where(held, low, np.inf).min(axis=1), np.where(held, high, -np.inf).max(axis=1)

    def _without_sketches(self, cells: Cells, rows: Ints) -> Cells:
        """Of the rows of which none are wanted."""
        wanted = self._sketched[rows][cells.sketch_cell]
        if wanted.all():
            return cells
        return replace(
            cells, sketch_cell=cells.sketch_cell[wanted], sketch_bucket=cells.sketch_bucket[wanted],
            sketch_count=cells.sketch_count[wanted],
        )  # fmt: skip

    def _places(self, cells: Cells) -> Ints:
        return cells.rows * self.slots + keys.windows_of(cells.key) % self.slots

    def _column(self, name: str) -> npt.NDArray[Any]:
        return self._columns[name].reshape(-1)

    def _read(self, places: Ints) -> Cells:
        """The cells at these places, each of which holds one."""
        row, window = places // self.slots, self._column("window")[places]
        key = (row >> keys.SLOT_BITS << keys.CHUNK_SHIFT) | (window << keys.SLOT_BITS) | (row & keys.SLOT_MASK)
        order = np.argsort(key, kind="stable")
        places, key = places[order], key[order]
        columns = self._values(places)
        buckets = [(at, *self._buckets[place]) for at, place in self._marked(places, self._buckets)]
        turns = [(at, *self._turns[place]) for at, place in self._marked(places, self._turns)]
        bucket_cell, bucket, bucket_count = _joined(buckets, np.int32, np.int64)
        turn_cell, turn_ts, turn_value = _joined(turns, np.int64, np.float64)
        return Cells(
            self.width_ms, key, self._kinds[places // self.slots], **columns,
            sketch_cell=bucket_cell, sketch_bucket=bucket, sketch_count=bucket_count,
            turn_cell=turn_cell, turn_ts=turn_ts, turn_value=turn_value,
        )  # fmt: skip

    def _values(self, places: Ints) -> dict[str, npt.NDArray[Any]]:
        """The columns of the cells at these places, but for the window."""
        columns = {name: self._column(name)[places] for name in _COLUMNS if name != "window"}
        several = np.flatnonzero(columns["count"] > 1)
        for name, same in _OF_SEVERAL.items():
            columns[name] = columns[same]
            if len(several):
                columns[name] = columns[same].copy()
                columns[name][several] = self._of_several[name].reshape(-1)[places[several]]
        return columns

    def _hold_several(self) -> None:
        """From now on there are cells of several samples."""
        if not self._of_several:
            shape = self._columns["window"].shape
            self._of_several = {name: np.zeros(shape, _COLUMNS[same]) for name, same in _OF_SEVERAL.items()}

    def _marked(self, places: Ints, by_place: dict[int, Any]) -> list[tuple[int, int]]:
        """Position and place of those that have an entry."""
        if not by_place:
            return []
        return [(at, place) for at, place in enumerate(places.tolist()) if place in by_place]

    def _write(self, cells: Cells, places: Ints) -> None:
        for name in _COLUMNS:
            self._column(name)[places] = keys.windows_of(cells.key) if name == "window" else getattr(cells, name)
        several = np.flatnonzero(cells.count > 1)
        if len(several):
            self._hold_several()
        for name, column in self._of_several.items():
            column.reshape(-1)[places[several]] = getattr(cells, name)[several]
        for by_place in (self._buckets, self._turns):
            for _, place in self._marked(places, by_place):
                del by_place[place]
        for at, part in _runs(cells.sketch_cell):
            self._buckets[int(places[at])] = cells.sketch_bucket[part].copy(), cells.sketch_count[part].copy()
        for at, part in _runs(cells.turn_cell):
            self._turns[int(places[at])] = cells.turn_ts[part].copy(), cells.turn_value[part].copy()


def _extended(column: npt.NDArray[Any], rows: int, fill: int) -> npt.NDArray[Any]:
    shape = rows, *column.shape[1:]
    # Of zeros, the pages are there when they are written only.
    longer = np.full(shape, fill, column.dtype) if fill else np.zeros(shape, column.dtype)
    longer[: len(column)] = column
    return longer


def _joined(parts: list[tuple[int, Any, Any]], first: Any, second: Any) -> tuple[Any, Any, Any]:
    """Which cell each entry is of, and the two columns of entries."""
    if not parts:
        return np.empty(0, np.int64), np.empty(0, first), np.empty(0, second)
    cell = np.repeat([at for at, _, _ in parts], [len(one) for _, one, _ in parts])
    return cell, np.concatenate([one for _, one, _ in parts]), np.concatenate([other for _, _, other in parts])


def _runs(cell: Ints) -> list[tuple[int, slice]]:
    """Each cell of a sorted column with the part that is its own."""
    if not len(cell):
        return []
    begins = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
    ends = np.append(begins[1:], len(cell))
    return [(int(cell[a]), slice(int(a), int(b))) for a, b in zip(begins, ends, strict=True)]
