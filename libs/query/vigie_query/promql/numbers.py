"""How numbers are written."""

from __future__ import annotations

import math

import numpy as np


def number_text(value: float) -> str:
    """As Prometheus writes a value: all digits, no exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")


def short_text(value: float) -> str:
    """As Go's `%g` does: as few digits as tell it from all others, with an exponent where it is large or small."""
    if not math.isfinite(value):
        return number_text(value)
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return number_text(value)
    return np.format_float_scientific(value, trim="-", exp_digits=2)
