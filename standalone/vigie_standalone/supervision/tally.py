"""What became of every line."""

import json
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Self

from vigie_standalone.history.reading import FileError
from vigie_standalone.query.series import printable
from vigie_standalone.supervision.dump import Collection

SHOWN = 50


class Became(StrEnum):
    TAKEN = "taken"
    THERE = "there before"
    LEFT = "left out"
    """Nothing is wrong with it: it is not needed here, or comes with a later dump."""
    REFUSED = "refused"


@dataclass(frozen=True)
class NotTaken:
    """A line that is left out or refused."""

    file: str
    line: int
    became: Became
    reason: str

    def __str__(self) -> str:
        return printable(f"{self.file}:{self.line}: {self.became}: {self.reason}")


class Tally(AbstractContextManager["Tally"]):
    """Counts, keeps the first SHOWN lines that were not taken, and writes all of them to a file if there is one."""

    def __init__(self, files: dict[Collection, Path], report: Path | None) -> None:
        """Raises FileError when the report cannot be written."""
        self.counts: dict[Collection, Counter[Became]] = {one: Counter() for one in files}
        self.shown: list[NotTaken] = []
        self.notes: list[str] = []
        """What else is worth knowing."""
        self.before = 0
        """Lines that were refused before an import stopped that goes on."""
        self._files = files
        self._report: IO[str] | None = None
        if report is not None:
            try:
                self._report = report.open("w", encoding="utf-8")
            except OSError as error:
                raise FileError(f"{report} cannot be written: {error.strerror}.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._report is not None:
            self._report.close()

    def add(self, collection: Collection, line: int, became: Became, reason: str = "") -> None:
        """One line. `reason` says why it was not taken."""
        self.counts[collection][became] += 1
        if became in (Became.TAKEN, Became.THERE):
            return
        one = NotTaken(self._files[collection].name, line, became, reason)
        if len(self.shown) < SHOWN:
            self.shown.append(one)
        if self._report is not None:
            said = {"file": one.file, "line": one.line, "became": one.became.value, "reason": one.reason}
            self._report.write(json.dumps(said, ensure_ascii=False) + "\n")

    def note(self, text: str) -> None:
        """Once."""
        if text not in self.notes and len(self.notes) < SHOWN:
            self.notes.append(text)

    @property
    def refused(self) -> int:
        return sum(one[Became.REFUSED] for one in self.counts.values())

    @property
    def unseen(self) -> int:
        """Lines that were not taken and are not in `shown`."""
        return sum(one[Became.REFUSED] + one[Became.LEFT] for one in self.counts.values()) - len(self.shown)

    def rows(self) -> list[str]:
        """A sentence for each file."""
        return [
            f"{self._files[collection].name}: {sum(counts.values()):,} lines"
            + "".join(f", {counts[one]:,} {one.value}" for one in Became if counts[one])
            for collection, counts in self.counts.items()
        ]
