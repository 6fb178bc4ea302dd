"""Volumes: space, inodes, and what their devices have read and written."""

from __future__ import annotations

import os
from typing import Final

import psutil
from vigie_contracts.hosts import MAX_DISKS, Disk, Volume

from vigie_agent.collectors.base import Look, Parts, readable

_OF_IMAGES: Final = frozenset({"squashfs", "iso9660", "erofs"})
"""Read-only images: full by nature, and an alert on them means nothing."""
_MOST_INODES: Final = 1 << 53
"""Beyond it a number is no longer exact in JSON."""


class Disks:
    """`main` is the path whose volume is the host's disk."""

    def __init__(self, main: str) -> None:
        self._main = main or os.sep

    def read(self, look: Look) -> Parts:
        """`disk` and `disks`."""
        return {"disk": self._volume(look), "disks": _mounted(look)}

    def _volume(self, look: Look) -> Volume | None:
        try:
            usage = psutil.disk_usage(self._main)
        except OSError as e:
            look.missing("disk", f"{self._main}: {e.strerror or e}")
            return None
        return Volume(total=usage.total, used=usage.used, free=usage.free, percent=usage.percent)


def _mounted(look: Look) -> list[Disk]:
    io = psutil.disk_io_counters(perdisk=True) or {}
    found: dict[str, Disk] = {}
    for part in psutil.disk_partitions(all=False):
        if part.fstype in _OF_IMAGES or part.device in found or len(found) >= MAX_DISKS:
            continue  # of a device that is mounted several times the first place counts
        try:
            space = os.statvfs(part.mountpoint)
        except OSError as e:
            look.missing(f"disks.{part.mountpoint}", e.strerror or e)
            continue
        total, free, available = (n * space.f_frsize for n in (space.f_blocks, space.f_bfree, space.f_bavail))
        used = total - free
        counted = space.f_files < _MOST_INODES  # some file systems say that they have no end
        counters = io.get(os.path.basename(os.path.realpath(part.device)))
        found[part.device] = Disk(
            mount=readable(part.mountpoint),
            device=readable(part.device),
            fs_type=readable(part.fstype),
            total=total,
            used=used,
            free=available,
            percent=round(100.0 * used / (used + available), 1) if used + available else 0.0,
            inodes_total=space.f_files if counted else None,
            inodes_used=max(0, space.f_files - space.f_ffree) if counted else None,
            read_bytes=counters.read_bytes if counters else None,
            write_bytes=counters.write_bytes if counters else None,
        )
    return list(found.values())
