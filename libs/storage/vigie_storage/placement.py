"""Where series live, in columns: what a reader of the samples log needs of the catalogue, and in that shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class SeriesPlacement:
    """Where series of one tenant, partition and kind live, from the catalogue: `ordinals[i]` of `fingerprints[i]`."""

    tenant: str
    partition: int
    kind: int
    """Of `vigie_contracts.series.Kind`."""
    fingerprints: npt.NDArray[np.uint64]
    ordinals: npt.NDArray[np.int64]
