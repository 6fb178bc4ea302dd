"""Functions of one value at a time: arithmetic, and the parts of a date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vigie_query.promql.samples import Floats

Function: TypeAlias = Callable[[Floats], Floats]

_DAY_S: Final = 86_400


def clamp(values: Floats, low: Floats, high: Floats) -> Floats:
    """NaN bounds make NaN, as `max(low, min(high, value))` in Go does."""
    return np.maximum(low, np.minimum(high, values))


def rounded(values: Floats, nearest: Floats) -> Floats:
    """To a multiple of `nearest`; half-way cases up."""
    inverse = 1.0 / nearest
    return np.floor(values * inverse + 0.5) / inverse


def _dates(seconds: Floats) -> npt.NDArray[np.datetime64]:
    """NaN and what no calendar holds as NaT."""
    fits = np.abs(seconds) < 1e15
    whole = np.where(fits, seconds, 0).astype(np.int64)
    return np.where(fits, whole.astype("datetime64[s]"), np.datetime64("NaT"))


def _part(take: Callable[[npt.NDArray[np.datetime64]], npt.NDArray[np.generic]]) -> Function:
    def part(seconds: Floats) -> Floats:
        dates = _dates(seconds)
        return np.where(np.isnat(dates), np.nan, take(dates).astype(np.float64))

    return part


def _of(unit: str, within: str, one: int = 0) -> Function:
    """How many units have gone by in the larger one."""
    return _part(lambda dates: (dates.astype(f"M8[{unit}]") - dates.astype(f"M8[{within}]")).astype(np.int64) + one)


def _days_in_month(dates: npt.NDArray[np.datetime64]) -> npt.NDArray[np.generic]:
    month = dates.astype("M8[M]")
    return ((month + 1).astype("M8[D]") - month.astype("M8[D]")).astype(np.int64)


ARITHMETIC: Final[dict[str, Function]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": lambda values: np.where(values == 0, values, np.sign(values)),  # of -0 it is -0
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "cos": np.cos,
    "cosh": np.cosh,
    "sin": np.sin,
    "sinh": np.sinh,
    "tan": np.tan,
    "tanh": np.tanh,
    "deg": np.degrees,
    "rad": np.radians,
}
DATES: Final[dict[str, Function]] = {
    "minute": _of("m", "h"),
    "hour": _of("h", "D"),
    "day_of_week": _part(lambda dates: (dates.astype("M8[D]").astype(np.int64) + 4) % 7),  # 1970 began on a Thursday
    "day_of_month": _of("D", "M", 1),
    "day_of_year": _of("D", "Y", 1),
    "days_in_month": _part(_days_in_month),
    "month": _of("M", "Y", 1),
    "year": _part(lambda dates: dates.astype("M8[Y]").astype(np.int64) + 1970),
}
"""Of Unix seconds, in UTC; of the time of the step when there is no argument."""
