"""Every sample payload of the intakes is taken, and every bad one is refused with a reason."""

from typing import Any

import pytest
from vigie_contracts.payloads import Payload, payloads

FAMILIES = {
    "api.metrics.custom": "/api/metrics/custom",
    "api.metrics.business": "/api/metrics/business",
    "api.metrics.batch": "/api/metrics/batch",
    "api.events": "/api/events",
}
CASES = [
    pytest.param(path, payload, id=f"{family}/{payload.name}")
    for family, path in FAMILIES.items()
    for payload in payloads(family)
]


@pytest.mark.parametrize(("path", "payload"), CASES)
async def test_payload_is_taken_or_refused(gateway: Any, path: str, payload: Payload) -> None:
    reply = await gateway.post(path, payload.data)
    if payload.good:
        assert reply.status == 201, reply.body
        least = 0 if payload.name == "v1-empty-batch.json" else 1
        assert len(gateway.publisher.sent) >= reply.json["accepted"] >= least
        assert reply.json.get("rejected", 0) == (1 if "neighbour" in payload.name else 0)
    else:
        assert reply.status in (400, 413), reply.body
        assert reply.json["detail"]
        assert gateway.publisher.calls == 0
