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
    text = repr(value).removesuffix(".0")
    exponent = math.floor(math.log10(abs(value))) if value else 0
    if -4 <= exponent < 21:
        return np.format_float_positional(value, trim="-")
    mantissa, _, power = (text if "e" in text else f"{value:e}").partition("e")
    return f"{mantissa}e{int(power):+03d}"
