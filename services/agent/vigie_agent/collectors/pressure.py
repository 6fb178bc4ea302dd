"""`/proc/pressure`: how long tasks waited for CPU, memory and disks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vigie_contracts.hosts import Pressure, PressureOf, Stall

from vigie_agent.collectors.base import Look, Parts

DIRECTORY: Final = Path("/proc/pressure")
_MAX_CHARS: Final = 4_096


class PressureFiles:
    """`directory` holds the files `cpu`, `memory` and `io`."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory

    def read(self, look: Look) -> Parts:
        """`pressure`; a kernel may have been built or started without."""
        found: dict[str, PressureOf] = {}
        for resource in ("cpu", "memory", "io"):
            try:
                with (self._directory / resource).open(encoding="ascii") as file:
                    found[resource] = parse(file.read(_MAX_CHARS))
            except (OSError, ValueError) as e:
                look.missing(f"pressure.{resource}", getattr(e, "strerror", None) or e)
        return {"pressure": Pressure(**found) if found else None}


def parse(text: str) -> PressureOf:
    """Of the two lines of a file. Raises ValueError for other text."""
    found: dict[str, Stall] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs)
        if kind in {"some", "full"} and {"avg10", "avg60"} <= values.keys():
            found[kind] = Stall(avg10=float(values["avg10"]), avg60=float(values["avg60"]))
    if not found:
        raise ValueError("the file is not one of /proc/pressure")
    return PressureOf(some=found.get("some"), full=found.get("full"))
