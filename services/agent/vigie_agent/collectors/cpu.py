"""CPU: percent in all and per core between two looks, model, load."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Final

import psutil
from vigie_contracts.hosts import MAX_CORES, MAX_TEXT_CHARS, Cpu, LoadAverage

from vigie_agent.collectors.base import Look, Parts

FIRST_LOOK_S: Final = 0.2


class Processors:
    """Remembers the times of the look before."""

    def __init__(self) -> None:
        self._before = _times()
        self._at = time.monotonic()
        self._model = _model()

    def read(self, look: Look) -> Parts:
        """`cpu`."""
        if (elapsed := time.monotonic() - self._at) < FIRST_LOOK_S:
            time.sleep(FIRST_LOOK_S - elapsed)  # in a thread; two looks at once would show nothing
        now = _times()
        before, self._before, self._at = self._before, now, time.monotonic()
        if len(before) != len(now):  # a core came or went
            before = [(0.0, 0.0)] * len(now)
        spent = [(b - pb, t - pt) for (b, t), (pb, pt) in zip(now, before, strict=True)]
        cores = [_percent(busy, total) for busy, total in spent]
        busy, total = sum(b for b, _ in spent), sum(t for _, t in spent)
        return {
            "cpu": Cpu(
                percent=_percent(busy, total),
                per_core=cores[:MAX_CORES],
                cores=len(cores),
                model=self._model,
                load_avg=_load(look),
            )
        }


def _times() -> list[tuple[float, float]]:
    """(busy, all) seconds of each core. Guests are in `user` already."""
    return [_busy_and_all(core) for core in psutil.cpu_times(percpu=True)]


def _busy_and_all(core: Any) -> tuple[float, float]:
    fields: dict[str, float] = core._asdict()
    total = sum(value for name, value in fields.items() if not name.startswith("guest"))
    return total - fields.get("idle", 0.0) - fields.get("iowait", 0.0), total


def _percent(busy: float, total: float) -> float:
    return round(min(100.0, max(0.0, 100.0 * busy / total)), 1) if total > 0 else 0.0


def _load(look: Look) -> LoadAverage | None:
    try:
        one, five, fifteen = os.getloadavg()
    except OSError as e:
        look.missing("cpu.loadAvg", e)
        return None
    return LoadAverage(one=round(one, 2), five=round(five, 2), fifteen=round(fifteen, 2))


def _model() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines: Sequence[str] = file.read(16_384).splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model", "cpu model"}:
            return value.strip()[:MAX_TEXT_CHARS] or None
    return None
