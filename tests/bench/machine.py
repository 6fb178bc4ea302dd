"""How fast this machine is at the moment, in the two kinds of work that Vigie does.

Floors are in seconds of the machine on which they were set. Two runs of the bench, on two machines or on a busy one,
can be compared by these figures: divide what each measured by how much slower its machine was.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable

import numpy as np

REPEATS = 5
OBJECTS = 60_000
NUMBERS = 1_000_000


def speed() -> str:
    """One line: CPU milliseconds of fixed work on one core, the best of some tries."""
    return (
        f"machine speed: pure Python {_best(_python):.0f} ms, numpy {_best(_numpy):.0f} ms of one core "
        f"({os.cpu_count()} cores, Python {platform.python_version()})"
    )


def _best(work: Callable[[], object]) -> float:
    return min(_took(work) for _ in range(REPEATS))


def _took(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


def _python() -> int:
    """Objects, strings, dictionaries, calls."""
    counted: dict[str, int] = {}
    for i in range(OBJECTS):
        item = json.loads(f'{{"name": "n{i % 1_000}", "value": {i}}}')
        counted[item["name"]] = counted.get(item["name"], 0) + item["value"]
    return len(counted)


def _numpy() -> float:
    """Hashes sorted, looked up and added up, as samples are folded."""
    hashes = np.arange(NUMBERS, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    order = np.argsort(hashes >> np.uint64(44), kind="stable")
    rows = np.searchsorted(hashes[order[::100]] >> np.uint64(44), hashes >> np.uint64(44))
    return float(np.bincount(rows, weights=hashes.astype(np.float64)).sum())
