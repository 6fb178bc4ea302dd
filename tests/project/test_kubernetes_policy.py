"""Each check of what a deployment must be refuses a deployment that is not so."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.project import kustomize
from tests.project.repo import ROOT
from tools.deployment import edges, policy
from tools.deployment.composed import Composed, selects
from tools.deployment.policy import Check, findings

Manifest = dict[str, Any]
GOOD = kustomize.compose(ROOT / "deploy/k8s/overlays/dev")
SCALED = kustomize.compose(ROOT / "deploy/k8s/overlays/production-external")


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    return next(m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)


def pod(manifests: list[Manifest], name: str = "ingest", kind: str = "Deployment") -> Manifest:
    return one(manifests, kind, name)["spec"]["template"]["spec"]


def container(manifests: list[Manifest], name: str = "ingest", kind: str = "Deployment") -> Manifest:
    return pod(manifests, name, kind)["containers"][0]


def drop(manifests: list[Manifest], kind: str, name: str) -> None:
    manifests.remove(one(manifests, kind, name))


def opened(manifests: list[Manifest], **rules: Any) -> None:
    """One more edge than the table has."""
    spec = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "redis"}}, "policyTypes": ["Ingress"], **rules}
    manifests.append(
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "x"}, "spec": spec}
    )


def volume(manifests: list[Manifest], name: str) -> Manifest:
    return next(v for v in pod(manifests)["volumes"] if v["name"] == name)


def source(manifests: list[Manifest], secret: str) -> Manifest:
    found = volume(manifests, "secrets")["projected"]["sources"]
    return next(s["secret"] for s in found if s["secret"]["name"] == secret)


Break = Callable[[list[Manifest]], Any]
BROKEN: list[tuple[Check, str, Break]] = [
    (policy.pods_run_without_root, "ingest: runs as root", lambda m: pod(m)["securityContext"].pop("runAsNonRoot")),
    (
        policy.pods_run_without_root,
        "kafka/kafka: may become root",
        lambda m: container(m, "kafka", "StatefulSet")["securityContext"].pop("allowPrivilegeEscalation"),
    ),
    (policy.pods_run_without_root, "ingest: hostNetwork", lambda m: pod(m).update(hostNetwork=True)),
    (
        policy.file_systems_are_read_only,
        "writes to its image",
        lambda m: container(m)["securityContext"].update(readOnlyRootFilesystem=False),
    ),
    (policy.file_systems_are_read_only, "has no /tmp", lambda m: container(m)["volumeMounts"].pop()),
    (policy.file_systems_are_read_only, "may fill the node", lambda m: volume(m, "tmp")["emptyDir"].clear()),
    (
        policy.file_systems_are_read_only,
        "of the host",
        lambda m: pod(m)["volumes"].append({"name": "root", "hostPath": {"path": "/"}}),
    ),
    (
        policy.capabilities_are_dropped,
        "keeps capabilities",
        lambda m: container(m)["securityContext"]["capabilities"].update(drop=["NET_RAW"]),
    ),
    (
        policy.capabilities_are_dropped,
        "adds NET_RAW",
        lambda m: container(m, "healthcheck")["securityContext"].update(
            capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}
        ),
    ),
    (
        policy.system_calls_are_filtered,
        "any system call",
        lambda m: pod(m)["securityContext"].update(seccompProfile={"type": "Unconfined"}),
    ),
    (policy.accounts_have_no_token, "gets a token", lambda m: pod(m).pop("automountServiceAccountToken")),
    (policy.accounts_have_no_token, "no account of its own", lambda m: pod(m).update(serviceAccountName="default")),
    (
        policy.accounts_have_no_token,
        "hands out tokens",
        lambda m: one(m, "ServiceAccount", "ingest").pop("automountServiceAccountToken"),
    ),
    (
        policy.services_are_no_variables,
        "kafka: KAFKA_PORT",
        lambda m: pod(m, "kafka", "StatefulSet").pop("enableServiceLinks"),
    ),
    (policy.resources_are_said, "what it needs", lambda m: container(m)["resources"]["requests"].pop("cpu")),
    (policy.resources_are_said, "all memory", lambda m: container(m)["resources"].pop("limits")),
    (policy.resources_are_said, "held up", lambda m: container(m)["resources"]["limits"].update(cpu="1")),
    (policy.probes_ask_the_right_question, "no startup probe", lambda m: container(m, "proxy").pop("startupProbe")),
    (
        policy.probes_ask_the_right_question,
        "liveness is /health/live",
        lambda m: container(m)["livenessProbe"]["httpGet"].update(path="/health/ready"),
    ),
    (
        policy.probes_ask_the_right_question,
        "VIGIE_ALLOWED_HOSTS",
        lambda m: container(m)["readinessProbe"]["httpGet"].pop("httpHeaders"),
    ),
    (
        policy.probes_ask_the_right_question,
        "given up before",
        lambda m: container(m)["readinessProbe"].pop("timeoutSeconds"),
    ),
    (
        policy.probes_ask_the_right_question,
        "while it waits",
        lambda m: container(m)["startupProbe"].update(failureThreshold=6),
    ),
    (
        policy.stops_have_time,
        "is killed after 30 s, and may need 55",
        lambda m: pod(m).update(terminationGracePeriodSeconds=30),
    ),
    (policy.stops_have_time, "while requests still come", lambda m: container(m).pop("lifecycle")),
    (
        policy.stops_have_time,
        "may need 125",
        lambda m: one(m, "ConfigMap", "vigie")["data"].update(VIGIE_SHUTDOWN_TIMEOUT_S="60"),
    ),
    (policy.drains_keep_it_up, "api: has 0 disruption budgets", lambda m: drop(m, "PodDisruptionBudget", "api")),
    (
        policy.drains_keep_it_up,
        "can be drained",
        lambda m: one(m, "PodDisruptionBudget", "api")["spec"].update(maxUnavailable=0),
    ),
    (policy.replicas_are_spread, "in one zone", lambda m: pod(m)["topologySpreadConstraints"].pop(0)),
    (
        policy.replicas_are_spread,
        "in one hostname",
        lambda m: pod(m)["topologySpreadConstraints"][1]["labelSelector"]["matchLabels"].update(other="label"),
    ),
    (
        policy.releases_roll,
        "takes the old ones away",
        lambda m: one(m, "Deployment", "api")["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1),
    ),
    (
        policy.secrets_are_files_by_reference,
        "among the manifests",
        lambda m: m.append({"kind": "Secret", "metadata": {"name": "vigie"}, "data": {}}),
    ),
    (
        policy.secrets_are_files_by_reference,
        "is a secret in a ConfigMap",
        lambda m: one(m, "ConfigMap", "vigie")["data"].update(REDIS_URL="redis://u:p@redis"),
    ),
    (
        policy.secrets_are_files_by_reference,
        "VIGIE_JWT_SECRET is in the environment",
        lambda m: container(m)["env"].append({"name": "VIGIE_JWT_SECRET", "value": "x"}),
    ),
    (
        policy.secrets_are_files_by_reference,
        "PASS is in the environment",
        lambda m: container(m)["env"].append(
            {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "vigie", "key": "x"}}}
        ),
    ),
    (
        policy.secrets_are_files_by_reference,
        "whole Secret",
        lambda m: container(m)["envFrom"].append({"secretRef": {"name": "vigie"}}),
    ),
    (
        policy.secrets_are_those_of_the_table,
        "admin-password",
        lambda m: source(m, "vigie")["items"].append({"key": "admin-password", "path": "admin-password"}),
    ),
    (policy.secrets_are_those_of_the_table, "redis-url", lambda m: source(m, "vigie-redis")["items"].clear()),
    (policy.images_are_pinned, "another one tomorrow", lambda m: container(m).update(image="vigie/ingest:latest")),
    (
        policy.references_exist,
        "leads to 0 workloads",
        lambda m: one(m, "Service", "push")["spec"]["selector"].update(other="label"),
    ),
    (
        policy.references_exist,
        "no port web",
        lambda m: one(m, "Service", "push")["spec"]["ports"][0].update(targetPort="web"),
    ),
    (policy.references_exist, "no ConfigMap vigie", lambda m: drop(m, "ConfigMap", "vigie")),
    (policy.references_exist, "leads to proxy, which does not exist", lambda m: drop(m, "Service", "proxy")),
    (policy.every_service_is_there, "push: is in the table", lambda m: drop(m, "Deployment", "push")),
    (
        policy.the_namespace_refuses_less,
        "not confined",
        lambda m: one(m, "Namespace", "vigie")["metadata"]["labels"].clear(),
    ),
    (policy.the_namespace_refuses_less, "no Namespace", lambda m: drop(m, "Namespace", "vigie")),
    (edges.nothing_is_reachable_unless_said, "ingress is open", lambda m: drop(m, "NetworkPolicy", "default-deny")),
    (
        edges.nothing_is_reachable_unless_said,
        "chooses nobody",
        lambda m: one(m, "NetworkPolicy", "redis")["spec"].update(podSelector={"matchLabels": {"app": "rediss"}}),
    ),
    (
        edges.edges_are_those_of_the_table,
        "ingest does not reach kafka:9092",
        lambda m: drop(m, "NetworkPolicy", "to-kafka"),
    ),
    (edges.edges_are_those_of_the_table, "healthcheck reaches redis:8080", lambda m: opened(m, ingress=[{}])),
    (
        edges.edges_are_those_of_the_table,
        "proxy reaches ingest:6379",
        lambda m: (
            one(m, "NetworkPolicy", "proxy")["spec"]["egress"][0].pop("ports")
            and one(m, "NetworkPolicy", "front-door")["spec"]["ingress"][0].pop("ports")
        ),
    ),
]
OVERSCALED: list[tuple[str, Break]] = [
    ("13 would share 12 partitions",
     lambda m: one(m, "HorizontalPodAutoscaler", "aggregator")["spec"].update(maxReplicas=13)),
    ("12 would share 4 partitions", lambda m: one(m, "ConfigMap", "vigie")["data"].update(VIGIE_PARTITIONS="4")),
    ("undo its scaler", lambda m: one(m, "Deployment", "api")["spec"].update(replicas=2)),
    ("does not exist",
     lambda m: one(m, "HorizontalPodAutoscaler", "api")["spec"]["scaleTargetRef"].update(name="apis")),
    ("two scalers pull", lambda m: m.append(one(m, "HorizontalPodAutoscaler", "api"))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "finding", "spoil"), BROKEN, ids=[f"{check.__name__}: {finding}" for check, finding, _ in BROKEN]
)
def test_what_is_broken_is_found(check: Check, finding: str, spoil: Break) -> None:
    broken = copy.deepcopy(GOOD)
    assert list(check(Composed(broken))) == []
    spoil(broken)
    found = list(check(Composed(broken)))
    assert any(finding in one for one in found), found


@pytest.mark.parametrize(("finding", "spoil"), OVERSCALED, ids=[finding for finding, _ in OVERSCALED])
def test_scaler_that_does_not_fit_is_found(finding: str, spoil: Break) -> None:
    broken = copy.deepcopy(SCALED)
    assert list(policy.scalers_end_at_the_partitions(Composed(broken))) == []
    spoil(broken)
    assert any(finding in one for one in policy.scalers_end_at_the_partitions(Composed(broken)))


def test_every_check_has_a_deployment_that_it_refuses() -> None:
    assert {check for check, *_ in BROKEN} | {policy.scalers_end_at_the_partitions} == set(policy.CHECKS)


def test_finding_names_its_check() -> None:
    broken = copy.deepcopy(GOOD)
    pod(broken)["hostPID"] = True
    assert findings(Composed(broken)) == ["pods_run_without_root: ingest: hostPID"]


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors_mean_what_kubernetes_says(selector: Manifest | None, fits: bool) -> None:
    assert selects(selector, {"a": "1"}) is fits
