"""One trace from a POST to the webhook: its id stands in the notification, and everything between is a part of it."""

from __future__ import annotations

import asyncio
import secrets
import time

import httpx2 as httpx
import pytest
from vigie_contracts.series import Kind, series_key

from tests.chaos.alerts import HIGH, RULES, AlertLedger, make_rules
from tests.chaos.ledger import Sample
from tests.chaos.load import single
from tests.integration.otlp import Sink, sink
from tests.integration.test_trace import descendants
from tests.integration.world import DEADLINE_S, World
from tests.kit import eventually, unique
from tests.kit.webhooks import Delivery, receiver

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]


async def test_post_is_followed_through_kafka_and_a_rule_to_the_webhook(rough: World) -> None:
    alerts = AlertLedger(unique("traced").replace("-", "_"))
    with sink() as collector, receiver() as webhook:
        await asyncio.to_thread(rough.services.start, aggregators=1)
        await asyncio.to_thread(rough.services.gateway, collector.environment())
        alerting = await asyncio.to_thread(rough.services.alerting, collector.environment())
        await make_rules(rough.services.urls[alerting.name], alerts, webhook.url)
        await evaluated(rough.services.urls[alerting.name], alerts)
        trace, parent = secrets.token_hex(16), secrets.token_hex(8)
        key = series_key(rough.services.tenant, alerts.name(RULES - 1), Kind.GAUGE, {"host": "a"})
        request = single(Sample(key, time.time_ns() // 1_000_000, HIGH))
        headers = {"traceparent": f"00-{trace}-{parent}-01", "content-type": "application/json"}
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            url = rough.services.gateway_urls[0] + request.path
            assert (await client.post(url, content=request.body, headers=headers)).is_success
        await eventually(lambda: webhook.deliveries, DEADLINE_S)
        [told] = webhook.deliveries
        await eventually(lambda: followed(collector, trace, parent, told), 30)


async def evaluated(url: str, alerts: AlertLedger) -> None:
    """Wait until the rules look at what comes: a sample of before is one of the stored windows, without a trace."""
    mine = {alerts.name(rule) for rule in range(RULES)}
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:

        async def all_were() -> bool:
            rules = (await client.get("/api/alerts/rules", params={"limit": 1_000})).json()["rules"]
            seen = [rule for rule in rules if rule.get("metricName") in mine and rule["health"] is not None]
            return len(seen) == RULES

        await eventually(all_were, DEADLINE_S)


def followed(collector: Sink, trace: str, parent: str, told: Delivery) -> bool:
    """The whole chain, one assertion per step."""
    _, in_notification, publisher, _ = told.headers["traceparent"].split("-")
    assert in_notification == trace
    spans = collector.spans
    mine = [span for span in spans if span.trace == trace]
    names = [(span.service, span.name) for span in spans]
    server = [span for span in mine if span.parent == parent]
    assert server, f"no span continues the sender's trace: {names}"
    published = [span for span in descendants(server[0], mine) if "publish" in span.name]
    assert publisher in {span.id for span in published}, f"the notification names another span: {names}"
    notified = [span for span in mine if span.name == "notify webhook"]
    assert notified, f"nothing was sent in this trace: {names}"
    assert notified[0].parent == publisher
    assert notified[0].service != server[0].service
    return True
