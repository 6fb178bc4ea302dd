"""Samples of repeated requests, told apart by their keys as the aggregator does, as far back as is remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from vigie_contracts.limits import IDEMPOTENCY_TTL_S
from vigie_contracts.samples import JoinedBatches
from vigie_runtime.clients import KafkaRecord
from vigie_storage.partitions.document import FirstUse

REMEMBERED: Final = 200_000
"""Keys; a repeat of an older one counts again in what rules look at, until that is past."""
FROM_BEFORE: Final = 20_000
"""Of these, at the start: senders repeat a request within seconds, also when there was a restart between."""


class _Use(NamedTuple):
    partition: int
    offset: int
    received_ms: int


class RequestKeys:
    """The keys that came lately, and the record of each partition that carried them first."""

    def __init__(self) -> None:
        self._uses: OrderedDict[tuple[int, bytes], _Use] = OrderedDict()

    def remember(self, keys: Iterable[tuple[int, bytes, FirstUse]]) -> None:
        """Keys that were counted before this process began: partition, key and first use. The last ones first."""
        for partition, key, use in reversed(list(keys)):
            self._uses[partition, key] = _Use(partition, use.offset, use.received_ms)

    def first(self, records: Sequence[KafkaRecord], joined: JoinedBatches) -> npt.NDArray[np.bool_]:
        """[samples]: which are no repeats. records: those that were joined."""
        counts = np.ones(len(joined), np.bool_)
        begins = np.append(0, joined.ends)
        for one in joined.keyed:
            record = records[one.record]
            repeated: list[int] = []
            met: set[bytes] = set()
            for position, (key, received_ms) in enumerate(zip(one.keys, one.key_times, strict=True)):
                use = _Use(record.partition, record.offset, received_ms or record.timestamp)
                if key in met or self._repeats(key, use):
                    repeated.append(position)
                met.add(key)
            if repeated:
                counts[begins[one.record] : begins[one.record + 1]] = ~np.isin(one.key_index, repeated)
        return counts

    def _repeats(self, key: bytes, use: _Use) -> bool:
        before = self._uses.get((use.partition, key))
        if before is None or use.received_ms - before.received_ms >= IDEMPOTENCY_TTL_S * 1000:
            self._uses[use.partition, key] = use
            if len(self._uses) > REMEMBERED:
                self._uses.popitem(last=False)
            return False
        return before.offset < use.offset
