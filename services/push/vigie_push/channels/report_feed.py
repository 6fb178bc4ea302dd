"""What the channels of reports have in common: the newest report of a subject, then each one as it comes.

- First comes the newest report. After a cursor come those since it instead, at most MAX_MISSED, the oldest first.
- Then every report, also one that is late. The conflation key is the subject: of one that reports faster than a client
  reads, the client gets the newest report. What is late has a key of its own, and is not repeated after a cursor.
- Reports come from the end of the log; what the log does not give is read of MongoDB.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from vigie_contracts.reports import Report
from vigie_contracts.tenants import TenantId
from vigie_storage.hosts.newest import NewestHostReports
from vigie_storage.reports.newest import NewestReports

from vigie_push.channels import cursors
from vigie_push.channels.base import ChannelMessage, Cursor, Snapshot, Update
from vigie_push.errors import InvalidCursor
from vigie_push.sources.recent_reports import RecentReports

MAX_MISSED: Final = 100
MAX_KNOWN: Final = 1_000
"""Reports that a topic remembers, so that none is told twice."""
_TIME_BYTES: Final = 8
_MAX_ID_BYTES: Final = 800
_Place: TypeAlias = tuple[int, str]
"""Time and id of a report: how the reports of a subject are ordered."""


@dataclass(frozen=True, slots=True)
class _Told(Update):
    place: _Place


@dataclass(frozen=True, slots=True)
class ReportSources:
    """Where reports are read."""

    stored: NewestReports | NewestHostReports
    recent: RecentReports


class ReportFeed:
    """An open topic: one subject of a tenant."""

    def __init__(
        self,
        tenant: TenantId,
        kind: str,
        subject: str,
        sources: ReportSources,
        message: Callable[[Report], ChannelMessage],
    ) -> None:
        self._tenant, self._kind, self._subject = tenant, kind, subject
        self._sources, self._message = sources, message
        self._newest: _Place | None = None
        self._known: OrderedDict[str, None] = OrderedDict()

    async def begin(self) -> None:
        """What is known from here on is part of every snapshot."""
        await self.poll()

    def updates(self, record: Report) -> list[Update]:
        """See `Feed`."""
        if (record.kind, record.subject) != (self._kind, self._subject) or record.id in self._known:
            return []
        self._known[record.id] = None
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        late = self._newest is not None and _place(record) < self._newest
        if not late:
            self._newest = _place(record)
        return [
            _Told(record.id if late else self._subject, _cursor(self._newest), self._message(record), _place(record))
        ]

    async def poll(self) -> Sequence[Update]:
        """See `Feed`."""
        missed = await self._since(self._newest)
        return [update for report in missed for update in self.updates(report)]

    async def snapshot(self, after: Cursor | None) -> Snapshot:
        """See `Feed`."""
        seen = _place_of(after)
        found = await self._since(seen)
        updates = [_Told(report.id, _cursor(_place(report)), self._message(report), _place(report)) for report in found]
        newest = _place(found[-1]) if found else seen
        if newest is None:
            return Snapshot(updates)
        return Snapshot(updates, lambda update: isinstance(update, _Told) and update.place <= newest)

    async def close(self) -> None:
        """See `Feed`."""

    async def _since(self, place: _Place | None) -> list[Report]:
        """The reports after this one, the last MAX_MISSED of them; without one the newest."""
        limit, since_ms = (1, None) if place is None else (MAX_MISSED, place[0])
        stored = await self._sources.stored.of(self._tenant, self._kind, self._subject, limit, since_ms)
        recent = self._sources.recent.of(self._tenant, self._kind, self._subject)
        found = _ordered([*stored, *recent])
        return [report for report in found if place is None or _place(report) > place][-limit:]


def _ordered(reports: Iterable[Report]) -> list[Report]:
    """Each once."""
    return sorted({report.id: report for report in reports}.values(), key=_place)


def _place(report: Report) -> _Place:
    return report.timestamp, report.id


def _cursor(place: _Place | None) -> Cursor:
    if place is None or not 0 <= place[0] <= cursors.MAX_TIME_MS:
        return cursors.NONE
    return cursors.encode(cursors.Form.REPORTS, place[0].to_bytes(_TIME_BYTES, "big") + place[1].encode())


def _place_of(after: Cursor | None) -> _Place | None:
    """Raises InvalidCursor."""
    data = cursors.decode(cursors.Form.REPORTS, after)
    if data is None:
        return None
    at_ms, name = int.from_bytes(data[:_TIME_BYTES], "big"), data[_TIME_BYTES:]
    if at_ms >= cursors.MAX_TIME_MS or not 0 < len(name) <= _MAX_ID_BYTES:
        raise InvalidCursor
    try:
        return at_ms, name.decode()
    except UnicodeDecodeError:
        raise InvalidCursor from None
