"""Rows, ratios and verdicts, printed as plain text."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

SERVICES = ("ingest", "aggregator")
"""The processes that are Vigie's own; broker and stores are listed beside them."""


@dataclass(frozen=True)
class Row:
    """One measured run. `cpu_us` is CPU microseconds per `unit`, by process."""

    name: str
    density: str
    samples: int
    seconds: float
    cpu_us: dict[str, float]
    exact: bool
    detail: str = ""
    unit: str = "sample"
    """What `cpu_us` is for one of."""

    @property
    def vigie_us(self) -> float:
        """Of Vigie's own processes; of a peer: of all."""
        own = [us for name, us in self.cpu_us.items() if name in SERVICES]
        return sum(own) if own else self.machine_us

    @property
    def machine_us(self) -> float:
        """Of everything that works on the samples, broker and stores included. The load generator does not count."""
        return sum(self.cpu_us.values())


@dataclass(frozen=True)
class Floor:
    """A bound that the median of a figure must meet: at least when `at_least`, else at most. Without a floor it is a
    figure to know, and without a goal one to compare."""

    name: str
    unit: str
    floor: float | None
    goal: float | None
    values: tuple[float, ...]
    at_least: bool = True

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        return self.floor is None or self._reaches(self.floor)

    def _reaches(self, bound: float) -> bool:
        return self.value >= bound if self.at_least else self.value <= bound

    def line(self) -> str:
        bounds = {"floor": self.floor, "goal": self.goal}
        said = ", ".join(f"{name} {bound:g}" for name, bound in bounds.items() if bound is not None)
        spread = f"{min(self.values):.3g} to {max(self.values):.3g}, {len(self.values)} runs"
        reached = self.goal is not None and self._reaches(self.goal)
        judged = "" if self.floor is None else "  PASS" if self.met else "  FAIL"
        return (
            f"  {self.name:<68} {self.value:>9.3g} {self.unit:<16} {said} ({spread})"
            f"{judged}{', goal met' if self.met and reached else ''}"
        )


@dataclass
class Report:
    rows: list[Row] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def add(self, row: Row) -> Row:
        """Keep and print a row as soon as it is measured."""
        self.rows.append(row)
        costs = "  ".join(f"{name} {us:.3f}" for name, us in row.cpu_us.items())
        print(
            f"  {row.name:<46} {row.density:<22} {row.samples:>10,} samples  {row.samples / row.seconds:>12,.0f}/s  "
            f"CPU-us/{row.unit}: {costs}  {'PASS' if row.exact else 'FAIL'}  {row.detail}",
            flush=True,
        )
        return row

    def skip(self, what: str) -> None:
        self.skipped.append(what)
        print(f"  skipped: {what}", flush=True)

    @property
    def exact(self) -> bool:
        return all(row.exact for row in self.rows)

    @property
    def passed(self) -> bool:
        return self.exact and bool(self.floors) and all(floor.met for floor in self.floors)

    def close(self) -> None:
        print("\nFloors and goals (medians)")
        for floor in self.floors:
            print(floor.line())
        for what in self.skipped:
            print(f"  skipped: {what}")
        bad = [row.name for row in self.rows if not row.exact]
        print(f"\nExact sums: {'PASS' if self.exact else 'FAIL: ' + ', '.join(bad)}   ({len(self.rows)} runs)")
        print(f"Bench: {'PASS' if self.passed else 'FAIL'}")


def ratios(ours: Iterable[Row], theirs: Iterable[Row]) -> tuple[float, ...]:
    """CPU per sample of Vigie's own processes over the peer's, pair by pair: measured one after the other."""
    return tuple(a.vigie_us / b.vigie_us for a, b in zip(ours, theirs, strict=False))


def machine_ratios(ours: Iterable[Row], theirs: Iterable[Row]) -> tuple[float, ...]:
    """The same with Vigie's broker and stores: what the machine spends."""
    return tuple(a.machine_us / b.machine_us for a, b in zip(ours, theirs, strict=False))
