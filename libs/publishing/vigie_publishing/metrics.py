"""What every service that publishes named samples counts: name, kind, unit and meaning in one place."""

from __future__ import annotations

from vigie_runtime.bus.publisher_metrics import PUBLISHER_METRICS
from vigie_runtime.metrics import Gauge, Histogram

BUFFERED = Gauge("vigie_publishing_buffered_samples", "samples", "Samples that wait for Kafka's acknowledgement")
KNOWN = Gauge("vigie_publishing_known_series", "series", "Series in the cache of this process")
WAITING = Gauge("vigie_publishing_waiting_series", "series", "New series that wait for the catalogue")
CATALOGUE_WAIT = Histogram(
    "vigie_publishing_catalogue_wait_seconds", "seconds", "How long a request with new series waited for the catalogue"
)

PUBLISHING_METRICS = (BUFFERED, KNOWN, WAITING, CATALOGUE_WAIT, *PUBLISHER_METRICS)
