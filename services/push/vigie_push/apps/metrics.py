"""What is counted of the metrics that apps send over live connections."""

from __future__ import annotations

from enum import StrEnum

from vigie_runtime.metrics import Counter, Gauge


class Verdict(StrEnum):
    TAKEN = "taken"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


MESSAGES = Counter(
    "vigie_push_app_messages_total", "messages", "Messages `metrics` of apps, by how it ended", {"verdict": Verdict}
)
WAITING = Gauge("vigie_push_app_waiting_bytes", "bytes", "Metrics of apps that wait for Kafka's acknowledgement")

APP_METRICS = (MESSAGES, WAITING)
