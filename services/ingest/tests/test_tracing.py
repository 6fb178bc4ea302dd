"""One server span per request when tracing is on, continuing the sender's trace, handed on to the publisher."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from vigie_runtime.errors import BufferFull

TRACE = "0af7651916cd43dd8448eb211c80319c"
METRIC = {"name": "m", "type": "gauge", "value": 1}


@pytest.fixture
def spans(gateway: Any) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    gateway.frame.tracer = provider.get_tracer("test")
    return exporter


async def test_request_is_a_span_of_the_senders_trace(gateway: Any, spans: InMemorySpanExporter) -> None:
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    assert (await gateway.post("/api/metrics/custom", METRIC, headers)).status == 201
    [span] = spans.get_finished_spans()
    assert (span.name, span.kind) == ("POST /api/metrics/custom", SpanKind.SERVER)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 201
    assert gateway.publisher.spans == [span.context]


@pytest.mark.parametrize("parent", ["", "nonsense", "00-0-0-00", "\xff"])
async def test_unusable_traceparent_starts_a_trace(gateway: Any, spans: InMemorySpanExporter, parent: str) -> None:
    assert (await gateway.post("/api/metrics/custom", METRIC, {"traceparent": parent})).status == 201
    assert spans.get_finished_spans()[0].parent is None


async def test_only_a_server_fault_is_an_error(gateway: Any, spans: InMemorySpanExporter) -> None:
    await gateway.post("/api/metrics/custom", {})
    gateway.publisher.fail = BufferFull(1, 1)
    await gateway.post("/api/metrics/custom", METRIC)
    refused, failed = spans.get_finished_spans()
    assert refused.status.status_code is StatusCode.UNSET
    assert failed.status.status_code is StatusCode.ERROR


async def test_without_tracing_there_is_no_span(gateway: Any) -> None:
    await gateway.post("/api/metrics/custom", METRIC)
    assert gateway.publisher.spans == [None]
