"""What a series measures, as far as window arithmetic must know."""

from enum import IntEnum

import numpy as np

from vigie_windows.arrays import Bools, Bytes


class Kind(IntEnum):
    """The kind of a row; stored as one uint8 per row and per cell."""

    GAUGE = 0
    COUNTER = 1
    """A delta counter: every sample is an increase."""
    CUMULATIVE = 2
    """A counter that only grows, except when its process restarts."""
    HISTOGRAM = 3
    """Observations whose distribution matters."""


KINDS = len(Kind)
_SKETCHED = np.array([kind in (Kind.GAUGE, Kind.HISTOGRAM) for kind in Kind])


def sketched(kinds: Bytes) -> Bools:
    """For each kind, whether its cells keep a percentile sketch."""
    return _SKETCHED[kinds]
