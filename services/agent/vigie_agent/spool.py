"""Reports on their way: a file for each, compressed, until Vigie has it. Survives restarts; bounded, oldest dropped.

A file is written beside its place and renamed, and not forced to the disk: after a power cut the last ones may be
damaged, which is noticed and counted. When the disk is full or broken, reports wait in memory instead.
"""

from __future__ import annotations

import logging
import os
import re
import zlib
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from vigie_contracts.hosts import MAX_REPORT_BYTES

log = logging.getLogger("vigie_agent")

MEMORY_BYTES: Final = 4 * 1024 * 1024
"""Of compressed reports that wait in memory."""
_NAME: Final = re.compile(r"(\d{13,16})\.z\Z")
_PARTIAL: Final = ".partial"
_LEVEL: Final = 3


class Lost(StrEnum):
    """Why a report is given up: the same word in the log, in `status` and in the next report."""

    FULL = "full"
    """There was no more room; the oldest went."""
    DAMAGED = "damaged"
    """Its file cannot be read."""
    REFUSED = "refused"
    """Vigie does not take it, whenever it is sent."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A report that was taken out to be sent; it waits until it is removed."""

    timestamp: int
    body: bytes


class Spool:
    """Oldest first, one report for a timestamp. For one thread at a time."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        """`max_bytes` of files, at most. The directory is made when it is needed."""
        self._directory, self._max_bytes = directory, max_bytes
        self._sizes: dict[int, int] = {}
        self._memory: dict[int, bytes] = {}
        self._order: list[int] = []
        self.lost = Counter[Lost]()
        """Since the start."""
        self.problem: str | None = None
        """Why the disk is not used; None while it is."""
        self._find()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def bytes(self) -> int:
        """What waits takes on the disk."""
        return sum(self._sizes.values())

    @property
    def oldest(self) -> int | None:
        """The timestamp of the oldest report that waits."""
        return self._order[0] if self._order else None

    def put(self, timestamp: int, body: bytes) -> None:
        """Let a report wait; one of the same timestamp takes the place of another."""
        packed = zlib.compress(body, _LEVEL)
        self._forget(timestamp)
        insort(self._order, timestamp)
        if self._write(timestamp, packed):
            self._sizes[timestamp] = len(packed)
            self._make_room()
            self._move_to_disk()
        else:
            self._memory[timestamp] = packed
            self._make_room_in_memory()

    def take(self, most: int, most_bytes: int) -> list[Waiting]:
        """The oldest reports, at least one if there is one that can be read; they go on waiting."""
        taken: list[Waiting] = []
        size = 0
        for timestamp in list(self._order):
            if len(taken) >= most:
                break
            body = self._read(timestamp)
            if body is None:
                self._lose(timestamp, Lost.DAMAGED)
                continue
            size += len(body)
            if taken and size > most_bytes:
                break
            taken.append(Waiting(timestamp, body))
        return taken

    def remove(self, timestamps: Sequence[int]) -> None:
        """These have arrived."""
        for timestamp in timestamps:
            self._forget(timestamp)

    def refuse(self, timestamps: Sequence[int]) -> None:
        """These will never be taken."""
        for timestamp in timestamps:
            self._lose(timestamp, Lost.REFUSED)

    def _find(self) -> None:
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if match := _NAME.match(entry.name):
                        self._sizes[int(match[1])] = entry.stat(follow_symlinks=False).st_size
                    elif entry.name.endswith(_PARTIAL):
                        os.unlink(entry.path)
        except FileNotFoundError:
            return
        except OSError as e:
            self._failed(e)
        self._order = sorted(self._sizes)
        self._make_room()

    def _file(self, timestamp: int) -> Path:
        return self._directory / f"{timestamp:013d}.z"

    def _write(self, timestamp: int, packed: bytes) -> bool:
        file = self._file(timestamp)
        partial = file.with_suffix(_PARTIAL)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with partial.open("wb") as out:
                out.write(packed)
            os.replace(partial, file)
        except OSError as e:
            self._failed(e)
            try:
                partial.unlink(missing_ok=True)
            except OSError:
                log.debug("a part of a file stays behind: %s", partial)
            return False
        if self.problem is not None:
            log.info("reports wait on the disk again")
            self.problem = None
        return True

    def _read(self, timestamp: int) -> bytes | None:
        packed = self._memory.get(timestamp)
        try:
            if packed is None:
                packed = self._file(timestamp).read_bytes()
            unpacking = zlib.decompressobj()
            body = unpacking.decompress(packed, MAX_REPORT_BYTES + 1)
        except (OSError, zlib.error):
            return None
        whole = unpacking.eof and len(body) <= MAX_REPORT_BYTES
        return body if whole and body[:1] == b"{" and body[-1:] == b"}" else None

    def _make_room(self) -> None:
        total = self.bytes
        for timestamp in list(self._order):
            if total <= self._max_bytes:
                return
            total -= self._sizes.get(timestamp, 0)
            if timestamp in self._sizes:
                self._lose(timestamp, Lost.FULL)

    def _make_room_in_memory(self) -> None:
        total = sum(map(len, self._memory.values()))
        for timestamp in sorted(self._memory):
            if total <= MEMORY_BYTES:
                return
            total -= len(self._memory[timestamp])
            self._lose(timestamp, Lost.FULL)

    def _move_to_disk(self) -> None:
        for timestamp in sorted(self._memory):
            packed = self._memory[timestamp]
            if not self._write(timestamp, packed):
                return
            del self._memory[timestamp]
            self._sizes[timestamp] = len(packed)
        self._make_room()

    def _lose(self, timestamp: int, why: Lost) -> None:
        self._forget(timestamp)
        self.lost[why] += 1
        log.warning("a report was given up (%s), %d so far", why.value, self.lost[why])

    def _forget(self, timestamp: int) -> None:
        if timestamp not in self._sizes and timestamp not in self._memory:
            return
        self._order.remove(timestamp)
        self._memory.pop(timestamp, None)
        if self._sizes.pop(timestamp, None) is not None:
            try:
                self._file(timestamp).unlink(missing_ok=True)
            except OSError as e:  # a disk that takes nothing: it may be sent again, which harms nobody
                self._failed(e)

    def _failed(self, error: OSError) -> None:
        if self.problem is None:
            log.warning("reports cannot wait on the disk, and wait in memory: %s", error)
        self.problem = error.strerror or str(error)
