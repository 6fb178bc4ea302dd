"""What rules look at, in memory: the recent windows of every series that a rule of this process selects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tenants import TenantId
from vigie_query.matchers import Matcher
from vigie_query.promql.cells import Shown, samples_of
from vigie_query.promql.derived import Selecting
from vigie_query.promql.label_sets import LabelSets
from vigie_query.promql.samples import EMPTY, Samples
from vigie_query.series import Series
from vigie_windows import Cells, fold, renumbered
from vigie_windows.fingerprints import FingerprintTable

from vigie_alerting.engine.horizon import AHEAD_MS, Depth, Horizon
from vigie_alerting.engine.recent import RecentWindows

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
WatchKey: TypeAlias = tuple[TenantId, tuple[Matcher, ...], Depth]

NOBODYS: Final = -1
MAX_NOBODYS: Final = 2_000_000
"""Series remembered as nobody's: 24 bytes each."""


@dataclass(slots=True)
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

    def clear(self) -> None:
        for column in (self.labels, self.rows, self.homes, self.kinds, self.parts):
            column.clear()
        self._shown = None

    def add(self, row: int, home: int, kind: Kind, labels: Labels, part: int) -> None:
        self.rows.append(row)
        self.homes.append(home)
        self.kinds.append(kind)
        self.labels.append(labels)
        self.parts.append(part)
        self._shown = None


Selected: TypeAlias = tuple[Watch, TenantId, Series, Labels, int]
"""A part of a series that a watch shows."""


class Bank:
    """The windows of one depth, of the series that need it; rows of its own."""

    def __init__(self, depth: Depth) -> None:
        self.recent = RecentWindows(depth.width_ms, depth.slots)
        self._row_of = np.full(0, NOBODYS, np.int64)

    def rows_of(self, homes: Ints) -> Ints:
        """The rows of series; NOBODYS for those without."""
        if not len(self._row_of):
            return np.full(len(homes), NOBODYS, np.int64)
        rows = self._row_of[np.clip(homes, 0, len(self._row_of) - 1)]
        return np.where((homes >= 0) & (homes < len(self._row_of)), rows, NOBODYS)

    def rows(self, homes: Ints, kinds: npt.NDArray[np.uint8], sketched: Bools) -> Ints:
        """The rows of these series (each once), given now to those that have none."""
        top = int(homes.max(initial=-1)) + 1
        if top > len(self._row_of):
            longer = np.full(max(2 * len(self._row_of), top, 64), NOBODYS, np.int64)
            longer[: len(self._row_of)] = self._row_of
            self._row_of = longer
        new = self._row_of[homes] == NOBODYS
        self._row_of[homes[new]] = len(self.recent) + np.arange(int(new.sum()))
        self.recent.grow(kinds[new], sketched[new])
        return self._row_of[homes]

    def add(self, homes: Ints, times: Ints, values: Floats) -> int:
        """Samples of these series; how many windows were too old to be taken."""
        rows = self.rows_of(homes)
        mine = rows >= 0
        if not mine.any():
            return 0
        kinds = self.recent.kinds
        return self.recent.add(fold(rows[mine], times[mine], values[mine], kinds, self.recent.width_ms))


class Memory:
    """Samples in, samples of selectors out. Not for several threads at once."""

    def __init__(self) -> None:
        self._homes = FingerprintTable()
        self._nobodys = FingerprintTable()
        """Series that were looked up, and that no rule selects."""
        self._series: list[tuple[TenantId, Series]] = []
        self._totals = np.zeros(0)
        """Of counters of increments, all that was counted; nan where it is not known."""
        self._banks: dict[Depth, Bank] = {}
        self._watches: dict[WatchKey, Watch] = {}
        self._by_number: dict[int, Watch] = {}
        self._by_name: dict[tuple[TenantId, str], list[Watch]] = defaultdict(list)
        self._of_any_name: dict[TenantId, list[Watch]] = defaultdict(list)
        self._next_number = 0
        self._until_ms = 0
        self._lately: list[tuple[TenantId, Series]] | None = None
        """While watches are prepared: what was found to be nobody's meanwhile."""
        self._pairs: tuple[Ints, Ints, Bools] | None = None

    def __len__(self) -> int:
        return len(self._series)

    def find(self, fingerprints: UInt64s) -> tuple[Ints, UInt64s]:
        """The home of each series, NOBODYS for those that no rule selects; and those that must be looked up first."""
        homes = self._homes.find(fingerprints)
        missing = fingerprints[homes < 0]
        if len(missing):
            missing = np.unique(missing[self._nobodys.find(missing) < 0])
        return homes, missing

    def learn(self, found: Iterable[tuple[TenantId, Series]], missing: UInt64s) -> None:
        """Series that were looked up, and which of them nobody knew."""
        looked_up = list(found)
        self._settle([
            (watch, tenant, series, labels, part)
            for tenant, series in looked_up
            for watch in self._candidates(tenant, series)
            for labels, part in watch.selecting.shown(series)
        ])  # fmt: skip
        if self._lately is not None:
            self._lately += looked_up
        fingerprints = np.array([series.fingerprint for _, series in looked_up], np.uint64)
        nobodys = np.concatenate([fingerprints[self._homes.find(fingerprints) < 0], missing])
        if len(self._nobodys) + len(nobodys) > MAX_NOBODYS:  # those that still come are looked up once more
            self._nobodys = FingerprintTable()
        self._nobodys.add(nobodys, np.zeros(len(nobodys), np.int64))

    def watch(self, tenant: TenantId, horizon: Horizon) -> Watch:
        """What is kept for a selector: new ones select nothing before they are opened (`is_open`)."""
        key = tenant, horizon.wanted.selector.matchers, horizon.depth
        known = self._watches.get(key)
        if known is None:
            known = self._watches[key] = Watch(self._next_number, key, Selecting(key[1]))
            self._next_number += 1
            bank = self._banks.setdefault(horizon.depth, Bank(horizon.depth))
            bank.recent.advance(self._until_ms)
        return known

    def is_open(self, watch: Watch) -> bool:
        """Whether its series are kept."""
        return watch.number in self._by_number

    def has(self, watch: Watch) -> bool:
        """Whether some rule needs it."""
        return self._watches.get(watch.key) is watch

    @property
    def all_open(self) -> bool:
        return len(self._by_number) == len(self._watches)

    def close(self) -> None:
        """Forget all series and windows: every watch is to be opened anew."""
        self._homes, self._nobodys = FingerprintTable(), FingerprintTable()
        self._series, self._totals = [], np.zeros(0)
        self._banks = {depth: Bank(depth) for depth in self._banks}
        self._pairs = None
        for index in (self._by_number, self._by_name, self._of_any_name):
            index.clear()
        for watch in self._watches.values():
            watch.clear()

    def unwatch(self, watch: Watch) -> None:
        """No rule needs it any more. Its windows stay until the process ends; nobody looks at them."""
        del self._watches[watch.key]
        if self._by_number.pop(watch.number, None) is None:
            return
        names = watch.selecting.names
        for name in names if names is not None else ():
            self._by_name[watch.tenant, name].remove(watch)
        if names is None:
            self._of_any_name[watch.tenant].remove(watch)
        self._pairs = None

    def prepare(self) -> None:
        """Watches will be opened: what comes up from now on is theirs too."""
        self._lately = []

    def end_preparation(self) -> None:
        """What comes up is no longer remembered."""
        self._lately = None

    def homes_of(self, series: Sequence[Series]) -> Ints:
        """NOBODYS for those that no rule selects."""
        return self._homes.find(np.array([one.fingerprint for one in series], np.uint64))

    def new_to(self, depth: Depth, series: Sequence[Series]) -> list[Series]:
        """Those of which no windows of this depth are kept."""
        kept = self._banks[depth].rows_of(self.homes_of(series)) >= 0
        return [one for one, is_kept in zip(series, kept.tolist(), strict=True) if not is_kept]

    def open(self, watch: Watch, series: Sequence[Series]) -> list[Series]:
        """Keep what the watch selects: these series, and those that came up since `prepare`. Those whose windows are
        new to its depth, for `load` and for what was read of the log meanwhile."""
        bank = self._banks[watch.depth]
        names = watch.selecting.names
        came = {one.fingerprint: one for tenant, one in self._lately or () if tenant == watch.tenant}
        every = {one.fingerprint: one for one in series} | came
        new = self.new_to(watch.depth, list(every.values()))
        self._settle([
            (watch, watch.tenant, one, labels, part)
            for one in every.values()
            if names is None or one.name in names
            for labels, part in watch.selecting.shown(one)
        ])  # fmt: skip
        self._by_number[watch.number] = self._watches[watch.key] = watch
        for name in names if names is not None else ():
            self._by_name[watch.tenant, name].append(watch)
        if names is None:
            self._of_any_name[watch.tenant].append(watch)
        kept = bank.rows_of(self.homes_of(new)) >= 0
        return [one for one, is_kept in zip(new, kept.tolist(), strict=True) if is_kept]

    def load(self, watch: Watch, series: Sequence[Series], rows: Ints, cells: Cells) -> None:
        """Windows that were counted before. rows: of each series in the cells; those of other rows are left out."""
        if not len(cells) or not series:
            return
        bank = self._banks[watch.depth]
        row_of = np.full(int(max(cells.rows.max(), rows.max())) + 1, NOBODYS, np.int64)
        row_of[rows] = bank.rows_of(self.homes_of(series))
        mine = cells.select(row_of[cells.rows] >= 0)
        bank.recent.add(renumbered(mine, row_of[mine.rows]))

    def set_totals(self, series: Sequence[Series], totals: Floats) -> None:
        """What counters of increments had come to when their windows were loaded."""
        self._totals[self.homes_of(series)] = totals

    def advance(self, now_ms: int) -> None:
        """The time up to which samples are taken."""
        self._until_ms = max(self._until_ms, now_ms + AHEAD_MS)
        for bank in self._banks.values():
            bank.recent.advance(self._until_ms)

    def add(self, homes: Ints, times: Ints, values: Floats) -> int:
        """Samples of these series, none of them NOBODYS; how many windows were too old for what is kept."""
        if not len(homes):
            return 0
        self._totals += np.bincount(homes, values, len(self._totals))
        return sum(bank.add(homes, times, values) for bank in self._banks.values())

    def add_to(self, depth: Depth | None, homes: Ints, times: Ints, values: Floats) -> None:
        """The same for one depth only, or None: for the totals only."""
        if depth is not None:
            self._banks[depth].add(homes, times, values)
        elif len(homes):
            self._totals += np.bincount(homes, values, len(self._totals))

    def watching(self, homes: Ints) -> tuple[Ints, Ints, Bools]:
        """Who watches these series: positions in `homes`, and for each the number of a watch, and whether that shows
        the values as they are: no running totals."""
        begins, numbers, as_they_are = self._pair_columns()
        begin = begins[homes]
        sizes = begins[homes + 1] - begin
        places = np.repeat(begin - np.cumsum(sizes) + sizes, sizes) + np.arange(int(sizes.sum()))
        return np.repeat(np.arange(len(homes)), sizes), numbers[places], as_they_are[places]

    def labels_of(self, home: int) -> Labels:
        """Of the series, without its name."""
        return self._series[home][1].labels

    def newest(self, inputs: Sequence[tuple[Horizon, Watch]], now_ms: int) -> list[Floats | None]:
        """The newest value of each series of plain selectors, nan where there is none; None where running totals are
        asked for, which only `read` knows."""
        values: list[Floats | None] = [np.empty(0)] * len(inputs)
        by_depth: dict[tuple[Depth, int, int], list[int]] = defaultdict(list)
        for place, (horizon, watch) in enumerate(inputs):
            if watch.shown.incremental.any():
                values[place] = None
            elif watch.rows:
                by_depth[watch.depth, horizon.wanted.first_ms, horizon.wanted.last_ms].append(place)
        for (depth, first_ms, last_ms), places in by_depth.items():
            rows = [inputs[place][1].shown.rows for place in places]
            _, found, present = self._banks[depth].recent.newest(
                np.concatenate(rows), now_ms + first_ms - 1, now_ms + last_ms
            )
            found[~present] = np.nan
            ends = np.cumsum([len(one) for one in rows])
            for place, part in zip(places, np.split(found, ends[:-1]), strict=True):
                values[place] = part
        return values

    def read(self, watch: Watch, horizon: Horizon, now_ms: int) -> Samples:
        """The samples of a selector, for an evaluation at `now_ms`."""
        if not watch.rows:
            return EMPTY
        recent, shown = self._banks[watch.depth].recent, watch.shown
        wanted = horizon.wanted
        since, until = now_ms + wanted.first_ms - 1, now_ms + wanted.last_ms
        if all(use.function == "" for use in wanted.uses) and not shown.incremental.any():
            times, values, present = recent.newest(shown.rows, since, until)
            bounds = np.concatenate([[0], np.cumsum(present)]).astype(np.int64)
            return Samples(shown.labels, bounds, times[present], values[present], None, shown.kinds)
        cells = recent.cells(np.unique(shown.rows), since)
        totals = np.where(shown.parts == 0, self._totals[np.array(watch.homes, np.int64)], np.nan)
        return samples_of([cells], shown, totals if shown.incremental.any() else None)

    def _settle(self, selected: Sequence[Selected]) -> None:
        """Give what was selected its places."""
        if not selected:
            return
        self._pairs = None
        series = {one.fingerprint: (tenant, one) for _, tenant, one, _, _ in selected}
        home_of = dict(zip(series, self._settled_homes(series).tolist(), strict=True))
        for depth in {watch.depth for watch, *_ in selected}:
            here = [one for one in selected if one[0].depth == depth]
            kinds: dict[int, Kind] = {}
            for _, _, one, _, _ in here:
                kinds[home_of[one.fingerprint]] = one.kind
            homes = list(kinds)
            rows = self._banks[depth].rows(
                np.array(homes, np.int64),
                np.array(list(kinds.values()), np.uint8),
                np.array([depth.sketched or kind is Kind.HISTOGRAM for kind in kinds.values()]),
            )
            row_of = dict(zip(homes, rows.tolist(), strict=True))
            for watch, _, one, labels, part in here:
                home = home_of[one.fingerprint]
                watch.add(row_of[home], home, one.kind, labels, part)

    def _settled_homes(self, series: Mapping[int, tuple[TenantId, Series]]) -> Ints:
        """By fingerprint; new ones get a home."""
        fingerprints = np.array(list(series), np.uint64)
        homes = self._homes.find(fingerprints)
        new = homes == NOBODYS
        homes[new] = len(self._series) + np.arange(int(new.sum()))
        self._series += [pair for pair, is_new in zip(series.values(), new.tolist(), strict=True) if is_new]
        self._homes.add(fingerprints[new], homes[new])
        if len(self._series) > len(self._totals):
            more = max(64, len(self._totals), len(self._series) - len(self._totals))
            self._totals = np.concatenate([self._totals, np.zeros(more)])
        return homes

    def _candidates(self, tenant: TenantId, series: Series) -> list[Watch]:
        return [*self._by_name.get((tenant, series.name), ()), *self._of_any_name.get(tenant, ())]

    def _pair_columns(self) -> tuple[Ints, Ints, Bools]:
        """Of each series where its watches begin, one more at the end; then the watches, and what they show."""
        if self._pairs is None:
            watches = [watch for watch in self._watches.values() if watch.homes]
            homes = np.array([home for watch in watches for home in watch.homes], np.int64)
            numbers = np.array([watch.number for watch in watches], np.int64)
            incremental = [watch.shown.incremental for watch in watches]
            order = np.argsort(homes, kind="stable")
            self._pairs = (
                np.searchsorted(homes[order], np.arange(len(self._series) + 1)),
                np.repeat(numbers, [len(watch.homes) for watch in watches])[order],
                ~np.concatenate([*incremental, np.empty(0, np.bool_)])[order],
            )
        return self._pairs
