"""The manifests of deploy/k8s: what is written by the table, what every overlay comes to, and what a server says."""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils
from vigie_contracts.paths import EVERY, FALLBACK, PATH_RULES, Service, service_of
from vigie_contracts.topics import TOPICS
from vigie_dashboard.site import DIRECTORY as STATIC
from vigie_runtime.settings import Settings

from tests.project import kustomize
from tests.project.repo import ROOT, SERVICES, parsed, text, variables_of
from tools.deployment import manifests
from tools.deployment.composed import Composed
from tools.deployment.policy import findings
from tools.deployment.services import BY_NAME, PARTITIONS, SHUTDOWN_TIMEOUT_S

OVERLAYS = ("dev", "production", "production-external")
DIRECTORY = ROOT / "deploy" / "k8s"
VERSIONS = [
    version
    for version in kubernetes_validate.utils.all_versions()
    if tuple(map(int, version.split(".")[:2])) >= (1, 31)
]
"""Of Kubernetes, from the oldest that is still looked after."""
OTHERS = {
    "Gateway", "HTTPRoute", "ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule",
    "Kafka", "KafkaNodePool", "KafkaUser", "MongoDBCommunity",
}  # fmt: skip
"""Kinds that come with an operator or a controller; their schemas are not Kubernetes' own."""
OPENTELEMETRY = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
"""Read by OpenTelemetry itself."""


@cache
def composed(overlay: str) -> Composed:
    return Composed(kustomize.compose(DIRECTORY / "overlays" / overlay))


def test_manifests_are_what_the_table_says() -> None:
    assert manifests.differing() == [], "run python -m tools.deployment"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_is_what_every_deployment_must_be(overlay: str) -> None:
    assert findings(composed(overlay)) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_is_composed_as_kubectl_does(overlay: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH: only our own composition was checked")
    command = ["kubectl", "kustomize", str(DIRECTORY / "overlays" / overlay)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    theirs = ran.stdout  # where a name generated from a file or a list ends with the hash of its contents
    for hashed in (one["metadata"]["name"] for one in yaml.safe_load_all(theirs) if one["kind"] == "ConfigMap"):
        theirs = theirs.replace(hashed, hashed.rpartition("-")[0])
    assert _sorted(yaml.safe_load_all(theirs)) == _sorted(composed(overlay).manifests)


def _sorted(found: Any) -> list[Any]:
    return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))


@pytest.fixture
def schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is read once; the library reads two megabytes of definitions for every manifest."""
    monkeypatch.setattr(utils, "schema_contents", cache(utils.schema_contents))


@pytest.mark.usefixtures("schemas")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_in_every_kubernetes_that_is_looked_after(version: str) -> None:
    checked: set[str] = set()
    for overlay in OVERLAYS:
        for one in composed(overlay).manifests:
            text_of = yaml.safe_dump(one)
            if one["kind"] not in OTHERS and text_of not in checked:
                kubernetes_validate.validate(one, version, strict=True)
                checked.add(text_of)
    assert len(checked) > 60


@pytest.mark.usefixtures("schemas")
def test_a_misspelt_field_is_found() -> None:
    [ingest] = [one for one in composed("dev").of_kind("Deployment") if one["metadata"]["name"] == "ingest"]
    wrong = {**ingest, "spec": {**ingest["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_versions_reach_from_131_to_the_newest_known() -> None:
    assert VERSIONS[0].startswith("1.31.")
    assert len(VERSIONS) >= 7


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kinds_that_nobody_validates_are_those_of_operators(overlay: str) -> None:
    for one in composed(overlay).manifests:
        group = one["apiVersion"].rpartition("/")[0]
        builtin = "." not in group or (group.endswith(".k8s.io") and not group.startswith("gateway."))
        assert (one["kind"] in OTHERS) is not builtin, one["kind"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_a_setting_of_whoever_is_told(service: str) -> None:
    for overlay in OVERLAYS:
        [one] = [one for one in composed(overlay).lasting if one.name == service]
        own = {variable["name"].removesuffix("_FILE") for variable in one.containers[0]["env"]}
        assert own <= set(variables_of(service))


def test_every_setting_of_the_config_map_is_read_by_somebody() -> None:
    known = {variable for service in SERVICES for variable in variables_of(service)} | OPENTELEMETRY
    for overlay in OVERLAYS:
        assert set(composed(overlay).named("ConfigMap")["vigie"]["data"]) <= known


def routed(method: str, path: str) -> str | None:
    """Where the Gateway API sends a request: by an exact path, else an expression, else the longest prefix; and of two
    that are alike by the one that names the method."""
    [route] = composed("production").of_kind("HTTPRoute")
    fitting: list[tuple[tuple[int, int, bool], str | None]] = []
    for rule in route["spec"]["rules"]:
        to = rule["backendRefs"][0]["name"] if "backendRefs" in rule else None
        for match in rule["matches"]:
            kind, value = match["path"]["type"], match["path"]["value"]
            fits = {
                "Exact": path == value,
                "RegularExpression": re.fullmatch(value, path) is not None,
                "PathPrefix": f"{path}/".startswith(f"{value.rstrip('/')}/"),
            }[kind]
            if fits and match.get("method", method) == method:
                rank = {"Exact": 2, "RegularExpression": 1, "PathPrefix": 0}[kind]
                fitting.append(((rank, len(value), "method" in match), to))
    return max(fitting, key=lambda one: one[0])[1]


def paths() -> list[str]:
    """Those of the table, and around each of its rows."""
    found = {
        "/",
        "/docs",
        "/api",
        "/api/series",
        "/metrics",
        "/api/metrics",
        "/v1",
        "/api/apps/shop/metrics/aggregated",
    }
    for row in PATH_RULES:
        bare = row.path.strip("*").rstrip("/")
        found |= (
            {f"/x{bare}"}
            if row.path.startswith("*")
            else {bare, f"{bare}/", f"{bare}/one", f"{bare}/one/two", f"{bare}x"}
        )
    return sorted(path for path in found if path.startswith("/"))


@pytest.mark.parametrize("method", EVERY)
def test_gateway_splits_paths_as_the_front_door_of_vigie_up(method: str) -> None:
    """But for the dashboard, whose files only the proxy behind an Ingress has."""
    owners = {path: service_of(method, path) for path in paths()}
    owners = {path: FALLBACK if owner is Service.DASHBOARD else owner for path, owner in owners.items()}
    wrong = {path: routed(method, path) for path in paths() if routed(method, path) != owners[path]}
    assert not wrong
    assert routed(method, "/internal/metrics") is None


def test_gateway_keeps_to_the_limits_of_an_http_route() -> None:
    [route] = composed("production").of_kind("HTTPRoute")
    assert len(route["spec"]["rules"]) <= 16
    assert all(len(rule["matches"]) <= 64 for rule in route["spec"]["rules"])


def test_proxy_behind_an_ingress_is_that_of_compose_and_believes_its_balancer() -> None:
    proxy = text("deploy/k8s/components/ingress/Caddyfile").splitlines()
    mine = text("deploy/proxy/Caddyfile").splitlines()
    [(theirs, ours)] = [pair for pair in zip(proxy, mine, strict=True) if pair[0] != pair[1]]
    assert theirs.strip() == "trusted_proxies static {$PROXY_BALANCERS:127.0.0.1/32}"
    assert ours.strip().startswith("# trusted_proxies static")
    for overlay in ("dev", "production-external"):
        [ingress] = composed(overlay).of_kind("Ingress")
        [path] = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        assert (path["path"], path["pathType"], path["backend"]["service"]["name"]) == ("/", "Prefix", "proxy")


def test_proxy_behind_an_ingress_gets_the_files_of_the_dashboard(tmp_path: Path) -> None:
    for overlay in ("dev", "production-external"):
        [proxy] = [one for one in composed(overlay).workloads if one.name == "proxy"]
        [copies] = proxy.pod["initContainers"]
        [mount] = [one for one in copies["volumeMounts"] if one["name"] == "dashboard"]
        python, flag, program = copies["command"]
        assert (python, flag, mount["mountPath"]) == ("python", "-c", "/srv/dashboard")
        to = tmp_path / overlay
        subprocess.run([sys.executable, flag, program.replace("/srv/dashboard", str(to))], check=True)
        there = {str(path.relative_to(to)) for path in to.rglob("*") if path.is_file()}
        assert there == {str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()}
        assert "index.html" in there
        served = [one for one in proxy.pod["containers"][0]["volumeMounts"] if one["name"] == "dashboard"]
        assert [(one["mountPath"], one["readOnly"]) for one in served] == [("/srv/dashboard", True)]


def test_numbers_of_the_table_are_those_of_the_code() -> None:
    assert Settings.model_fields["shutdown_timeout_s"].default == SHUTDOWN_TIMEOUT_S
    assert Settings.model_fields["partitions"].default == PARTITIONS
    assert {row.name: row.front for row in BY_NAME.values()} == {
        name: "VIGIE_ANONYMOUS" in variables_of(name) for name in SERVICES
    }
    lags = [lag for row in BY_NAME.values() for lag in row.lags]
    assert all(lag.topic in TOPICS and "aggregator" in lag.topic.read_by for lag in lags)
    jobs = {
        job["job_name"]: job.get("metrics_path", "/metrics")
        for job in parsed("deploy/prometheus/prometheus.yml")["scrape_configs"]
    }
    assert all(jobs[f"vigie-{row.name}"] == row.metrics_path for row in BY_NAME.values())


def test_secrets_of_the_guide_are_those_that_the_pods_mount(tmp_path: Path) -> None:
    """deploy/k8s/secrets makes the manifests of every Secret that dev needs."""
    subprocess.run([ROOT / "deploy/make-secrets", tmp_path / "secrets"], check=True, capture_output=True)
    ran = subprocess.run([DIRECTORY / "secrets", tmp_path / "secrets"], check=True, capture_output=True, text=True)
    made = {one["metadata"]["name"]: set(one["data"]) for one in yaml.safe_load_all(ran.stdout) if one}
    for one in composed("dev").workloads:
        for volume in one.pod["volumes"]:
            sources = volume.get("projected", {}).get("sources", [])
            wanted = [(source["secret"]["name"], source["secret"]["items"]) for source in sources]
            if "secret" in volume:
                wanted.append((volume["secret"]["secretName"], volume["secret"]["items"]))
            for name, items in wanted:
                assert {item["key"] for item in items} <= made[name], f"{one.name} mounts {name}"
