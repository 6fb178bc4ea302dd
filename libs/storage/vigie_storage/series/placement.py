"""Where series live, in columns: what a reader of the samples log needs of the catalogue, and in that shape."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from vigie_contracts.series import kind_of
from vigie_runtime.clients import Document

# MongoDB makes the columns: one document per series costs ten times as much here, and a reader that starts with 200,000
# series would spend more on this than on counting.
COLUMNS: Final[Document] = {
    "$group": {
        "_id": {"tenant": "$tenant", "partition": "$partition", "type": "$type", "temporality": "$temporality"},
        "fingerprints": {"$push": "$_id"},
        "ordinals": {"$push": "$ordinal"},
    }
}
"""The stage of a pipeline that makes of series what `parse` reads."""


@dataclass(frozen=True, slots=True)
class SeriesPlacement:
    """Where series of one tenant, partition and kind live, from the catalogue: `ordinals[i]` of `fingerprints[i]`."""

    tenant: str
    partition: int
    kind: int
    """Of `vigie_contracts.series.Kind`."""
    fingerprints: npt.NDArray[np.uint64]
    ordinals: npt.NDArray[np.int64]


def parse(document: Mapping[str, Any]) -> SeriesPlacement:
    """One group of `COLUMNS`."""
    of = document["_id"]
    return SeriesPlacement(
        tenant=of["tenant"],
        partition=int(of["partition"]),
        kind=int(kind_of(of["type"], of.get("temporality"))),
        # By way of `array`: numpy takes three times as long over bson's own kind of int.
        fingerprints=np.frombuffer(array("q", document["fingerprints"]), np.uint64),
        ordinals=np.frombuffer(array("q", document["ordinals"]), np.int64),
    )
