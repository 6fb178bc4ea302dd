"""How much of an error budget is left. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vigie_contracts.series import Labels

from vigie_alerting.slos.compiling import burns
from vigie_alerting.slos.model import Slo


@dataclass(frozen=True, slots=True)
class Budget:
    """Of one group of labels, over the window of the objective."""

    labels: Labels
    total: float
    """Events."""
    errors: float
    """Those that failed."""
    reached: float | None
    """Percent that were good; None where there were no events."""
    allowed: float
    """Events that may fail."""
    left: float
    """The part of the budget that is left: 1 when nothing failed, below 0 when the objective is missed."""
    burn_rates: Mapping[int, float | None]
    """By the length of the window, milliseconds: 1 uses the budget up just at the end of the objective's window. None
    where there were no events."""
    exhausted_ms: int | None
    """When it would be used up if it burned on as in the last hour (of an objective over a month); None: it would not
    be, or it is already."""


def budget(slo: Slo, labels: Labels, total_rate: float, errors: Mapping[int, float], now_ms: int) -> Budget:
    """total_rate: events per second over the objective's window. errors: by window, milliseconds, the part of its
    events that failed; a window is missing where there were none."""
    failed = errors.get(slo.window_ms)
    total = total_rate * slo.window_ms / 1000
    rates = {length: None if part is None else part / slo.budget for length, part in _parts(slo, errors).items()}
    left = 1.0 if failed is None else 1 - failed / slo.budget
    burning = rates[burns(slo.window_ms)[0].long_ms]
    return Budget(
        labels,
        total=total,
        errors=total * (failed or 0.0),
        reached=None if failed is None else 100 * (1 - failed),
        allowed=total * slo.budget,
        left=left,
        burn_rates=rates,
        exhausted_ms=_exhausted(slo, left, burning, now_ms),
    )


def _parts(slo: Slo, errors: Mapping[int, float]) -> dict[int, float | None]:
    lengths = sorted({length for one in burns(slo.window_ms) for length in (one.long_ms, one.short_ms)})
    return {length: errors.get(length) for length in lengths}


def _exhausted(slo: Slo, left: float, burning: float | None, now_ms: int) -> int | None:
    """What leaves the window meanwhile is not given back here: it would be so soon at the latest."""
    if burning is None or not math.isfinite(burning) or burning <= 1 or left <= 0:
        return None
    return now_ms + round(left * slo.window_ms / burning)
