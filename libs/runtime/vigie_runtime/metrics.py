"""The metrics of a service, declared in one list: name, kind, unit, meaning, labels with closed sets of values.

class Outcome(StrEnum): ACCEPTED = "accepted"; REJECTED = "rejected"
SAMPLES = Counter("vigie_ingest_samples_total", "samples", "Samples judged.", {"outcome": Outcome})
metrics = MetricSet([SAMPLES])
accepted = metrics.counter(SAMPLES, outcome=Outcome.ACCEPTED)   # once, outside the hot path
accepted.inc(500)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Any, Final, TypeAlias

import prometheus_client as prom
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

prom.disable_created_metrics()  # a second series per counter that nobody reads

LabelSets: TypeAlias = Mapping[str, type[StrEnum]]

LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PREFIXES: Final = ("vigie_", "kpi_")
"""How the names of metrics begin; `kpi_` are those of a replaced system, which its dashboards ask for."""
SIZES = (1.0, 10.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, 50_000.0, 100_000.0)


@dataclass(frozen=True, eq=False)
class _Metric:
    name: str
    unit: str
    help: str
    labels: LabelSets = field(default_factory=dict[str, type[StrEnum]])


class Counter(_Metric):
    """Only goes up. The name ends in `_total`."""


class Gauge(_Metric):
    """Goes up and down."""


@dataclass(frozen=True, eq=False)
class Histogram(_Metric):
    """A distribution, in buckets whose upper bounds are given in `unit`."""

    buckets: tuple[float, ...] = LATENCY_S


Metric: TypeAlias = Counter | Gauge | Histogram


class MetricSet:
    """Declared metrics and the registry they live in. Every label combination exists from the start, at zero."""

    def __init__(self, metrics: Iterable[Metric], *, registry: CollectorRegistry | None = None) -> None:
        """`registry` may be shared by several sets. A new one also gets the metrics of the process and of Python. What
        several libraries declare is made once."""
        self.registry = registry if registry is not None else process_registry()
        self._made: dict[Metric, Any] = {metric: self._make(metric) for metric in dict.fromkeys(metrics)}

    def __len__(self) -> int:
        """How many are declared."""
        return len(self._made)

    def counter(self, metric: Counter, **labels: StrEnum) -> prom.Counter:
        """The counter for these label values: call `.inc(n)` on it."""
        return self._child(metric, labels)

    def gauge(self, metric: Gauge, **labels: StrEnum) -> prom.Gauge:
        """The gauge for these label values: `.set(x)`, `.inc()`, `.dec()`, `.set_function(f)`."""
        return self._child(metric, labels)

    def histogram(self, metric: Histogram, **labels: StrEnum) -> prom.Histogram:
        """The histogram for these label values: `.observe(x)`, `with .time():`."""
        return self._child(metric, labels)

    def _make(self, metric: Metric) -> Any:
        _check(metric)
        names = tuple(metric.labels)
        text = f"{metric.help.rstrip('.')}. Unit: {metric.unit}."
        match metric:
            case Counter():
                made = prom.Counter(metric.name.removesuffix("_total"), text, names, registry=self.registry)
            case Gauge():
                made = prom.Gauge(metric.name, text, names, registry=self.registry)
            case Histogram():
                made = prom.Histogram(metric.name, text, names, registry=self.registry, buckets=metric.buckets)
        if names:
            for values in product(*metric.labels.values()):
                made.labels(*(value.value for value in values))
        return made

    def _child(self, metric: Metric, labels: Mapping[str, StrEnum]) -> Any:
        made = self._made[metric]
        if labels.keys() != metric.labels.keys():
            raise ValueError(f"{metric.name} has the labels {sorted(metric.labels)}, not {sorted(labels)}")
        for name, value in labels.items():
            if not isinstance(value, metric.labels[name]):
                raise TypeError(f"label {name} of {metric.name} takes a {metric.labels[name].__name__}, not {value!r}")
        return made.labels(**{name: value.value for name, value in labels.items()}) if labels else made


def process_registry() -> CollectorRegistry:
    """A registry with CPU, memory, open files and start time of this process, and Python's garbage collector."""
    registry = CollectorRegistry(auto_describe=True)
    prom.ProcessCollector(registry=registry)
    prom.PlatformCollector(registry=registry)
    prom.GCCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry, accept: str = "") -> tuple[bytes, str]:
    """The body and content type of an answer to `GET /metrics`; `accept` is the request's header."""
    try:
        encoder, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        encoder, content_type = choose_encoder("")
    return encoder(registry), content_type


def _check(metric: Metric) -> None:
    if not metric.name.startswith(PREFIXES):
        raise ValueError(f"the metric {metric.name} must be named vigie_<service>_... or kpi_...")
    if isinstance(metric, Counter) != metric.name.endswith("_total"):
        raise ValueError(f"{metric.name}: a counter's name ends in _total, no other's does")
    if not metric.unit or not metric.help:
        raise ValueError(f"the metric {metric.name} needs a unit and a meaning")
