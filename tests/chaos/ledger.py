"""What was accepted, kept beside the system under test, and the exact comparison with what the system counted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vigie_contracts.series import SeriesKey
from vigie_contracts.tiers import FINE, TIERS, Tier

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """One number that was sent. Values are integers, so that sums of float64 are exact in any order."""

    series: SeriesKey
    timestamp: int
    value: int


@dataclass(slots=True)
class Cell:
    """One series in one window. Ties of time: the smallest value is first, the largest is last."""

    count: int
    sum: float
    min: float
    max: float
    first_ts: int
    first: float
    last_ts: int
    last: float

    @classmethod
    def of(cls, timestamp: int, value: float) -> "Cell":
        """The cell of a single sample."""
        return cls(1, value, value, value, timestamp, value, timestamp, value)

    def merge(self, other: "Cell") -> None:
        """Add what `other` counted."""
        self.count += other.count
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)
        self.first_ts, self.first = min((self.first_ts, self.first), (other.first_ts, other.first))
        self.last_ts, self.last = max((self.last_ts, self.last), (other.last_ts, other.last))


Cells = dict[tuple[int, int], Cell]
"""(fingerprint, window start in ms) -> what was counted there."""


@dataclass(frozen=True, slots=True)
class Running:
    """The latest state of one series: sum and count of everything ever counted, and the newest value."""

    count: int
    sum: float
    last_ts: int
    last: float


@dataclass(slots=True)
class Counts:
    """Everything a reader found: windows per tier name and running state per fingerprint."""

    windows: dict[str, Cells]
    running: dict[int, Running]


@dataclass(frozen=True, slots=True)
class Difference:
    """One cell that is not what it must be; None stands for "there is none"."""

    where: str
    series: str
    start: int | None
    expected: object
    found: object

    def __str__(self) -> str:
        window = "" if self.start is None else f" @ {self.start}"
        return f"{self.where}: {self.series}{window}: expected {self.expected}, found {self.found}"


@dataclass(slots=True)
class Ledger:
    """Adds every accepted sample once. The windows of the coarse tiers follow from those of the finest.

    Its series are those of a tenant whose names begin with the prefix: nobody else may send such series.
    """

    tenant: str
    prefix: str = ""
    series: dict[int, SeriesKey] = field(default_factory=dict)
    fine: Cells = field(default_factory=dict)
    samples: int = 0
    _fingerprints: dict[SeriesKey, int] = field(default_factory=dict)

    def add(self, samples: Iterable[Sample]) -> None:
        """Count samples of a request that was accepted; call it once per request."""
        for sample in samples:
            fingerprint = self._fingerprint(sample.series)
            cell = Cell.of(sample.timestamp, float(sample.value))
            key = (fingerprint, FINE.floor(sample.timestamp))
            if (known := self.fine.get(key)) is None:
                self.fine[key] = cell
            else:
                known.merge(cell)
            self.samples += 1

    def expected(self, tiers: Sequence[Tier] = TIERS) -> Counts:
        """What every reader must find."""
        return Counts({tier.name: widen(self.fine, tier.width_ms) for tier in tiers}, self._running())

    def _running(self) -> dict[int, Running]:
        totals = {fingerprint: cell for (fingerprint, _), cell in widen(self.fine, 1 << 62).items()}
        return {f: Running(cell.count, cell.sum, cell.last_ts, cell.last) for f, cell in totals.items()}

    def _fingerprint(self, series: SeriesKey) -> int:
        if (known := self._fingerprints.get(series)) is None:
            known = self._fingerprints[series] = series.fingerprint
            self.series[known] = series
        return known


def widen(cells: Mapping[tuple[int, int], Cell], width_ms: int) -> Cells:
    """The same counts in wider windows, as new cells."""
    wide: Cells = {}
    for (fingerprint, start), cell in cells.items():
        key = (fingerprint, start - start % width_ms)
        if (known := wide.get(key)) is None:
            wide[key] = Cell(*(getattr(cell, name) for name in Cell.__slots__))
        else:
            known.merge(cell)
    return wide


def compare(ledger: Ledger, found: Counts, where: str, tiers: Sequence[Tier] = TIERS) -> list[Difference]:
    """Every difference, both ways: for each expected series what is missing, wrong or too much; and series that
    nobody sent. A reader that found nothing differs everywhere."""
    expected = ledger.expected(tiers)
    differences: list[Difference] = []
    for tier in tiers:
        mine, theirs = expected.windows[tier.name], found.windows.get(tier.name, {})
        for fingerprint, start in mine.keys() | theirs.keys():
            a, b = mine.get((fingerprint, start)), theirs.get((fingerprint, start))
            if a != b:
                differences.append(Difference(f"{where} {tier.name}", _name(ledger, fingerprint), start, a, b))
    for fingerprint in expected.running.keys() | found.running.keys():
        a, b = expected.running.get(fingerprint), found.running.get(fingerprint)
        if a != b:
            differences.append(Difference(f"{where} latest", _name(ledger, fingerprint), None, a, b))
    return differences


def totals(cells: Mapping[tuple[int, int], Cell]) -> tuple[int, int, float]:
    """(series, samples, sum of all values): one line of the printed ledger."""
    return len({f for f, _ in cells}), sum(c.count for c in cells.values()), sum(c.sum for c in cells.values())


def listed(differences: Sequence[Difference]) -> str:
    """The first few differences, for a message."""
    rest = len(differences) - SHOWN
    lines = [str(difference) for difference in differences[:SHOWN]]
    return "\n".join([*lines, *([f"... and {rest} more"] if rest > 0 else [])])


def _name(ledger: Ledger, fingerprint: int) -> str:
    series = ledger.series.get(fingerprint)
    if series is None:
        return f"a series that nobody sent ({fingerprint:#018x})"
    labels = ",".join(f"{name}={value}" for name, value in series.labels)
    return f"{series.name}{{{labels}}}"
