"""OpenTelemetry traces: spans across Kafka by W3C `traceparent` headers, exported only when an endpoint is set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACE_HEADERS = ("traceparent", "tracestate")
_propagator = TraceContextTextMapPropagator()


def enabled() -> bool:
    """Whether spans are exported: one of the two OTLP endpoint variables is set (and OTEL_SDK_DISABLED is not true)."""
    return any(os.environ.get(name) for name in ENDPOINT_VARIABLES) and os.environ.get("OTEL_SDK_DISABLED") != "true"


def configure(service: str) -> Callable[[], None]:
    """Start exporting when an endpoint is set; call before clients are made. The result flushes and ends it; blocks."""
    if not enabled():
        return lambda: None
    # Heavy, and useless to a process that exports nothing.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create(
        {"service.name": service, "service.namespace": "vigie", "service.version": runtime_version()}
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    PymongoInstrumentor().instrument()
    return provider.shutdown


def tracer(name: str) -> Tracer:
    """A tracer named after the module that makes the spans; does nothing when tracing is off."""
    return trace.get_tracer(name)


def inject(headers: list[tuple[str, bytes]], context: Context | None = None) -> None:
    """Add the current (or the given) trace context to a record's headers; nothing when there is none."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    headers.extend((name, value.encode()) for name, value in carrier.items())


def extract(headers: Iterable[tuple[str, bytes | None]]) -> SpanContext | None:
    """The trace context that a record carries, or None. Headers that are no text are skipped."""
    carrier = {name: text for name, value in headers if name in _TRACE_HEADERS and (text := _text(value)) is not None}
    if "traceparent" not in carrier:
        return None
    context = trace.get_current_span(_propagator.extract(carrier)).get_span_context()
    return context if context.is_valid else None


def traceparent(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """The W3C `traceparent` of a record as it came; empty when it has none."""
    return next((text for name, value in headers if name == _TRACE_HEADERS[0] and (text := _text(value))), "")


def context_of(span_context: SpanContext | None) -> Context | None:
    """A context whose current span is the remote one, to start a child in."""
    return None if span_context is None else trace.set_span_in_context(trace.NonRecordingSpan(span_context))


@cache
def runtime_version() -> str:
    """The version of Vigie that runs, for resources and dead letters."""
    try:
        return version("vigie-runtime")
    except PackageNotFoundError:  # run from a source tree without metadata
        return "unknown"


def _text(value: bytes | None) -> str | None:
    try:
        return value.decode("ascii") if value is not None else None
    except UnicodeDecodeError:
        return None
