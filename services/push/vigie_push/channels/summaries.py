"""The channels `system`, `application`, `business` and `summary`: answers of `GET /api/metrics/...`, tick by tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal

from vigie_push.channels.base import ChannelMessage, Cursor, Parameters, Snapshot, Topic, Update
from vigie_push.sources.summaries import Summary, SummaryBoard, source_of


class SummaryParameters(Parameters, frozen=True):
    """None: a summary is about the whole tenant."""


Answer = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]


class SystemMessage(ChannelMessage, tag="system"):
    """CPU, memory, disk, load and network of every host. `data` is the answer of `GET /api/metrics/system`."""

    data: Answer


class ApplicationMessage(ChannelMessage, tag="application"):
    """Requests, latency and errors of every service. `data` is the answer of `GET /api/metrics/application`."""

    data: Answer


class BusinessMessage(ChannelMessage, tag="business"):
    """Bookings, revenue, users and the funnel. `data` is the answer of `GET /api/metrics/business`."""

    data: Answer


class SummaryMessage(ChannelMessage, tag="summary"):
    """The head of each area, and the metrics of one's own. `data` is the answer of `GET /api/metrics/summary`."""

    data: Answer


SummaryType = SystemMessage | ApplicationMessage | BusinessMessage | SummaryMessage
MESSAGES: Final[dict[str, type[SummaryType]]] = {
    "system": SystemMessage,
    "application": ApplicationMessage,
    "business": BusinessMessage,
    "summary": SummaryMessage,
}
"""By the name of the channel."""


class SummaryChannel:
    """One of the four."""

    parameters = SummaryParameters
    permission = Permission.METRICS_READ

    def __init__(self, name: str, board: SummaryBoard) -> None:
        self.name = name
        self.messages: Sequence[type[ChannelMessage]] = (MESSAGES[name],)
        self.sources = (source_of(name),)
        self._board = board

    def authorise(self, principal: Principal, tenant: TenantId, parameters: SummaryParameters) -> SummaryParameters:
        """See `Channel`."""
        principal.require(self.permission, tenant)
        return parameters

    async def open(self, topic: Topic[Any]) -> SummaryFeed:
        """See `Channel`."""
        return SummaryFeed(self._board, self.name, topic.tenant)


class SummaryFeed:
    """A summary replaces the one before: nothing is missed by seeing only the newest."""

    def __init__(self, board: SummaryBoard, area: str, tenant: TenantId) -> None:
        self._board, self._area, self._tenant = board, area, tenant

    async def snapshot(self, after: Cursor | None) -> Snapshot:
        """The newest; nothing when the client has it."""
        update = self._update(await self._board.current(self._area, self._tenant))
        return Snapshot([] if update.cursor == after else [update], lambda other: other.cursor == update.cursor)

    def updates(self, record: Summary) -> Sequence[Update]:
        """One."""
        return [self._update(record)]

    async def poll(self) -> Sequence[Update]:
        """Nothing: the source is in this process, and loses nothing."""
        return []

    async def close(self) -> None:
        """Nothing is held."""

    def _update(self, summary: Summary) -> Update:
        return Update("", str(summary.at_ms), MESSAGES[self._area](data=msgspec.Raw(summary.body)))
