"""A group's consumer that no record can stop: what the Kafka client itself cannot read comes as a stub.

For readers that are not `vigie_runtime.bus.log_reader`: FastStream's, whose loop would lose what was read together with
such a record, and acknowledge it with the next batch.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from vigie_runtime import logging
from vigie_runtime.bus.unreadable import Search, stub
from vigie_runtime.clients import (
    Consumer,
    CorruptRecordException,
    IllegalStateError,
    KafkaRecord,
    TopicPartition,
)
from vigie_runtime.errors import reason_of

log = logging.get(__name__)

IDLE_POLL_MS: Final = 500
"""The least wait while there is nothing: what comes is handed out at once. FastStream alone would ask dozens of times a
second."""
SEARCH_POLL_MS: Final = 500
"""How long one partition alone is asked while a record is searched for."""


class PoisonSkippingConsumer(Consumer):
    """Reads one topic. Its user has stored, and then acknowledged, all that it was handed before it asks for more:
    then whatever was read in vain begins where the group has acknowledged, and to see some of it twice is harmless."""

    def __init__(self, *topics: str, **options: Any) -> None:
        super().__init__(*topics, **options)
        self._search = Search()
        self._rewind_due = False

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[KafkaRecord]]:
        """As `Consumer.getmany`. May give nothing at all."""
        # The client moves on behind what it has read before it fails, and the next acknowledgement would cover that:
        # so nothing is handed out before all partitions are back where the group is, even if that takes several calls.
        if self._rewind_due:
            await self._rewind()
        tps = {tp.partition: tp for tp in partitions or self.assignment()}
        timeout_ms = max(timeout_ms, IDLE_POLL_MS)
        suspect = self._search.suspect(tps)
        if suspect is not None:
            partitions, timeout_ms = (tps[suspect],), max(timeout_ms, SEARCH_POLL_MS)
        self._rewind_due = True
        try:
            limit = self._search.max_records or max_records
            found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=limit)
        except (UnicodeDecodeError, CorruptRecordException) as e:
            return await self._unreadable(reason_of(e))
        self._rewind_due = False
        self._search.passed(sum(map(len, found.values())))
        return found

    async def _rewind(self) -> dict[TopicPartition, int]:
        """Begin again where the group has acknowledged, in every partition."""
        offsets: dict[TopicPartition, int] = {}
        for tp in self.assignment():
            with suppress(IllegalStateError):  # taken away meanwhile
                begins = (await self.beginning_offsets([tp]))[tp]
                offsets[tp] = max(begins, await self.committed(tp) or 0)
                self.seek(tp, offsets[tp])
        self._rewind_due = False
        return offsets

    async def _unreadable(self, reason: str) -> dict[TopicPartition, list[KafkaRecord]]:
        offsets = await self._rewind()
        tps = {tp.partition: tp for tp in offsets}
        partition = self._search.failed(tps)
        if partition is None or partition not in tps:
            return {}
        tp, offset = tps[partition], offsets[tps[partition]]
        log.error(
            "a record cannot be read, it is passed over",
            topic=tp.topic, partition=partition, offset=offset, reason=reason,
        )  # fmt: skip
        with suppress(IllegalStateError):
            self.seek(tp, offset + 1)
        return {tp: [stub(tp.topic, partition, offset, reason)]}
