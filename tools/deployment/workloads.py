"""What runs: of each service an account, a Deployment, a Service, a disruption budget; and the Job that prepares."""

from __future__ import annotations

from typing import Any, Final

from tools.deployment.services import PORT, SECRETS_DIRECTORY, SERVER_FILES, USER, VERSION, Row, variables

Manifest = dict[str, Any]

NAME: Final = "app.kubernetes.io/name"
PART_OF: Final = {"app.kubernetes.io/part-of": "vigie"}
CONFINED: Final[Manifest] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
TMP: Final[Manifest] = {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}
SERVER_SOURCES: Final = (
    ("vigie-kafka", {"password": "kafka-password"}),
    ("vigie-mongodb", {"uri": "mongodb-uri"}),
    ("vigie-redis", {"url": "redis-url"}),
)
"""The Secrets of the servers, first and in this order: components replace them by their place."""
_START_S: Final = 300
"""A start waits for Kafka and MongoDB, up to a minute for each step, and then ends by itself with a sentence."""
_PERIOD_S: Final = 5


def labels(name: str) -> dict[str, str]:
    return {NAME: name, **PART_OF}


def service(row: Row) -> list[Manifest]:
    """All of one service but who may reach it and how many there are."""
    chosen = {"matchLabels": labels(row.name)}
    return [
        account(row.name),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": row.name, "labels": labels(row.name)},
            "spec": {
                "replicas": row.replicas,
                "revisionHistoryLimit": 5,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "selector": chosen,
                "template": {"metadata": {"labels": labels(row.name)}, "spec": _pod(row)},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": row.name, "labels": labels(row.name)},
            "spec": {
                "selector": labels(row.name),
                "ports": [{"name": "http", "port": PORT, "targetPort": "http", "appProtocol": "http"}],
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": row.name, "labels": labels(row.name)},
            "spec": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": chosen},
        },
    ]


def account(name: str) -> Manifest:
    """Nobody of ours talks to the cluster's API."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "labels": labels(name)},
        "automountServiceAccountToken": False,
    }


def pod_basics(name: str, user: int = USER) -> Manifest:
    """What every pod has, whoever wrote its program."""
    return {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # variables named after services would be taken for settings
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _pod(row: Row) -> Manifest:
    spread = {
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(row.name)},
        "matchLabelKeys": ["pod-template-hash"],
    }
    return {
        **pod_basics(row.name),
        "terminationGracePeriodSeconds": row.grace_s,
        "topologySpreadConstraints": [
            {"topologyKey": key, **spread} for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "containers": [_container(row)],
        "volumes": [_secrets(row.all_secrets), TMP],
    }


def _container(row: Row) -> Manifest:
    needs = row.resources
    container: Manifest = {
        "name": row.name,
        "image": f"vigie/{row.name}:{VERSION}",
        "ports": [{"name": "http", "containerPort": PORT}],
        "envFrom": [{"configMapRef": {"name": "vigie"}}],
        "env": [{"name": name, "value": value} for name, value in variables(row).items()],
        "securityContext": CONFINED,
        "resources": {
            "requests": {"cpu": f"{int(needs.cpu * 1000)}m", "memory": f"{needs.memory}Mi"},
            "limits": {"memory": f"{needs.memory_limit}Mi"},
        },
        # Started: it has connected and listens. Live: its loop answers, whatever is away. Ready: requests are served.
        "startupProbe": {**_asks("/health/live"), "failureThreshold": _START_S // _PERIOD_S},
        "livenessProbe": {**_asks("/health/live"), "failureThreshold": 6},
        "readinessProbe": {**_asks("/health/ready"), "failureThreshold": 2},
    }
    if row.last_requests_s:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": row.last_requests_s}}}
    container["volumeMounts"] = MOUNTS
    return container


MOUNTS: Final[list[Manifest]] = [
    {"name": "secrets", "mountPath": SECRETS_DIRECTORY, "readOnly": True},
    {"name": "tmp", "mountPath": "/tmp"},
]


def _asks(path: str) -> Manifest:
    # By a name that every server of ours answers to, also when VIGIE_ALLOWED_HOSTS is set.
    headers = [{"name": "Host", "value": "localhost"}]
    return {
        "httpGet": {"path": path, "port": "http", "httpHeaders": headers},
        "periodSeconds": _PERIOD_S,
        "timeoutSeconds": 4,
    }


def _secrets(names: tuple[str, ...]) -> Manifest:
    """Files, not variables: they are in no dump of the environment, and who has which stands here."""
    sources = [_source(secret, items) for secret, items in SERVER_SOURCES]
    of_servers = {path for _, items in SERVER_SOURCES for path in items.values()}
    own = {name: name for name in names if name not in of_servers}
    if own:
        sources.append(_source("vigie", own))
    return {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": sources}}


def _source(secret: str, items: dict[str, str]) -> Manifest:
    return {"secret": {"name": secret, "items": [{"key": key, "path": path} for key, path in items.items()]}}


def prepare() -> list[Manifest]:
    """The Job that makes topics, collections and indexes. Services do so too; here a failure is seen by itself."""
    name = "prepare"
    return [
        account(name),
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": labels(name)},
            "spec": {
                "backoffLimit": 6,
                "activeDeadlineSeconds": 900,
                "ttlSecondsAfterFinished": 600,  # a Job is not changed in place: the next release makes it anew
                "template": {
                    "metadata": {"labels": labels(name)},
                    "spec": {
                        **pod_basics(name),
                        "restartPolicy": "OnFailure",
                        "containers": [
                            {
                                "name": name,
                                "image": f"vigie/standalone:{VERSION}",
                                "command": ["vigie", "prepare"],
                                "envFrom": [{"configMapRef": {"name": "vigie"}}],
                                "env": [{"name": key, "value": value} for key, value in SERVER_FILES.items()],
                                "securityContext": CONFINED,
                                "resources": {
                                    "requests": {"cpu": "100m", "memory": "192Mi"},
                                    "limits": {"memory": "512Mi"},
                                },
                                "volumeMounts": MOUNTS,
                            }
                        ],
                        "volumes": [_secrets(()), TMP],
                    },
                },
            },
        },
    ]
