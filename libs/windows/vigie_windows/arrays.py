"""Names of the array types used throughout, and the few helpers on sorted arrays that every module needs."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bools: TypeAlias = NDArray[np.bool_]
Bytes: TypeAlias = NDArray[np.uint8]
Int32s: TypeAlias = NDArray[np.int32]
Int64s: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


def strictly_ascending(values: NDArray[Any]) -> bool:
    """Whether each element is greater than the one before it (true for fewer than two)."""
    return bool((values[1:] > values[:-1]).all())


def run_starts(sorted_values: NDArray[Any]) -> Int64s:
    """Positions at which a new value begins in an array whose equal values are neighbours."""
    fresh = np.ones(len(sorted_values), np.bool_)
    np.not_equal(sorted_values[1:], sorted_values[:-1], out=fresh[1:])
    return np.flatnonzero(fresh)
