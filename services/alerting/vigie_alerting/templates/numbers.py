"""Numbers as Prometheus' templates write them, digit by digit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

_LARGE: Final = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_1024: Final = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL: Final = ("m", "u", "n", "p", "f", "a", "z", "y")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_NS: Final = 1 << 63
"""Of a signed 64-bit integer."""
_LAST_YEAR_S: Final = 253_402_300_800
"""What a calendar here can say: the end of the year 9999."""


def number(value: float | None) -> str:
    """As Go prints a float: the shortest text that is this number, with an exponent from 1e6 on and below 1e-4."""
    if value is None:
        return "no data"
    if not math.isfinite(value):
        return _special(value)
    sign, digits, power = Decimal(repr(float(value))).normalize().as_tuple()
    shift = len(digits) - 1 + int(power)
    if value == 0 or -4 <= shift < 6:
        return f"{value:.{max(0, -int(power))}f}"
    head, *tail = map(str, digits)
    fraction = "." + "".join(tail) if tail else ""
    return f"{'-' if sign else ''}{head}{fraction}e{shift:+03d}"


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def four(value: float) -> str:
    """Four significant digits: Go's `%.4g`."""
    return f"{value:.4g}" if math.isfinite(value) else _special(value)


def humanize(value: float) -> str:
    """`1.234k`, `56.7m`: with a metric prefix."""
    if value == 0 or not math.isfinite(value):
        return four(value)
    if abs(value) >= 1:
        return _divided(value, 1000, _LARGE)
    scaled, prefix = _multiplied(value)
    return four(scaled) + prefix


def humanize1024(value: float) -> str:
    """`1.5Mi`: with a binary prefix."""
    if abs(value) <= 1 or not math.isfinite(value):
        return four(value)
    return _divided(value, 1024, _LARGE_1024)


def humanize_percentage(value: float) -> str:
    """A ratio in percent: 0.1234 is `12.34%`."""
    return f"{four(value * 100)}%"


def humanize_duration(value: float) -> str:
    """Seconds as `1d 2h 3m 4s`, or `12.5ms`."""
    if not math.isfinite(value):
        return four(value)
    if value == 0:
        return f"{four(value)}s"
    if abs(value) < 1:
        scaled, prefix = _multiplied(value)
        return f"{four(scaled)}{prefix}s"
    if abs(value) >= _MAX_NS:  # Prometheus writes what is left of an overflow
        return f"{four(value)}s"
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole = int(value)
    days, hours, minutes, seconds = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{four(value)}s"


def humanize_timestamp(value: float) -> str:
    """Unix seconds as `2026-01-31 12:00:00 +0000 UTC`. Raises ValueError where there is no such time."""
    if not math.isfinite(value):
        return four(value)
    if abs(value * 1e9) >= _MAX_NS or not -62_135_596_800 <= value < _LAST_YEAR_S:
        raise ValueError(f"{number(value)} is no time that can be written")
    milliseconds = int(int(value * 1e9) / 1_000_000)
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    fraction = f".{milliseconds % 1000:03d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def _divided(value: float, base: int, prefixes: Sequence[str]) -> str:
    prefix = ""
    for larger in prefixes:
        if abs(value) < base:
            break
        prefix, value = larger, value / base
    return four(value) + prefix


def _multiplied(value: float) -> tuple[float, str]:
    prefix = ""
    for smaller in _SMALL:
        if abs(value) >= 1:
            break
        prefix, value = smaller, value * 1000
    return value, prefix
