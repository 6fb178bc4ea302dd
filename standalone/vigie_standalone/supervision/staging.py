"""Statistics in the order of their times, whatever order the dump has: on the disk, so that memory is bounded.

What the server and its sites said in one collection becomes one report. A line belongs to the statistics of the server
that are nearest to it; what has no place there becomes a report of its own time. So each line is in one report, and
always in the same: what a later dump says again was counted, and adds nothing.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from vigie_contracts.hosts import MAX_INTERVAL_S, MAX_SITES

from vigie_standalone.history.reading import FileError

NEAR_MS = MAX_INTERVAL_S * 1000
_MAX_MS = (1 << 63) - 1


@dataclass(frozen=True)
class Staged:
    """One report to be. `lines`: of the server (0: none), then of each of `sites`."""

    at_ms: int
    parts: dict[str, Any]
    server_line: int
    sites: list[dict[str, Any]]
    site_lines: list[int]


@dataclass(frozen=True)
class LeftOut:
    """Lines that are in no report: `server` says of which file."""

    server: bool
    line: int
    reason: str


BEFORE = "is older than the first statistics of the server in this dump"
NEWEST = "belongs to the newest collection, which this dump may have in part: --whole takes it"


class Staging(AbstractContextManager["Staging"]):
    """For one import."""

    def __init__(self) -> None:
        """Raises FileError when there is no room."""
        self._directory = TemporaryDirectory(prefix="vigie-import-")
        self._db = sqlite3.connect(Path(self._directory.name) / "stats", isolation_level=None)
        for text in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE server (at INTEGER PRIMARY KEY, line INTEGER, body TEXT)",
            "CREATE TABLE site (at INTEGER, site TEXT, line INTEGER, body TEXT, PRIMARY KEY (at, site)) WITHOUT ROWID",
            "BEGIN",
        ):
            self._run(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._directory.cleanup()

    def server(self, at_ms: int, line: int, parts: dict[str, Any]) -> int:
        """Keep it; the line that has said something of the same time before, 0: none. Raises FileError."""
        made = self._run("INSERT OR IGNORE INTO server VALUES (?, ?, ?)", at_ms, line, json.dumps(parts))
        return 0 if made.rowcount else int(self._run("SELECT line FROM server WHERE at = ?", at_ms).fetchone()[0])

    def site(self, at_ms: int, line: int, part: dict[str, Any]) -> int:
        """The same of a site."""
        name = part["site"]
        made = self._run("INSERT OR IGNORE INTO site VALUES (?, ?, ?, ?)", at_ms, name, line, json.dumps(part))
        if made.rowcount:
            return 0
        return int(self._run("SELECT line FROM site WHERE at = ? AND site = ?", at_ms, name).fetchone()[0])

    def reports(self, *, whole: bool) -> Iterator[Staged | LeftOut]:
        """In the order of their times. `whole`: nothing more comes, so that the newest collection is complete. Raises
        FileError."""
        first = self._run("SELECT min(at) FROM server").fetchone()[0]
        if first is None:
            yield from self._left(0, _MAX_MS, "no statistics of the server are beside it")
            return
        yield from self._left(0, first, BEFORE)
        cut = _MAX_MS if whole else self._newest()
        servers = self._run("SELECT at, line, body FROM server ORDER BY at")
        at, line, body = servers.fetchone()
        begin = first
        while True:
            after = servers.fetchone()
            end = _MAX_MS if after is None else (at + after[0]) // 2 + 1
            if at >= cut:
                yield LeftOut(True, line, NEWEST)
                yield from self._left(begin, end, NEWEST)
            else:
                yield from self._of(Staged(at, json.loads(body), line, [], []), begin, end)
            if after is None:
                return
            begin, (at, line, body) = end, after

    def _newest(self) -> int:
        """The statistics of the server from which on a later dump may say more."""
        last = int(self._run("SELECT max(at) FROM server").fetchone()[0])
        sites = self._run("SELECT max(at) FROM site").fetchone()[0]
        if sites is None or sites >= last:
            return last
        # Exported before those of the server: of the collections since then nothing is known.
        found = self._run("SELECT max(at) FROM server WHERE at <= ?", sites).fetchone()[0]
        return last if found is None else int(found)

    def _of(self, report: Staged, begin: int, end: int) -> Iterator[Staged | LeftOut]:
        near, far = report.at_ms - NEAR_MS, report.at_ms + NEAR_MS
        yield from self._alone(begin, min(near, end))
        parts = [
            (abs(at - report.at_ms), at, line, json.loads(body))
            for at, line, body in self._between(max(begin, near), min(end, far))
        ]
        alone: list[tuple[int, int, dict[str, Any]]] = []
        named: set[str] = set()
        for _, at, line, part in sorted(parts, key=lambda one: one[:3]):
            if part["site"] in named:
                alone.append((at, line, part))
            elif len(named) == MAX_SITES:
                yield LeftOut(False, line, f"is of more than {MAX_SITES} sites in one collection")
            else:
                named.add(part["site"])
                report.sites.append(part)
                report.site_lines.append(line)
        others = list(_gathered(sorted(alone, key=lambda one: one[:2])))
        yield from (one for one in others if one.at_ms < report.at_ms)
        yield report
        yield from (one for one in others if one.at_ms > report.at_ms)
        yield from self._alone(max(far, begin), end)

    def _alone(self, begin: int, end: int) -> Iterator[Staged]:
        """What is far from all statistics of the server."""
        return _gathered((at, line, json.loads(body)) for at, line, body in self._between(begin, end))

    def _left(self, begin: int, end: int, reason: str) -> Iterator[LeftOut]:
        for _, line, _ in self._between(begin, end):
            yield LeftOut(False, line, reason)

    def _between(self, begin: int, end: int) -> Iterator[tuple[int, int, str]]:
        return iter(self._run("SELECT at, line, body FROM site WHERE at >= ? AND at < ? ORDER BY at, site", begin, end))

    def _run(self, text: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._db.execute(text, values)
        except sqlite3.Error as error:
            raise FileError(f"Statistics cannot be put in order in {self._directory.name}: {error}.") from None


def _gathered(parts: Iterable[tuple[int, int, dict[str, Any]]]) -> Iterator[Staged]:
    """A report for each time; parts in the order of theirs."""
    made: Staged | None = None
    for at, line, part in parts:
        if made is None or made.at_ms != at:
            if made is not None:
                yield made
            made = Staged(at, {}, 0, [], [])
        made.sites.append(part)
        made.site_lines.append(line)
    if made is not None:
        yield made
