"""What the directories of sites take: counted a little at a time, in a thread of its own.

A directory may have a million files, be on a disk that hangs, or be changed by somebody who wishes us ill. So the count
spends a bounded CPU time per interval and goes on where it was; every directory is opened relative to the one above it
and never through a link; other file systems are left out; and what is asked for is the result of the last whole count,
or what is known until now.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

from vigie_agent.collectors.base import Look, Parts
from vigie_agent.configuration import Site

log = logging.getLogger("vigie_agent")

USAGE: Final = "directory_usage"
"""The part of this name: site -> DirectoryUsage."""
MAX_DEPTH: Final = 100
"""Directories within each other; each is an open file while it is counted."""
MAX_LINKED: Final = 100_000
"""Files with several names that are remembered, so that they count once."""
AGAIN_S: Final = 300.0
"""A directory is counted anew when its last count is older."""
_STEP: Final = 200
"""Entries between two looks at the clock."""
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class DirectoryUsage:
    """Bytes as `du -b` counts files, and how many there are; `problem` when some of it could not be read."""

    bytes: int = 0
    files: int = 0
    complete: bool = False
    problem: str | None = None


class _Counting:
    """One count of one directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.bytes = self.files = self.unreadable = 0
        self.problem: str | None = None
        self._linked: set[int] = set()
        self._steps = self._walk()

    def advance(self, until: float) -> bool:
        """Go on until this CPU time of the thread; whether it is done. Raises OSError when there is no directory."""
        return all(time.thread_time() < until for _ in self._steps)

    def usage(self, *, complete: bool) -> DirectoryUsage:
        problem = self.problem or (f"{self.unreadable} directories cannot be read" if self.unreadable else None)
        return DirectoryUsage(self.bytes, self.files, complete and problem is None, problem)

    def close(self) -> None:
        self._steps.close()

    def _walk(self) -> Generator[None]:
        descriptors = [os.open(self.directory, _FLAGS)]
        try:
            device = os.fstat(descriptors[0]).st_dev
            pending: list[list[str]] = [[]]
            yield from self._list(descriptors[0], device, pending[0])
            while descriptors:
                if not pending[-1]:
                    os.close(descriptors.pop())
                    pending.pop()
                    continue
                name = pending[-1].pop()
                if len(descriptors) >= MAX_DEPTH:
                    self.problem = f"there are more than {MAX_DEPTH} directories within each other"
                    continue
                try:
                    inner = os.open(name, _FLAGS, dir_fd=descriptors[-1])
                except OSError:  # not ours to read, gone, or turned into a link meanwhile
                    self.unreadable += 1
                    continue
                descriptors.append(inner)
                pending.append([])
                if os.fstat(inner).st_dev == device:
                    yield from self._list(inner, device, pending[-1])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _list(self, descriptor: int, device: int, directories: list[str]) -> Generator[None]:
        with os.scandir(descriptor) as entries:
            for number, entry in enumerate(entries, 1):
                if number % _STEP == 0:
                    yield
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:  # gone meanwhile
                    continue
                self._count(found)
        yield

    def _count(self, found: os.stat_result) -> None:
        self.files += 1
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if found.st_ino in self._linked:
                return
            if len(self._linked) < MAX_LINKED:
                self._linked.add(found.st_ino)
        self.bytes += found.st_size


class DirectoryWalk:
    """The counts of all sites, one after the other. `advance` is for one thread."""

    def __init__(self, sites_dir: str = "", again_s: float = AGAIN_S) -> None:
        """`sites_dir`: no directory outside of it is counted; empty: any may be."""
        self._sites_dir, self._again_s = sites_dir, again_s
        self.known: dict[str, DirectoryUsage] = {}
        self._counted_at: dict[str, float] = {}
        self._directories: dict[str, str] = {}
        self._current: tuple[str, _Counting] | None = None

    def advance(self, sites: Sequence[Site], cpu_s: float) -> None:
        """Go on for so much CPU time."""
        self._forget(sites)
        until = time.thread_time() + cpu_s
        while time.thread_time() < until:
            if self._current is None and not self._begin(sites):
                return
            self._go_on(until)

    def close(self) -> None:
        """Give up the count that is under way."""
        if self._current is not None:
            self._current[1].close()
            self._current = None

    def _begin(self, sites: Sequence[Site]) -> bool:
        """Take the site whose count is the oldest. False: all are recent."""
        now = time.monotonic()
        due = [
            site for site in sites
            if site.directory and now - self._counted_at.get(site.id, -self._again_s) >= self._again_s
        ]  # fmt: skip
        if not due:
            return False
        site = min(due, key=lambda one: self._counted_at.get(one.id, float("-inf")))
        self._counted_at[site.id] = now
        if problem := refused(site.directory or "", self._sites_dir):
            self.known[site.id] = DirectoryUsage(problem=problem)
        else:
            self._current = (site.id, _Counting(site.directory or ""))
        return True

    def _go_on(self, until: float) -> None:
        if self._current is None:
            return
        site, counting = self._current
        try:
            done = counting.advance(until)
        except OSError as e:
            self.known[site] = DirectoryUsage(problem=f"{counting.directory}: {e.strerror or e}")
            self.close()
            return
        if done:
            self.known[site] = counting.usage(complete=True)
            self._counted_at[site] = time.monotonic()
            self.close()
            return
        before = self.known.get(site)
        if before is None or not before.complete:
            self.known[site] = counting.usage(complete=False)
        elif before.files:
            self.known[site] = replace(before, problem=None)

    def _forget(self, sites: Sequence[Site]) -> None:
        """Sites that are gone or have moved."""
        now = {site.id: site.directory or "" for site in sites}
        for site in [one for one, directory in self._directories.items() if now.get(one) != directory]:
            self.known.pop(site, None)
            self._counted_at.pop(site, None)
            if self._current is not None and self._current[0] == site:
                self.close()
        self._directories = now


class Directories:
    """A collector: never waits for the disk."""

    name: str = "sites"

    def __init__(self, walk: DirectoryWalk, thread: Executor, cpu_s: float) -> None:
        """`thread` has one thread, for nothing else; `cpu_s` is spent at most in an interval."""
        self._walk, self._thread, self._cpu_s = walk, thread, cpu_s
        self._under_way: Future[None] | None = None

    async def collect(self, look: Look) -> Parts:
        """What is known; and on it goes."""
        if self._under_way is None or self._under_way.done():
            if self._under_way is not None and (error := self._under_way.exception()) is not None:
                log.error("counting files failed unexpectedly", exc_info=error)
            self._under_way = self._thread.submit(self._walk.advance, tuple(look.sites), self._cpu_s)
        else:
            look.missing("sites", "counting files hangs or is slow: the numbers of disks are old")
        return {USAGE: dict(self._walk.known)}


def refused(directory: str, sites_dir: str) -> str | None:
    """Why a directory is not looked at; None when it is."""
    path = PurePath(directory)
    if not path.is_absolute() or ".." in path.parts or "\0" in directory:
        return f"{directory!r} is no absolute path without '..'"
    if sites_dir and not path.is_relative_to(sites_dir):
        return f"{directory} is outside of SITES_DIR ({sites_dir})"
    return None


def usage_of(parts: Mapping[str, object]) -> Mapping[str, DirectoryUsage]:
    """The part, typed."""
    found = parts.get(USAGE)
    return found if isinstance(found, dict) else {}
