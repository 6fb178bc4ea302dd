"""One trace from a POST to the commit in MongoDB: parents up to the record, links from the commit back to it."""

import asyncio
import secrets
import time

import httpx2 as httpx
import pytest

from tests.chaos.ledger import Sample
from tests.chaos.load import Series, batch
from tests.integration.otlp import Sink, Span, sink
from tests.integration.world import World
from tests.kit import eventually

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]


def ancestors(span: Span, spans: dict[str, Span]) -> list[Span]:
    """The span's parents, nearest first."""
    found: list[Span] = []
    while span.parent in spans:
        span = spans[span.parent]
        found.append(span)
    return found


def descendants(root: Span, spans: list[Span]) -> list[Span]:
    """Everything below the span."""
    by_id = {span.id: span for span in spans}
    return [span for span in spans if root in ancestors(span, by_id)]


async def test_post_is_followed_through_kafka_to_the_commit(rough: World) -> None:
    with sink() as collector:
        await asyncio.to_thread(rough.services.gateway, collector.environment())
        await asyncio.to_thread(rough.services.aggregator, collector.environment())
        ledger = rough.ledger("trace")
        trace, parent = secrets.token_hex(16), secrets.token_hex(8)
        now = time.time_ns() // 1_000_000
        request = batch([Sample(key, now, 1) for key in Series(ledger, 3).known(1.0)])
        headers = {
            "traceparent": f"00-{trace}-{parent}-01",
            "idempotency-key": request.key,
            "content-type": "application/json",
        }
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            url = rough.services.gateway_urls[0] + request.path
            assert (await client.post(url, content=request.body, headers=headers)).is_success
        ledger.add(request.samples)
        await rough.exact(ledger)
        await eventually(lambda: followed(collector, trace, parent), 30)


def followed(collector: Sink, trace: str, parent: str) -> bool:
    """The whole chain, one assertion per step."""
    spans = collector.spans
    mine = [span for span in spans if span.trace == trace]
    server = [span for span in mine if span.parent == parent]
    assert server, f"no span continues the sender's trace: {[s.name for s in spans]}"
    published = [span for span in descendants(server[0], mine) if "publish" in span.name]
    assert published, f"nothing published below the server span: {[s.name for s in mine]}"
    linked = [span for span in spans if any((trace, one.id) in span.links for one in published)]
    child = [span for span in spans if span.parent in {one.id for one in published}]
    commits = [span for span in (*linked, *child) if span.service != server[0].service]
    assert commits, f"no span of the aggregator knows the record: {[(s.service, s.name) for s in spans]}"
    below = [span for commit in commits for span in descendants(commit, spans)]
    assert any("commitTransaction" in f"{span.name} {span.attributes}" for span in below), (
        f"no commit below it: {[s.name for s in below]}"
    )
    return True
