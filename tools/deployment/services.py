"""What is deployed: one row per service. `deploy/k8s` is written from it, `docker-compose.yml` is checked against it.

A service that is added has its row here, and is in both. Resources are from docs/scaling.md; `sized_for` says what a
replica of that size takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vigie_contracts.topics import CHECKS, REPORTS, SAMPLES, Topic

VERSION: Final = "0.1.0"
PORT: Final = 8080
"""The image makes every service listen there."""
USER: Final = 10001
"""The image's user and group."""
SECRETS_DIRECTORY: Final = "/run/secrets"
PARTITIONS: Final = 12
"""Of each topic, unless VIGIE_PARTITIONS says otherwise: more members of a group than these have nothing to do."""
SHUTDOWN_TIMEOUT_S: Final = 25
"""The default of VIGIE_SHUTDOWN_TIMEOUT_S."""
LAST_REQUESTS_S: Final = 5
"""Before the signal to stop: until everybody knows that no request may be sent here any more."""
_EXIT_S: Final = 5

SERVER_SECRETS: Final = ("kafka-password", "mongodb-uri", "redis-url")
"""Of everything that uses the servers."""
SERVERS: Final = {"kafka": 9092, "mongodb": 27017, "redis": 6379}


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU in cores, memory in MiB. No limit of CPU: it would hold up a burst on an idle machine."""

    cpu: float
    memory: int
    memory_limit: int
    sized_for: str


@dataclass(frozen=True, slots=True)
class Lag:
    """A consumer group: another member is worth its while when so many records of `topic` wait for each."""

    topic: Topic
    group: str
    records: int


@dataclass(frozen=True, slots=True)
class Row:
    """A service that runs all the time."""

    name: str
    resources: Resources
    front: bool = True
    """Strangers reach it, by way of the front door."""
    secrets: tuple[str, ...] = ()
    """Beside those of the servers: keys of the Secret `vigie`, names of compose's secrets."""
    settings: dict[str, str] = field(default_factory=dict[str, str])
    """Its own variables, beside those of the ConfigMap that all are given."""
    metrics_path: str = "/internal/metrics"
    outside: bool = False
    """It calls addresses that people name: webhooks, targets."""
    replicas: int = 2
    lags: tuple[Lag, ...] = ()
    most_replicas: int = 10

    @property
    def all_secrets(self) -> tuple[str, ...]:
        return (*SERVER_SECRETS, *(("jwt-secret",) if self.front else ()), *self.secrets)

    @property
    def last_requests_s(self) -> int:
        """Nobody sends requests to a worker."""
        return LAST_REQUESTS_S if self.front else 0

    @property
    def grace_s(self) -> int:
        """The longest stop: with an HTTP server requests, and then parts, get the time-out each."""
        return self.last_requests_s + SHUTDOWN_TIMEOUT_S * (2 if self.front else 1) + _EXIT_S


INGEST: Final = Row(
    "ingest",
    Resources(0.5, 384, 1024, "100,000 series; 200,000 samples a second in batches, 4,000 one by one"),
    metrics_path="/metrics",
)
AGGREGATOR: Final = Row(
    "aggregator",
    Resources(0.5, 384, 1024, "100,000 series; 400,000 samples a second"),
    front=False,
    metrics_path="/metrics",
    lags=(
        Lag(SAMPLES, "vigie-aggregator", 2_000),
        Lag(REPORTS, "vigie-aggregator-reports", 2_000),
        Lag(CHECKS, "vigie-aggregator-checks", 5_000),
    ),
    most_replicas=PARTITIONS,
)
ALERTING: Final = Row(
    "alerting",
    Resources(0.5, 384, 1024, "10,000 rules over 100,000 series"),
    secrets=("channel-keys", "email-password", "slack-webhook-url"),
    settings={
        "EMAIL_PASSWORD_FILE": f"{SECRETS_DIRECTORY}/email-password",
        "SLACK_WEBHOOK_URL_FILE": f"{SECRETS_DIRECTORY}/slack-webhook-url",
        "VIGIE_ENCRYPTION_KEYS_FILE": f"{SECRETS_DIRECTORY}/channel-keys",
    },
    outside=True,
    most_replicas=PARTITIONS,
)
HEALTHCHECK: Final = Row(
    "healthcheck",
    Resources(0.25, 256, 1024, "1,500 targets asked every half minute"),
    secrets=("channel-keys",),
    settings={"VIGIE_ENCRYPTION_KEYS_FILE": f"{SECRETS_DIRECTORY}/channel-keys"},
    outside=True,
    most_replicas=PARTITIONS,
)
API: Final = Row(
    "api",
    Resources(0.5, 256, 1024, "eight readers at a time"),
    secrets=("admin-password",),
    settings={"VIGIE_ADMIN_PASSWORD_FILE": f"{SECRETS_DIRECTORY}/admin-password"},
)
PUSH: Final = Row("push", Resources(0.25, 384, 1024, "10,000 connections of about 20 kB, mostly at rest"))

SERVICES: Final = (INGEST, AGGREGATOR, ALERTING, HEALTHCHECK, API, PUSH)
BY_NAME: Final = {row.name: row for row in SERVICES}
FRONT: Final = tuple(row for row in SERVICES if row.front)

SETTINGS: Final = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "VIGIE_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "VIGIE_KAFKA_SASL_MECHANISM": "PLAIN",
    "VIGIE_KAFKA_SASL_USERNAME": "vigie",
    "VIGIE_LOG_LEVEL": "info",
    "VIGIE_ANONYMOUS": "telemetry",
    "VIGIE_CORS_ORIGINS": "",
    "VIGIE_EXTERNAL_URL": "http://localhost:3000",
    "VIGIE_TRUSTED_PROXIES": "",
    "VIGIE_ALERT_NETWORKS": "",
    "VIGIE_PROBE_NETWORKS": "",
    "VIGIE_PROBE_REFERENCES": "",
    "EMAIL_SMTP_HOST": "",
    "EMAIL_FROM": "vigie@example.com",
    "EMAIL_TO": "",
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.1",
}
"""The ConfigMap `vigie`: what every service is told, whether it asks or not. Overlays change it."""
SERVER_FILES: Final = {
    "VIGIE_KAFKA_SASL_PASSWORD_FILE": f"{SECRETS_DIRECTORY}/kafka-password",
    "MONGODB_URI_FILE": f"{SECRETS_DIRECTORY}/mongodb-uri",
    "REDIS_URL_FILE": f"{SECRETS_DIRECTORY}/redis-url",
}
FRONT_FILES: Final = {"VIGIE_JWT_SECRET_FILE": f"{SECRETS_DIRECTORY}/jwt-secret"}


def variables(row: Row) -> dict[str, str]:
    """What a service is told beside the ConfigMap: mostly where its secrets lie."""
    own = {"VIGIE_OWN_TARGETS": own_targets()} if row is HEALTHCHECK else {}
    return {**SERVER_FILES, **(FRONT_FILES if row.front else {}), **row.settings, **own}


def own_targets() -> str:
    """Healthcheck asks every service of ours, from the first start."""
    return ",".join(f"vigie-{row.name}=http://{row.name}:{PORT}/health/ready" for row in SERVICES)
