"""Health, own metrics, and a description of the API that is true."""

import asyncio
import json
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from vigie_contracts.payloads import payloads
from vigie_identity.permissions import Role
from vigie_identity.principal import Principal, PrincipalKind
from vigie_ingest.app import create_app
from vigie_ingest.intakes import INTAKES
from vigie_web.health import Check

from services.ingest.tests.conftest import settings

PATHS = [intake.path for intake in INTAKES]


async def nothing() -> None:
    """A server that answers."""


async def never() -> None:
    """A server that does not."""
    await asyncio.Event().wait()


async def test_live_is_live_even_when_not_started(gateway: Any) -> None:
    gateway.state.resources = None
    assert (await gateway.request("GET", "/health/live")).status == 200


async def test_ready_says_what_is_missing(gateway: Any) -> None:
    gateway.change(checks=(Check("kafka", lambda: False),))
    reply = await gateway.request("GET", "/health/ready")
    assert (reply.status, reply.json["not_ready"]) == (503, ["kafka"])
    gateway.state.resources = None
    reply = await gateway.request("GET", "/health/ready")
    assert (reply.status, reply.json["not_ready"]) == (503, ["start"])
    assert reply.headers["retry-after"]


async def test_stores_away_are_degraded_not_unready(gateway: Any) -> None:
    stores = Check("mongodb", never, required=False), Check("redis", nothing, required=False)
    gateway.change(checks=(Check("kafka", lambda: True), *stores))
    reply = await gateway.request("GET", "/health/ready")
    assert reply.status == 200
    assert reply.json == {
        "status": "ready", "not_ready": [], "degraded": ["mongodb"],
        "checks": {"kafka": True, "mongodb": False, "redis": True},
        "kafka": "ok", "mongodb": "away", "redis": "ok",
    }  # fmt: skip


async def test_own_metrics_count_requests_and_items(gateway: Any) -> None:
    await gateway.post("/api/metrics/batch", [{"name": "m", "type": "gauge", "value": 1}, 5])
    reply = await gateway.request("GET", "/metrics")
    assert reply.status == 200
    lines = reply.body.decode().splitlines()
    assert 'vigie_ingest_requests_total{route="/api/metrics/batch",status="2xx"} 1.0' in lines
    assert 'vigie_ingest_items_accepted_total{route="/api/metrics/batch"} 1.0' in lines
    assert 'vigie_ingest_items_rejected_total{reason="field",route="/api/metrics/batch"} 1.0' in [
        line.replace('route="/api/metrics/batch",reason="field"', 'reason="field",route="/api/metrics/batch"')
        for line in lines
    ]
    assert 'vigie_ingest_request_duration_seconds_count{route="/api/metrics/batch"} 1.0' in lines


async def test_docs_need_nothing_from_other_hosts(gateway: Any) -> None:
    answer = await gateway.request("GET", "/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = answer.body.decode()
    assert "swagger" in page
    assert "https://" not in page.replace("https://fastapi.tiangolo.com/img", "")


def test_description_has_every_route_and_every_error() -> None:
    document = create_app(settings()).openapi()
    for path in PATHS:
        responses = document["paths"][path]["post"]["responses"]
        assert {"400", "408", "409", "413", "415", "422", "500", "503"} <= set(responses)
        assert any(status.startswith("2") for status in responses)
    assert {"/health/live", "/health/ready", "/metrics"} <= set(document["paths"])
    json.dumps(document)


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """A validator for a schema of the document; its references point into the document."""
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:doc", resource)
    text = json.dumps(schema).replace('"#/', '"urn:doc#/')
    inner = json.loads(json.dumps(document).replace('"#/', '"urn:doc#/'))
    registry = registry.with_resource("urn:doc", Resource.from_contents(inner, default_specification=DRAFT202012))
    return jsonschema.Draft202012Validator(json.loads(text), registry=registry)


@pytest.mark.parametrize("path", PATHS)
async def test_examples_are_taken_and_answers_fit_their_schemas(gateway: Any, path: str) -> None:
    gateway.authenticator.principal = Principal(PrincipalKind.USER, "u1", "root", role=Role.SUPERADMIN)
    gateway.clock.advance((1_767_312_000_000 - gateway.clock.now_ms()) / 1000)  # a day after the examples
    document = gateway.app.openapi()
    post = document["paths"][path]["post"]
    for media, content in post["requestBody"]["content"].items():
        for name, example in content.get("examples", {}).items():
            validator(document, content["schema"]).validate(example["value"])
            if name == "binary":
                continue
            value = example["value"].encode() if isinstance(example["value"], str) else example["value"]
            asked = path.format(**{one["name"]: one["example"] for one in post["parameters"] if one["in"] == "path"})
            reply = await gateway.post(asked, value, {"content-type": media})
            assert reply.status < 300, reply.body
            described = post["responses"][str(reply.status)].get("content", {})
            if "application/json" in described:
                validator(document, described["application/json"]["schema"]).validate(reply.json)
            else:
                assert (reply.body == b"") == (not described)


@pytest.mark.parametrize(
    "family", ["api.metrics.custom", "api.metrics.batch", "api.events", "api.telemetry", "api.import.telemetry"]
)
async def test_every_answer_to_every_payload_is_described(gateway: Any, family: str) -> None:
    gateway.authenticator.principal = Principal(PrincipalKind.USER, "u1", "root", role=Role.SUPERADMIN)
    document = gateway.app.openapi()
    path = "/telemetry" if family == "api.telemetry" else "/" + family.replace(".", "/")
    media = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
    for payload in payloads(family):
        headers = {"content-type": media.get(payload.name.rpartition(".")[2], "application/json")}
        reply = await gateway.post(path, payload.data, headers)
        described = document["paths"][path]["post"]["responses"][str(reply.status)]["content"]
        validator(document, described[reply.headers["content-type"]]["schema"]).validate(reply.json)
