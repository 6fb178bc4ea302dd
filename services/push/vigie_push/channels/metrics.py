"""`metrics`: the newest values of the series of a selector, as they change.

- `selector` is one of PromQL: `bookings_created_total{region="eu"}`, also with `=~`; at most MAX_SERIES series. What is
  derived of a series has its name too (`x_total`, `x_sum`, `x_count`), but for the buckets of histograms.
- First come all values, then what changes, at most every `sources.values.TICK_S`. A message holds up to PAGE series,
  and always the same ones together: put each in the place of what was known of it. The conflation key is that page.
- After a cursor come the pages that show something else than the client has seen.
- A series that is new is found within `hub.RECONCILE_S`, as is what changed when more than 10,000 series of a tenant
  and a partition changed at once.
- The series of all selectors of a tenant are at most MAX_TENANT_SERIES: each takes memory, and time when it changes.
- Seen by whoever has `metrics.read`.
- Values come from Redis, where the aggregator announces them when they are counted, a second or two after they were
  sent. While Redis is away they are read from MongoDB, every `hub.POLL_S`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import InvalidField
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal
from vigie_query.errors import QueryError
from vigie_query.matchers import Matcher
from vigie_query.promql.parsing import parse
from vigie_query.promql.plan import NOW, Selector
from vigie_runtime.expressions import Expressions
from vigie_storage.latest import LatestReader
from vigie_storage.promql.selection import SelectorReader
from vigie_storage.series.catalogue import SeriesCatalogue

from vigie_push.channels import cursors
from vigie_push.channels.base import ChannelMessage, Cursor, Parameters, Snapshot, Topic, Update
from vigie_push.channels.metric_table import MetricTable, SeriesValue
from vigie_push.channels.names import ChannelName
from vigie_push.channels.resources import ChannelResources
from vigie_push.errors import InvalidCursor, TooManyTopics
from vigie_push.sources import values

MAX_SERIES: Final = 1_000
MAX_TENANT_SERIES: Final = 50_000
MAX_SELECTOR_CHARS: Final = 4_096
_DIGEST_BYTES: Final = 4


class MetricsParameters(Parameters, frozen=True, kw_only=True):
    selector: Annotated[str, Meta(min_length=1, max_length=MAX_SELECTOR_CHARS)]
    """PromQL: a metric name, label matchers, or both."""


class MetricsMessage(ChannelMessage, tag="metrics", kw_only=True):
    """Newest values: each takes the place of the one before it of the same name and labels."""

    data: list[SeriesValue]


@dataclass(frozen=True, slots=True)
class _Page(Update):
    number: int
    digest: int
    serial: int
    """Counts what the feed told."""


class MetricsChannel:
    """See the module's text."""

    name = ChannelName.METRICS.value
    parameters = MetricsParameters
    messages = (MetricsMessage,)
    sources = (values.NAME,)
    permission = Permission.METRICS_READ

    def __init__(self, resources: ChannelResources) -> None:
        expressions = Expressions()
        catalogue = SeriesCatalogue(resources.database, expressions)
        self._selectors = SelectorReader(catalogue, expressions, resources.clock, MAX_SERIES)
        self._latest = LatestReader(resources.database, resources.redis, resources.clock, resources.metrics)
        self._followed: Counter[TenantId] = Counter()

    def authorise(self, principal: Principal, tenant: TenantId, parameters: MetricsParameters) -> MetricsParameters:
        """See `Channel`."""
        principal.require(Permission.METRICS_READ, tenant)
        return parameters

    async def open(self, topic: Topic[MetricsParameters]) -> MetricsFeed:
        """See `Channel`. Raises InvalidField, for more than MAX_SERIES series too."""
        matchers = await _matchers(topic.parameters.selector)
        feed = MetricsFeed(topic.tenant, matchers, self._selectors, self._latest, self._followed)
        try:
            await feed.poll()
        except BaseException:
            await feed.close()
            raise
        return feed


async def _matchers(text: str) -> tuple[Matcher, ...]:
    try:
        node = await asyncio.to_thread(parse, text)  # of the longest it takes a tenth of a second
    except QueryError as e:
        raise InvalidField("selector", e.detail) from None
    if not isinstance(node, Selector) or node.when != NOW:
        raise InvalidField("selector", 'must be a selector, like up{job="a"}')
    return node.matchers


class MetricsFeed:
    """An open topic."""

    def __init__(
        self,
        tenant: TenantId,
        matchers: tuple[Matcher, ...],
        selectors: SelectorReader,
        latest: LatestReader,
        followed: Counter[TenantId],
    ) -> None:
        """`followed` counts the series of all open topics of each tenant."""
        self._tenant, self._matchers = tenant, matchers
        self._selectors, self._latest = selectors, latest
        self._followed, self._count, self._open = followed, 0, True
        self._table: MetricTable | None = None
        self._told: list[int] = []
        """Of each page the digest of what was told."""
        self._serial = 0

    def updates(self, record: values.Values) -> list[Update]:
        """See `Feed`."""
        assert self._table is not None  # noqa: S101 - polled when it was opened
        self._table.take(record)
        return self._news(self._table)

    async def poll(self) -> Sequence[Update]:
        """See `Feed`. Raises InvalidField when the series have become too many."""
        return self._news(await self._read())

    async def snapshot(self, after: Cursor | None) -> Snapshot:
        """See `Feed`."""
        seen = _digests(after)
        table = await self._read()
        digests = table.digests()
        cursor = _resized(seen, len(digests))
        updates: list[Update] = []
        for number, digest in enumerate(digests):
            if cursor[number] != digest and (page := table.page(number)):
                cursor[number] = digest
                updates.append(Update(str(number), _cursor(cursor), MetricsMessage(data=page)))
        told = self._serial

        def holds(update: Update) -> bool:
            return isinstance(update, _Page) and (
                update.serial <= told or digests[update.number : update.number + 1] == [update.digest]
            )

        return Snapshot(updates, holds)

    async def close(self) -> None:
        """See `Feed`."""
        self._follow(0)
        self._open = False

    async def _read(self) -> MetricTable:
        """Everything as it stands, new series included."""
        try:
            selected = await self._selectors.select(self._tenant, self._matchers)
        except QueryError as e:
            raise InvalidField("selector", e.detail.removeprefix("query: ")) from None
        table = self._table
        if table is None or table.selected is not selected:
            self._follow(len(selected.shown.rows))
            table = await asyncio.to_thread(MetricTable, selected)
        table.read(await self._latest.some(self._tenant, selected.selection.chunks))
        if self._table is not None and self._table is not table:
            table.take(self._table.known())  # what was announced meanwhile
        self._table = table
        return table

    def _follow(self, count: int) -> None:
        """So many series from now on. Raises TooManyTopics."""
        if not self._open:
            return  # closed while it was polled
        more = count - self._count
        if more > 0 and self._followed[self._tenant] + more > MAX_TENANT_SERIES:
            raise TooManyTopics(MAX_TENANT_SERIES, "series")
        self._count = count
        self._followed[self._tenant] += more
        if not self._followed[self._tenant]:
            del self._followed[self._tenant]

    def _news(self, table: MetricTable) -> list[Update]:
        """The pages that show something else than was told."""
        digests = table.digests()
        told, self._told = _resized(self._told, len(digests)), digests
        updates: list[Update] = []
        for number, digest in enumerate(digests):
            if told[number] != digest and (page := table.page(number)):
                told[number] = digest
                self._serial += 1
                message = MetricsMessage(data=page)
                updates.append(_Page(str(number), _cursor(told), message, number, digest, self._serial))
        return updates


def _cursor(digests: Sequence[int]) -> Cursor:
    return cursors.encode(cursors.Form.METRICS, b"".join(digest.to_bytes(_DIGEST_BYTES, "big") for digest in digests))


def _resized(digests: Sequence[int], pages: int) -> list[int]:
    """0 for pages of which there is no digest."""
    return [*digests[:pages], *[0] * (pages - len(digests))]


def _digests(after: Cursor | None) -> list[int]:
    """Raises InvalidCursor."""
    data = cursors.decode(cursors.Form.METRICS, after) or b""
    if len(data) % _DIGEST_BYTES:
        raise InvalidCursor
    starts = range(0, len(data), _DIGEST_BYTES)
    return [int.from_bytes(data[start : start + _DIGEST_BYTES], "big") for start in starts]
