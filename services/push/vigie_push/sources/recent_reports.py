"""The reports of the last minute, as they were read of the log: the store has each only some time later."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from vigie_contracts.reports import Report, record_key
from vigie_contracts.tenants import TenantId
from vigie_runtime.bus import decoding
from vigie_runtime.clients import KafkaRecord
from vigie_runtime.errors import InvalidMessage

REMEMBERED_MS: Final = 60_000
MAX_REMEMBERED: Final = 5_000
MAX_REMEMBERED_BYTES: Final = 32 * 1024 * 1024
_read: Final = decoding.json(Report)


class _Kept(NamedTuple):
    key: bytes
    record: KafkaRecord
    size: int


class RecentReports:
    """Filled by the one who reads the log. For one event loop."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._bytes = 0

    def add(self, record: KafkaRecord) -> None:
        """The next one of the log."""
        size = len(record.value or b"")
        self._kept.append(_Kept(record.key or b"", record, size))
        self._bytes += size

    def forget(self, now_ms: int) -> None:
        """Those that are over a minute old, or too many."""
        while self._kept and (
            self._kept[0].record.timestamp < now_ms - REMEMBERED_MS
            or len(self._kept) > MAX_REMEMBERED
            or self._bytes > MAX_REMEMBERED_BYTES
        ):
            self._bytes -= self._kept.popleft().size

    def of(self, tenant: TenantId, kind: str, subject: str) -> list[Report]:
        """Of a subject, in the order of the log."""
        key = record_key(tenant, subject)
        found = [report for kept in self._kept if kept.key == key and (report := read(kept.record)) is not None]
        return [report for report in found if (report.tenant, report.kind) == (tenant, kind)]


def read(record: KafkaRecord) -> Report | None:
    """None for what nobody can read: the aggregator sets it aside."""
    try:
        return _read(record)
    except InvalidMessage:
        return None
