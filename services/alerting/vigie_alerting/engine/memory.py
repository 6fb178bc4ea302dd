"""What rules look at, in memory: the recent windows of every series that a rule of this process selects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import Kind, Labels
from vigie_contracts.tenants import TenantId
from vigie_query.promql.cells import VALUE, Shown, samples_of
from vigie_query.promql.derived import Selecting
from vigie_query.promql.samples import EMPTY, Samples
from vigie_query.series import Series
from vigie_windows import Cells
from vigie_windows.fingerprints import FingerprintTable

from vigie_alerting.engine.bank import NOBODYS, Bank, Bools, Floats, Ints
from vigie_alerting.engine.horizon import AHEAD_MS, Depth, Horizon
from vigie_alerting.engine.watch import Selected, Watch, WatchKey, selected
from vigie_alerting.engine.watchers import Watchers

UInt64s: TypeAlias = npt.NDArray[np.uint64]

KEPT_UNUSED: Final = 10_000
"""Series that no rule selects any more, and of which no windows are kept: so many are remembered, or half as many as
there are."""
MAX_NOBODYS: Final = 2_000_000
"""Series remembered as nobody's: 24 bytes each."""


class Memory:
    """Samples in, samples of selectors out. Not for several threads at once."""

    def __init__(self) -> None:
        self._homes = FingerprintTable()
        self._nobodys = FingerprintTable()
        """Series that were looked up, and that no rule selects."""
        self._series: list[tuple[TenantId, Series] | None] = []
        """By home."""
        self._free = np.empty(0, np.int64)
        """Homes that are nobody's."""
        self._totals = np.zeros(0)
        """Of counters of increments, all that was counted..."""
        self._whole = np.zeros(0, np.bool_)
        """... or, where this is not so, only what the log said of it since it is kept."""
        self._uses = np.zeros(0, np.int64)
        """How often watches show it."""
        self._banks: dict[Depth, Bank] = {}
        self._watches: dict[WatchKey, Watch] = {}
        self._by_number: dict[int, Watch] = {}
        """Those whose series are kept..."""
        self._open: set[int] = set()
        """... and of these the ones that have their past."""
        self._by_name: dict[tuple[TenantId, str], list[Watch]] = defaultdict(list)
        self._of_any_name: dict[TenantId, list[Watch]] = defaultdict(list)
        self._next_number = 0
        self._until_ms = 0
        self._lately: dict[int, tuple[TenantId, Series]] | None = None
        """While watches are prepared: what was looked up meanwhile."""
        self._watchers = Watchers()
        self.generation = 0
        """How often everything was forgotten: homes mean nothing across that."""

    def __len__(self) -> int:
        return int(np.count_nonzero(self._uses))

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
        new = self._settle([
            one
            for tenant, series in looked_up
            for watch in self._candidates(tenant, series)
            for one in selected(watch, series)
        ])  # fmt: skip
        for homes in new.values():
            self._whole[homes] = True
        if self._lately is not None:
            self._lately.update((series.fingerprint, (tenant, series)) for tenant, series in looked_up)
        fingerprints = np.array([series.fingerprint for _, series in looked_up], np.uint64)
        nobodys = np.concatenate([fingerprints[self._homes.find(fingerprints) < 0], missing])
        if len(self._nobodys) + len(nobodys) > MAX_NOBODYS:  # those that still come are looked up once more
            self._nobodys = FingerprintTable()
        self._nobodys.add(nobodys, np.zeros(len(nobodys), np.int64))

    def watch(self, tenant: TenantId, horizon: Horizon) -> Watch:
        """What is kept for a selector: new ones select nothing before they are held, and opened (`is_open`)."""
        key = tenant, horizon.wanted.selector.matchers, horizon.depth
        known = self._watches.get(key)
        if known is None:
            known = self._watches[key] = Watch(self._next_number, key, Selecting(key[1]))
            self._next_number += 1
            if horizon.depth not in self._banks:
                self._banks[horizon.depth] = self._bank(horizon.depth)
        return known

    def is_open(self, watch: Watch) -> bool:
        """Whether its series are kept, with their past."""
        return watch.number in self._open

    def has(self, watch: Watch) -> bool:
        """Whether some rule needs it."""
        return self._watches.get(watch.key) is watch

    @property
    def all_open(self) -> bool:
        return len(self._open) == len(self._watches)

    def close(self) -> None:
        """Forget all series and windows: every watch is to be opened anew."""
        self.generation += 1
        self._homes, self._nobodys = FingerprintTable(), FingerprintTable()
        self._series, self._totals, self._free = [], np.zeros(0), np.empty(0, np.int64)
        self._whole, self._uses = np.zeros(0, np.bool_), np.zeros(0, np.int64)
        self._banks = {depth: self._bank(depth) for depth in self._banks}
        self._watchers = Watchers()
        for index in (self._by_number, self._by_name, self._of_any_name, self._open):
            index.clear()
        for watch in self._watches.values():
            watch.clear()

    def unwatch(self, watch: Watch) -> None:
        """No rule needs it any more. Others get the place of its windows."""
        del self._watches[watch.key]
        had = bool(watch.rows)
        self.let_go(watch)
        if had and self._banks[watch.depth].is_empty:
            self._banks[watch.depth] = self._bank(watch.depth)
        if had and len(self) < len(self._homes) - max(KEPT_UNUSED, len(self._homes) // 2):
            self._forget_unused()

    def let_go(self, watch: Watch) -> None:
        """Its series are not kept, until it is held again."""
        if self._by_number.pop(watch.number, None) is None:
            return
        self._open.discard(watch.number)
        names = watch.selecting.names
        for name in names if names is not None else ():
            self._by_name[watch.tenant, name].remove(watch)
        if names is None:
            self._of_any_name[watch.tenant].remove(watch)
        homes = np.array(watch.homes, np.int64)
        self._banks[watch.depth].give_back(homes, np.array(watch.rows, np.int64))
        self._uses -= np.bincount(homes, minlength=len(self._uses))
        watch.clear()
        self._watchers.remove(watch.number)

    def prepare(self) -> None:
        """Watches will be held: what comes up from now on is theirs too."""
        self._lately = {}

    def end_preparation(self) -> None:
        """What comes up is no longer remembered."""
        self._lately = None

    def hold(self, watches: Iterable[Watch], chosen: Sequence[Selected]) -> dict[Depth | None, Ints]:
        """Keep what these watches select: what was chosen of the catalogue, and what came up since `prepare`. By depth
        the homes of which the windows are new to it, under None those whose totals are not known: their past is to be
        loaded, and what was read of the log meanwhile is to be added."""
        own = {watch.number: watch for watch in watches if self.has(watch) and watch.number not in self._by_number}
        settled = [one for one in chosen if one[0].number in own]
        by_name: dict[tuple[TenantId, str | None], list[Watch]] = defaultdict(list)
        for watch in own.values():
            names = watch.selecting.names
            self._by_number[watch.number] = watch
            for name in names if names is not None else ():
                self._by_name[watch.tenant, name].append(watch)
                by_name[watch.tenant, name].append(watch)
            if names is None:
                self._of_any_name[watch.tenant].append(watch)
                by_name[watch.tenant, None].append(watch)
        if self._lately:
            known = {(watch.number, series.fingerprint) for watch, series, _, _ in settled}
            settled += [
                one
                for tenant, series in self._lately.values()
                for watch in (*by_name.get((tenant, series.name), ()), *by_name.get((tenant, None), ()))
                if (watch.number, series.fingerprint) not in known
                for one in selected(watch, series)
            ]
        new: dict[Depth | None, Ints] = {**self._settle(settled)}
        homes = np.unique(np.concatenate([*new.values(), np.empty(0, np.int64)]))
        new[None] = homes[~self._whole[homes]]
        self._totals[new[None]] = 0
        return new

    def open(self, watch: Watch, series: Sequence[Series] = ()) -> None:
        """What it selects has its past. One that is not held yet selects these series."""
        if watch.number not in self._by_number:
            names = watch.selecting.names
            mine = [one for one in series if names is None or one.name in names]
            self.hold([watch], [pair for one in mine for pair in selected(watch, one)])
        self._open.add(watch.number)

    def holds(self, watch: Watch) -> bool:
        """Whether its series are kept, be it without their past."""
        return watch.number in self._by_number

    def series_at(self, homes: Ints) -> list[tuple[TenantId, Series]]:
        """The series of these homes."""
        return [one for home in homes.tolist() if (one := self._series[home]) is not None]

    def marked(self, homes: Ints) -> Bools:
        """[homes]: which are these."""
        mask = np.zeros(len(self._series), np.bool_)
        mask[homes] = True
        return mask

    def load(self, depth: Depth, homes: Ints, rows: Ints, cells: Cells) -> None:
        """Windows that were counted before. rows: of each home in the cells; those of other rows are left out."""
        if not len(cells) or not len(homes):
            return
        bank = self._banks[depth]
        row_of = np.full(int(max(cells.rows.max(), rows.max())) + 1, NOBODYS, np.int64)
        row_of[rows] = bank.rows_of(homes)
        place = row_of[cells.rows]
        mine = place >= 0
        if not mine.all():
            cells, place = cells.select(mine), place[mine]
        bank.recent.fill(cells, place)

    def add_totals(self, homes: Ints, totals: Floats) -> None:
        """What counters of increments had come to when their windows were stored; once for each."""
        self._totals[homes] += totals
        self._whole[homes] = True

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
        return self._watchers.of(homes)

    def labels_of(self, home: int) -> Labels:
        """Of the series, without its name."""
        one = self._series[home]
        return () if one is None else one[1].labels

    def newest(self, inputs: Sequence[tuple[Horizon, Watch]], now_ms: int) -> list[Floats | None]:
        """The newest value of each series of plain selectors, nan where there is none; None where running totals are
        asked for, which only `read` knows."""
        values: list[Floats | None] = [np.empty(0)] * len(inputs)
        by_depth: dict[tuple[Depth, int, int], list[int]] = defaultdict(list)
        for place, (horizon, watch) in enumerate(inputs):
            if watch.shows_totals:
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

    def extremes(self, watches: Sequence[Watch]) -> list[Floats | None]:
        """Between what the values of plain selectors were, as far as they are held: the lowest and the highest of each
        series; None where running totals are asked for."""
        values: list[Floats | None] = [None if watch.shows_totals else np.empty(0) for watch in watches]
        by_depth: dict[Depth, list[int]] = defaultdict(list)
        for place, watch in enumerate(watches):
            if watch.rows and not watch.shows_totals:
                by_depth[watch.depth].append(place)
        for depth, places in by_depth.items():
            rows = [watches[place].shown.rows for place in places]
            both = np.stack(self._banks[depth].recent.extremes(np.concatenate(rows)))
            ends = np.cumsum([len(one) for one in rows])
            for place, part in zip(places, np.split(both, ends[:-1], axis=1), strict=True):
                values[place] = part.ravel()
        return values

    def oldest_ms(self, depth: Depth) -> int:
        """From then on, windows of this depth are held."""
        recent = self._banks[depth].recent
        return (recent.head - recent.slots + 1) * recent.width_ms

    def read(self, watch: Watch, horizon: Horizon, now_ms: int, first_ms: int | None = None) -> Samples:
        """The samples of a selector, for an evaluation at `now_ms`, or for several from `first_ms` on."""
        if not watch.rows:
            return EMPTY
        totals = self._totals_of(watch.shown, watch.homes) if watch.shows_totals else None
        return self._samples(horizon, watch.shown, totals, now_ms=now_ms, first_ms=first_ms)

    def read_together(
        self, watches: Sequence[tuple[Watch, Sequence[Labels]]], horizon: Horizon, now_ms: int,
        first_ms: int | None = None,
    ) -> Samples:  # fmt: skip
        """The same for several watches of one horizon, under these labels."""
        filled = [(watch.shown, watch.homes, labels) for watch, labels in watches if watch.rows]
        if not filled:
            return EMPTY
        shown = Shown(
            [one for *_, labels in filled for one in labels],
            np.concatenate([own.rows for own, *_ in filled]),
            np.concatenate([own.kinds for own, *_ in filled]),
            np.concatenate([own.parts for own, *_ in filled]),
        )
        totals = None
        if any(watch.shows_totals for watch, _ in watches):
            totals = self._totals_of(shown, [home for _, homes, _ in filled for home in homes])
        return self._samples(horizon, shown, totals, now_ms=now_ms, first_ms=first_ms)

    def _totals_of(self, shown: Shown, homes: Sequence[int]) -> Floats:
        return np.where(shown.parts == VALUE, self._totals[np.array(homes, np.int64)], np.nan)

    def _samples(
        self, horizon: Horizon, shown: Shown, totals: Floats | None, *, now_ms: int, first_ms: int | None
    ) -> Samples:
        """`totals`: None where no running totals are shown."""
        recent, wanted = self._banks[horizon.depth].recent, horizon.wanted
        if first_ms is None and all(use.function == "" for use in wanted.uses) and totals is None:
            since, until = now_ms + wanted.first_ms - 1, now_ms + wanted.last_ms
            times, values, present = recent.newest(shown.rows, since, until)
            bounds = np.concatenate([[0], np.cumsum(present)]).astype(np.int64)
            return Samples(shown.labels, bounds, times[present], values[present], None, shown.kinds)
        since = (now_ms if first_ms is None else first_ms) + wanted.first_ms - 1
        return samples_of([recent.cells(np.unique(shown.rows), since)], shown, totals)

    def _settle(self, chosen: Sequence[Selected]) -> dict[Depth, Ints]:
        """Give what was selected its places. By depth the homes whose windows are new to it."""
        if not chosen:
            return {}
        homes = self._settled_homes(chosen)
        numbers = np.array([watch.number for watch, *_ in chosen], np.int64)
        plain = np.array([one.kind is not Kind.COUNTER and part == VALUE for _, one, _, part in chosen], np.bool_)
        self._watchers.add(homes, numbers, plain)
        by_depth: dict[Depth, list[int]] = defaultdict(list)
        for watch, group in groupby(enumerate(chosen), lambda one: one[1][0]):
            by_depth[watch.depth] += [place for place, _ in group]
        return {
            depth: self._placed(depth, [chosen[place] for place in places], homes[places])
            for depth, places in by_depth.items()
        }

    def _placed(self, depth: Depth, chosen: Sequence[Selected], homes: Ints) -> Ints:
        bank = self._banks[depth]
        each, first = np.unique(homes, return_index=True)
        new = each[bank.rows_of(each) == NOBODYS]
        kinds = np.array([chosen[place][1].kind for place in first.tolist()], np.uint8)
        bank.rows(each, kinds, (kinds == Kind.HISTOGRAM) | depth.sketched)
        rows = bank.rows_of(homes)
        bank.use(rows)
        self._uses += np.bincount(homes, minlength=len(self._uses))
        begin, row_list, home_list = 0, rows.tolist(), homes.tolist()
        for watch, group in groupby(chosen, itemgetter(0)):
            parts = list(group)
            end = begin + len(parts)
            watch.add(row_list[begin:end], home_list[begin:end], parts)
            begin = end
        return new

    def _settled_homes(self, chosen: Sequence[Selected]) -> Ints:
        """Of each; new series get a home."""
        fingerprints = np.array([one[1].fingerprint for one in chosen], np.uint64)
        each, first, place_of = np.unique(fingerprints, return_index=True, return_inverse=True)
        homes = self._homes.find(each)
        new = np.flatnonzero(homes == NOBODYS)
        if len(new):
            # In the order in which their windows are stored: what is read together stands together.
            found = [chosen[place] for place in first[new].tolist()]
            order = np.lexsort(([one[1].ordinal for one in found], [one[1].partition for one in found]))
            new = new[order]
            self._grow(len(new))
            homes[new] = free = self._free[: -len(new) - 1 : -1]
            self._free = self._free[: -len(new)]
            for at, home in zip(order.tolist(), free.tolist(), strict=True):
                watch, series, _, _ = found[at]
                self._series[home] = watch.tenant, series
            self._homes.add(each[new], free)
        return homes[place_of]

    def _grow(self, wanted: int) -> None:
        """At least so many homes are free."""
        if len(self._free) >= wanted:
            return
        more = max(64, len(self._series) // 2, wanted)
        self._free = np.concatenate([np.arange(len(self._series) + more - 1, len(self._series) - 1, -1), self._free])
        self._series += [None] * more
        self._totals = np.concatenate([self._totals, np.zeros(more)])
        self._whole = np.concatenate([self._whole, np.zeros(more, np.bool_)])
        self._uses = np.concatenate([self._uses, np.zeros(more, np.int64)])

    def _forget_unused(self) -> None:
        """The homes of series that no rule selects any more go to others."""
        self.generation += 1
        used = self._uses > 0
        homes = np.flatnonzero(used)
        found = [one for home in homes.tolist() if (one := self._series[home]) is not None]
        self._homes = FingerprintTable()
        self._homes.add(np.array([series.fingerprint for _, series in found], np.uint64), homes)
        self._free = np.flatnonzero(~used)
        self._whole[self._free], self._totals[self._free] = False, 0
        for home in self._free.tolist():
            self._series[home] = None

    def _bank(self, depth: Depth) -> Bank:
        bank = Bank(depth)
        bank.recent.advance(self._until_ms)
        return bank

    def _candidates(self, tenant: TenantId, series: Series) -> list[Watch]:
        return [*self._by_name.get((tenant, series.name), ()), *self._of_any_name.get(tenant, ())]
