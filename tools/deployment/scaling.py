"""How many there are: by CPU where requests make the work, by what waits where records do, up to the partitions."""

from __future__ import annotations

from typing import Any, Final

from tools.deployment.services import SERVICES, Lag, Row
from tools.deployment.workloads import Manifest, labels

CPU_PERCENT: Final = 60
"""Of what is requested: the load at which docs/scaling.md counts cores."""
_STEADY_S: Final = 300
"""Partitions change hands with every member that comes or goes: not for a quarter of a minute's calm."""


def horizontal(row: Row) -> Manifest:
    """With the metrics API alone; of a consumer group also what waits, as an adapter of Prometheus shows it."""
    metrics: list[Manifest] = [
        {"type": "Resource", "resource": {"name": "cpu", "target": _target("Utilization", CPU_PERCENT)}}
    ]
    for lag in row.lags[:1]:
        metric = {"name": "vigie_logreader_lag_records", "selector": {"matchLabels": {"job": f"vigie-{row.name}"}}}
        target = {"type": "AverageValue", "averageValue": str(lag.records)}
        metrics.append({"type": "External", "external": {"metric": metric, "target": target}})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": row.name, "labels": labels(row.name)},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": row.name},
            "minReplicas": row.replicas,
            "maxReplicas": row.most_replicas,
            "metrics": metrics,
            "behavior": _BEHAVIOR,
        },
    }


_BEHAVIOR: Final[Manifest] = {
    "scaleUp": {"stabilizationWindowSeconds": 30, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]},
    "scaleDown": {
        "stabilizationWindowSeconds": _STEADY_S,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
    },
}


def keda(row: Row) -> Manifest:
    """With KEDA, which asks Kafka itself what waits for a group."""
    triggers: list[Manifest] = [
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(CPU_PERCENT)}},
        *(_trigger(lag) for lag in row.lags),
    ]
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": row.name, "labels": labels(row.name)},
        "spec": {
            "scaleTargetRef": {"name": row.name},
            "minReplicaCount": row.replicas,
            "maxReplicaCount": row.most_replicas,
            "pollingInterval": 15,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _BEHAVIOR}},
            "triggers": triggers,
        },
    }


def _trigger(lag: Lag) -> Manifest:
    return {
        "type": "kafka",
        "metadata": {
            "bootstrapServersFromEnv": "KAFKA_BOOTSTRAP_SERVERS",
            "topic": lag.topic.name,
            "consumerGroup": lag.group,
            "lagThreshold": str(lag.records),
            "offsetResetPolicy": "earliest",
            "allowIdleConsumers": "false",  # never more members than partitions, whatever VIGIE_PARTITIONS says
            "sasl": "scram_sha512",
            "tls": "enable",
        },
        "authenticationRef": {"name": "vigie-kafka"},
    }


def authentication(row: Row) -> Manifest:
    """How KEDA logs in: as the services do."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {"name": "vigie-kafka", "labels": labels(row.name)},
        "spec": {
            "env": [{"parameter": "username", "name": "VIGIE_KAFKA_SASL_USERNAME", "containerName": row.name}],
            "secretTargetRef": [
                {"parameter": "password", "name": "vigie-kafka", "key": "password"},
                {"parameter": "ca", "name": "vigie-cluster-ca-cert", "key": "ca.crt"},
            ],
        },
    }


def _target(kind: str, value: int) -> dict[str, Any]:
    return {"type": kind, "averageUtilization": value}


def both() -> tuple[list[Manifest], list[Manifest]]:
    """For the two components, of which an overlay takes one."""
    waited_for = next(row for row in SERVICES if row.lags)
    return [horizontal(row) for row in SERVICES], [authentication(waited_for), *(keda(row) for row in SERVICES)]
