"""What every composed deployment must be: named checks, each of which gives a sentence per finding.

    kubectl kustomize OVERLAY | python -m tools.deployment.policy

prints the findings and ends with 1 when there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import yaml
from vigie_runtime.settings import Settings

from tools.deployment.composed import Composed, Manifest, Workload, selects
from tools.deployment.edges import edges_are_those_of_the_table, nothing_is_reachable_unless_said
from tools.deployment.services import BY_NAME, PARTITIONS

Check = Callable[[Composed], Iterator[str]]

READINESS_S: Final = 3.0
"""What a readiness check of ours takes at most (`vigie_web.health`)."""
SHORTEST_START_S: Final = 180
"""A start waits for Kafka and MongoDB for up to a minute each, and then ends by itself."""
_SECRET: Final = re.compile(r"PASSWORD|SECRET|TOKEN|ENCRYPTION_KEYS|MONGODB_URI|REDIS_URL|WEBHOOK_URL")
_PINNED: Final = re.compile(r"(:v?\d+\.\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$")


def pods_run_without_root(composed: Composed) -> Iterator[str]:
    for one in composed.workloads:
        security = one.pod.get("securityContext", {})
        if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
            yield f"{one.name}: runs as root"
        for container in one.containers:
            if container.get("securityContext", {}).get("allowPrivilegeEscalation") is not False:
                yield f"{one.name}/{container['name']}: may become root"
        for right in ("hostNetwork", "hostPID", "hostIPC"):
            if one.pod.get(right):
                yield f"{one.name}: {right}"


def file_systems_are_read_only(composed: Composed) -> Iterator[str]:
    for one in composed.workloads:
        volumes = {volume["name"]: volume for volume in one.pod.get("volumes", [])}
        for volume in volumes.values():
            if "hostPath" in volume:
                yield f"{one.name}: mounts {volume['name']} of the host"
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                yield f"{one.name}: {volume['name']} may fill the node"
        for container in one.containers:
            if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
                yield f"{one.name}/{container['name']}: writes to its image"
            tmp = [mount["name"] for mount in container.get("volumeMounts", []) if mount["mountPath"] == "/tmp"]
            if not tmp or "emptyDir" not in volumes.get(tmp[0], {}):
                yield f"{one.name}/{container['name']}: has no /tmp"


def capabilities_are_dropped(composed: Composed) -> Iterator[str]:
    for one in composed.workloads:
        for container in one.containers:
            capabilities = container.get("securityContext", {}).get("capabilities", {})
            if capabilities.get("drop") != ["ALL"]:
                yield f"{one.name}/{container['name']}: keeps capabilities"
            # Carried by the proxy's program; the standard `restricted` allows it.
            allowed = {"NET_BIND_SERVICE"} if one.name == "proxy" else set[str]()
            if more := set(capabilities.get("add", [])) - allowed:
                yield f"{one.name}/{container['name']}: adds {', '.join(sorted(more))}"


def system_calls_are_filtered(composed: Composed) -> Iterator[str]:
    for one in composed.workloads:
        if one.pod.get("securityContext", {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{one.name}: any system call"


def accounts_have_no_token(composed: Composed) -> Iterator[str]:
    accounts = composed.named("ServiceAccount")
    for one in composed.workloads:
        if one.pod.get("automountServiceAccountToken") is not False:
            yield f"{one.name}: gets a token of the cluster"
        account = accounts.get(one.pod.get("serviceAccountName", "default"))
        if account is None:
            yield f"{one.name}: has no account of its own"
        elif account.get("automountServiceAccountToken") is not False:
            yield f"{one.name}: its account hands out tokens"


def services_are_no_variables(composed: Composed) -> Iterator[str]:
    for one in composed.workloads:
        if one.pod.get("enableServiceLinks") is not False:
            yield f"{one.name}: KAFKA_PORT and others of the cluster's would be taken for settings"


def resources_are_said(composed: Composed) -> Iterator[str]:
    for one in composed.workloads:
        for container in one.containers:
            resources = container.get("resources", {})
            if not {"cpu", "memory"} <= set(resources.get("requests", {})):
                yield f"{one.name}/{container['name']}: does not say what it needs"
            if "memory" not in resources.get("limits", {}):
                yield f"{one.name}/{container['name']}: may take all memory"
            if "cpu" in resources.get("limits", {}):
                yield f"{one.name}/{container['name']}: is held up on an idle machine"


def probes_ask_the_right_question(composed: Composed) -> Iterator[str]:
    for one in composed.lasting:
        container = one.pod["containers"][0]
        probes = {kind: container.get(f"{kind}Probe") for kind in ("startup", "liveness", "readiness")}
        for kind, probe in probes.items():
            if probe is None:
                yield f"{one.name}: has no {kind} probe"
        if one.ours and all(probes.values()):
            yield from _of_ours(one, {kind: probe for kind, probe in probes.items() if probe})


def _of_ours(one: Workload, probes: dict[str, Manifest]) -> Iterator[str]:
    for kind, path in (("startup", "/health/live"), ("liveness", "/health/live"), ("readiness", "/health/ready")):
        asked = probes[kind].get("httpGet", {})
        if asked.get("path") != path:
            yield f"{one.name}: {kind} is {path}, else servers that are away would restart everything"
        if {"name": "Host", "value": "localhost"} not in asked.get("httpHeaders", []):
            yield f"{one.name}: {kind} is refused when VIGIE_ALLOWED_HOSTS is set"
    if probes["readiness"].get("timeoutSeconds", 1) <= READINESS_S:
        yield f"{one.name}: readiness is given up before it is known"
    if probes["startup"].get("periodSeconds", 10) * probes["startup"].get("failureThreshold", 3) < SHORTEST_START_S:
        yield f"{one.name}: is killed while it waits for Kafka and MongoDB"


def stops_have_time(composed: Composed) -> Iterator[str]:
    for one in composed.lasting:
        row = BY_NAME.get(one.name)
        if row is None:
            continue
        container = one.pod["containers"][0]
        default = Settings.model_fields["shutdown_timeout_s"].default
        timeout = float(composed.variables(container).get("VIGIE_SHUTDOWN_TIMEOUT_S", default))
        sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if row.front and not sleep:
            yield f"{one.name}: stops while requests still come"
        needed = sleep + timeout * (2 if row.front else 1)  # with a server requests first, then the parts
        given = one.pod.get("terminationGracePeriodSeconds", 30)
        if given < needed:
            yield f"{one.name}: is killed after {given} s, and may need {needed:g}"


def drains_keep_it_up(composed: Composed) -> Iterator[str]:
    budgets = list(composed.of_kind("PodDisruptionBudget"))
    for one in composed.lasting:
        if one.name not in (*BY_NAME, "proxy"):
            continue
        chosen = [budget for budget in budgets if selects(budget["spec"].get("selector"), one.labels)]
        if len(chosen) != 1:
            yield f"{one.name}: has {len(chosen)} disruption budgets"
        elif chosen[0]["spec"].get("maxUnavailable") in (None, 0, "0%"):
            yield f"{one.name}: no node under it can be drained"


def replicas_are_spread(composed: Composed) -> Iterator[str]:
    for one in composed.lasting:
        if one.name not in (*BY_NAME, "proxy"):
            continue
        keys = {
            spread["topologyKey"]
            for spread in one.pod.get("topologySpreadConstraints", [])
            if selects(spread.get("labelSelector"), one.labels)
        }
        for key in {"topology.kubernetes.io/zone", "kubernetes.io/hostname"} - keys:
            yield f"{one.name}: all may be in one {key.split('/')[1]}"


def releases_roll(composed: Composed) -> Iterator[str]:
    for one in composed.of_kind("Deployment"):
        name, rolling = one["metadata"]["name"], one["spec"].get("strategy", {}).get("rollingUpdate", {})
        if name in (*BY_NAME, "proxy") and rolling.get("maxUnavailable") != 0:
            yield f"{name}: a release takes the old ones away first"


def secrets_are_files_by_reference(composed: Composed) -> Iterator[str]:
    for secret in composed.named("Secret"):
        yield f"{secret}: a secret lies among the manifests"
    for name, config in composed.named("ConfigMap").items():
        for key in config.get("data", {}):
            if _SECRET.search(key) and not key.endswith("_FILE"):
                yield f"{name}: {key} is a secret in a ConfigMap"
    for one in composed.workloads:
        for container in one.containers:
            for variable in container.get("env", []):
                by_reference = "secretKeyRef" in variable.get("valueFrom", {})
                if by_reference or (_SECRET.search(variable["name"]) and not variable["name"].endswith("_FILE")):
                    yield f"{one.name}: {variable['name']} is in the environment"
            if any("secretRef" in source for source in container.get("envFrom", [])):
                yield f"{one.name}: a whole Secret is in the environment"


def secrets_are_those_of_the_table(composed: Composed) -> Iterator[str]:
    for one in composed.lasting:
        if (row := BY_NAME.get(one.name)) is None:
            continue
        mounted = {
            item["path"]
            for volume in one.pod.get("volumes", [])
            for source in volume.get("projected", {}).get("sources", [])
            for item in source.get("secret", {}).get("items", [])
        }
        if wrong := mounted - {"kafka-ca"} ^ set(row.all_secrets):  # an authority is none, whatever keeps it
            yield f"{one.name}: other secrets than the table's: {', '.join(sorted(wrong))}"


def scalers_end_at_the_partitions(composed: Composed) -> Iterator[str]:
    deployments = composed.named("Deployment")
    scaled: list[str] = []
    for scaler in composed.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        spec = scaler["spec"]
        name = spec["scaleTargetRef"]["name"]
        scaled.append(name)
        most = spec.get("maxReplicas", spec.get("maxReplicaCount"))
        if name not in deployments:
            yield f"{name}: is scaled and does not exist"
            continue
        if "replicas" in deployments[name]["spec"]:
            yield f"{name}: each apply would undo its scaler"
        partitions = int(_setting(composed, deployments[name], "VIGIE_PARTITIONS", PARTITIONS))
        row = BY_NAME.get(name)
        if row and row.most_replicas == PARTITIONS and most > partitions:
            yield f"{name}: {most} would share {partitions} partitions"
    for name in {one for one in scaled if scaled.count(one) > 1}:
        yield f"{name}: two scalers pull at it"


def _setting(composed: Composed, deployment: Manifest, name: str, default: int) -> str:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return composed.variables(container).get(name, str(default))


def images_are_pinned(composed: Composed) -> Iterator[str]:
    for one in composed.workloads:
        for container in one.containers:
            if not _PINNED.search(container["image"]):
                yield f"{one.name}: {container['image']} is another one tomorrow"


def references_exist(composed: Composed) -> Iterator[str]:
    services, configs = composed.named("Service"), composed.named("ConfigMap")
    for name, service in services.items():
        chosen = [one for one in composed.lasting if selects({"matchLabels": service["spec"]["selector"]}, one.labels)]
        if len(chosen) != 1:
            yield f"Service {name}: leads to {len(chosen)} workloads"
            continue
        ports = {port["name"] for container in chosen[0].containers for port in container.get("ports", [])}
        yield from (f"Service {name}: no port {one['targetPort']}" for one in service["spec"]["ports"]
                    if one["targetPort"] not in ports)  # fmt: skip
    for one in composed.workloads:
        named = [source["configMapRef"]["name"] for container in one.containers for source in
                 container.get("envFrom", []) if "configMapRef" in source]  # fmt: skip
        named += [volume["configMap"]["name"] for volume in one.pod.get("volumes", []) if "configMap" in volume]
        yield from (f"{one.name}: there is no ConfigMap {config}" for config in named if config not in configs)
    for monitor in composed.of_kind("ServiceMonitor"):
        if not any(
            selects(monitor["spec"]["selector"], one["metadata"].get("labels", {})) for one in services.values()
        ):
            yield f"ServiceMonitor {monitor['metadata']['name']}: finds no Service"
    for name in _backends(composed):
        if name not in services:
            yield f"the front door leads to {name}, which does not exist"


def _backends(composed: Composed) -> Iterator[str]:
    for ingress in composed.of_kind("Ingress"):
        for rule in ingress["spec"]["rules"]:
            yield from (path["backend"]["service"]["name"] for path in rule["http"]["paths"])
    for route in composed.of_kind("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            yield from (backend["name"] for backend in rule.get("backendRefs", []))


def every_service_is_there(composed: Composed) -> Iterator[str]:
    there = {one.name for one in composed.lasting}
    yield from (f"{name}: is in the table and not deployed" for name in BY_NAME if name not in there)


def the_namespace_refuses_less(composed: Composed) -> Iterator[str]:
    namespaces = list(composed.of_kind("Namespace"))
    if not namespaces:
        yield "there is no Namespace"
    for one in namespaces:
        if one["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{one['metadata']['name']}: lets pods in that are not confined"


CHECKS: Final[Sequence[Check]] = (
    pods_run_without_root,
    file_systems_are_read_only,
    capabilities_are_dropped,
    system_calls_are_filtered,
    accounts_have_no_token,
    services_are_no_variables,
    resources_are_said,
    probes_ask_the_right_question,
    stops_have_time,
    drains_keep_it_up,
    replicas_are_spread,
    releases_roll,
    secrets_are_files_by_reference,
    secrets_are_those_of_the_table,
    scalers_end_at_the_partitions,
    images_are_pinned,
    references_exist,
    every_service_is_there,
    the_namespace_refuses_less,
    nothing_is_reachable_unless_said,
    edges_are_those_of_the_table,
)


def findings(composed: Composed) -> list[str]:
    """One line each, with the name of the check."""
    return [f"{check.__name__}: {finding}" for check in CHECKS for finding in check(composed)]


def main() -> int:
    found = findings(Composed([one for one in yaml.safe_load_all(sys.stdin) if one]))
    for line in found:
        print(line)
    print(f"policy: {len(CHECKS)} checks, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
