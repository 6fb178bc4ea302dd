"""What the tests about the repository share."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from vigie_aggregator.consumers import CONSUMERS
from vigie_contracts import topics
from vigie_identity import metrics as identity_metrics
from vigie_limits import metrics as limits_metrics
from vigie_publishing import metrics as publishing_metrics
from vigie_runtime import metrics
from vigie_runtime.bus import event_metrics
from vigie_runtime.bus import log_reader_metrics as logreader_metrics
from vigie_runtime.settings import Settings, variable_name

ROOT = Path(__file__).parents[2]
SERVICES = ("ingest", "aggregator", "api", "alerting", "healthcheck", "push")


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def parsed(path: str) -> Any:
    return yaml.safe_load(text(path))


def settings_of(service: str) -> type[Settings]:
    """The one class of settings that the service defines."""
    module = importlib.import_module(f"vigie_{service}.settings")
    [found] = {
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Settings) and value.__module__ == module.__name__
    }
    return found


def variables_of(service: str) -> dict[str, str]:
    """Every variable that the service reads, to the name of its setting."""
    fields = settings_of(service).model_fields
    return {variable_name(name, field): name for name, field in fields.items()}


def own_metric_names() -> dict[str, set[str]]:
    """Names that the services expose about themselves, as a query may use them; by the service that exposes them."""
    found = {service: set(_exposed(importlib.import_module(f"vigie_{service}.metrics"))) for service in SERVICES}
    found["push"] |= set(_exposed(importlib.import_module("vigie_push.apps.metrics")))
    for service in ("ingest", "push"):
        found[service] |= set(_exposed(publishing_metrics))
    for service in ("ingest", "api", "alerting", "healthcheck", "push"):
        found[service] |= set(_exposed(identity_metrics)) | set(_exposed(limits_metrics))
    for service in ("alerting", "healthcheck"):
        found[service] |= set(_exposed(publishing_metrics)) | set(_exposed(logreader_metrics))
    for part in ("sender", "engine", "recording"):
        found["alerting"] |= set(_exposed(importlib.import_module(f"vigie_alerting.{part}.metrics")))
    found["alerting"] |= set(_exposed(importlib.import_module("vigie_alerting.canary")))
    found["aggregator"] |= set(_exposed(logreader_metrics))
    for declare in CONSUMERS:  # each may count something of its own
        found["aggregator"] |= set(_exposed(importlib.import_module(declare.__module__)))
    for service in SERVICES:
        for topic in topics.TOPICS:
            if service in topic.read_by and topic not in (
                topics.SAMPLES,
                topics.RULES,
                topics.TARGETS,
            ):  # those come by the log reader
                found[service] |= set(_exposed(SimpleNamespace(declared=event_metrics.names(service, topic))))
    return found


def _exposed(module: Any) -> list[str]:
    names: list[str] = []
    for value in vars(module).values():
        for metric in value if isinstance(value, list | tuple) else [value]:
            if isinstance(metric, metrics.Counter | metrics.Gauge):
                names.append(metric.name)
            elif isinstance(metric, metrics.Histogram):
                names += [metric.name + suffix for suffix in ("_bucket", "_sum", "_count")]
    return names
