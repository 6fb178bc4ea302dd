"""Prometheus, Grafana and the collector are configured for what exists: names, ports, files."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from vigie_contracts import names

from tests.project.repo import ROOT, SERVICES, own_metric_names, parsed, text
from tools import dashboards

COMPOSE = parsed("docker-compose.yml")["services"]
RULES = [rule for group in parsed("deploy/prometheus/rules.yml")["groups"] for rule in group["rules"]]
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "ALERTS"}
SENT = {*names.BUSINESS, *names.APPLICATION, *names.SYSTEM, *names.NODE, *names.APPS, *names.HEALTH}
DOCUMENTED = dict(re.findall(r"^\| `(\w+)` \| (gauge|counter|histogram) \|", text("docs/metrics-names.md"), re.M))
"""Name -> type."""
WORDS = {"by", "without", "and", "or", "unless", "on", "ignoring", "offset", "bool"}


def queried_names(expression: str) -> set[str]:
    """The metric names in a PromQL expression: identifiers that are no function, label, word or unit."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    found = re.findall(r"(?<![\w.$])([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return set(found) - WORDS


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield f"rule {rule['alert']}", rule["expr"]
    for name, dashboard in dashboards.DASHBOARDS.items():
        for panel in dashboard.panels:
            for expression, _ in panel.queries:
                yield f"dashboard {name}: {panel.title}", expression


def test_names_are_found_in_an_expression() -> None:
    query = 'sum by (le, x) (rate(a_bucket{b="c"}[$__rate_interval])) / sum(d_total) and e > 0.05'
    assert queried_names(query) == {"a_bucket", "d_total", "e"}


def test_every_query_uses_metrics_that_exist() -> None:
    own = set().union(*own_metric_names().values())
    sent = {name for name, type_ in DOCUMENTED.items() if type_ != "histogram"}
    sent |= {f"{name}_{part}" for name in DOCUMENTED.keys() - sent for part in ("bucket", "sum", "count")}
    exposed = own | OTHERS | sent
    wrong = {where: missing for where, query in expressions() if (missing := queried_names(query) - exposed)}
    assert not wrong


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("system-metrics", "System Metrics Dashboard"),
        ("business-metrics", "Business Metrics Dashboard"),
        ("application-performance", "Application Performance Dashboard"),
        ("alerts-health", "Alerts & Health Dashboard"),
    ],
)
def test_dashboards_are_called_as_in_the_service_that_vigie_replaces(file: str, title: str) -> None:
    assert json.loads(text(f"deploy/grafana/dashboards/{file}.json"))["title"] == title


def test_dashboard_files_are_what_the_script_writes() -> None:
    assert dashboards.differing() == []


@pytest.mark.parametrize("name", sorted(dashboards.DASHBOARDS))
def test_dashboard_has_its_own_id_and_panels_that_do_not_overlap(name: str) -> None:
    dashboard = json.loads(text(f"deploy/grafana/dashboards/{name}.json"))
    assert dashboard["uid"] == f"vigie-{name.removeprefix('vigie-')}"
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= dashboards.COLUMNS
        taken |= cells


def test_dashboards_are_found_and_use_the_provisioned_datasource() -> None:
    [source] = parsed("deploy/grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    [provider] = parsed("deploy/grafana/provisioning/dashboards/vigie.yaml")["providers"]
    mounts = dict(volume.split(":")[:2] for volume in COMPOSE["grafana"]["volumes"])
    assert source["uid"] == dashboards.DATASOURCE["uid"]
    assert source["url"] == "http://prometheus:9090"
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = COMPOSE["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy/grafana/dashboards" / home.rpartition("/")[2]).exists()


def test_prometheus_scrapes_services_of_the_stack() -> None:
    config = parsed("deploy/prometheus/prometheus.yml")
    for job in config["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            assert target.partition(":")[0] in {*COMPOSE, "localhost"}
    for file in config["rule_files"]:
        assert (ROOT / "deploy/prometheus" / file).exists()


def test_every_service_is_scraped_and_missed() -> None:
    jobs = {job["job_name"] for job in parsed("deploy/prometheus/prometheus.yml")["scrape_configs"]}
    [missed] = [rule["expr"] for rule in RULES if rule["alert"] == "VigieServiceDown"]
    [pattern] = re.findall(r'job=~"([^"]+)"', missed)
    for service in SERVICES:
        assert f"vigie-{service}" in jobs
        assert re.fullmatch(pattern, f"vigie-{service}"), service


def test_senders_can_neither_forge_nor_hide_what_the_rules_look_at() -> None:
    [latest] = [
        job for job in parsed("deploy/prometheus/prometheus.yml")["scrape_configs"] if job["job_name"] == "vigie-latest"
    ]
    [drop] = latest["metric_relabel_configs"]
    assert (drop["action"], drop["source_labels"]) == ("drop", ["__name__"])
    watched = set().union(*(queried_names(rule["expr"]) for rule in RULES))
    assert len(watched) > 5
    for name in (*watched, "up", "ALERTS", "ALERTS_FOR_STATE", "scrape_samples_scraped"):
        assert re.fullmatch(drop["regex"], name), name
    assert not any(re.fullmatch(drop["regex"], name) for name in SENT)


def test_rule_about_owners_knows_the_number_of_partitions_from_who_reads_them() -> None:
    """It is another one wherever VIGIE_PARTITIONS says so, and on one machine."""
    [rule] = [rule for rule in RULES if rule["alert"] == "VigiePartitionsWithoutOwner"]
    assert queried_names(rule["expr"]) == {"vigie_logreader_partitions", "vigie_logreader_topic_partitions"}
    assert not re.search(r"\d", rule["expr"] + rule["annotations"]["summary"])


def test_every_rule_has_a_severity_a_summary_and_a_runbook_that_exists() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert (ROOT / rule["annotations"]["runbook"]).exists()


@pytest.mark.parametrize(
    ("alert", "metric"),
    [
        ("VigieLogLost", "vigie_logreader_lost_records_total"),
        ("VigieLogCut", "vigie_logreader_cut_total"),
        ("VigieWindowsUnrepaired", "vigie_aggregator_unrepaired_windows_total"),
        ("VigieRecordsUnreadable", "vigie_logreader_unreadable_total"),
    ],
)
def test_whatever_is_lost_has_a_rule_and_a_runbook_that_names_it(alert: str, metric: str) -> None:
    [rule] = [rule for rule in RULES if rule["alert"] == alert]
    assert queried_names(rule["expr"]) == {metric}
    assert f"`{alert}`" in text(rule["annotations"]["runbook"])


def _promtool(*arguments: str, without: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip(f"promtool is not installed: {without}")
    ran = subprocess.run([promtool, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("file", ["lost_rules_test.yml", "credentials_rules_test.yml"])
def test_rules_fire_when_they_should_and_no_longer(file: str) -> None:
    _promtool("test", "rules", f"tests/project/{file}", without="the rules were not evaluated")


# Syntax only: the files that the configuration names are there in the container.
@pytest.mark.parametrize(("what", "file"), [(["config", "--syntax-only"], "prometheus.yml"), (["rules"], "rules.yml")])
def test_promtool_accepts(what: list[str], file: str) -> None:
    _promtool("check", *what, f"deploy/prometheus/{file}", without="the files were only parsed")


def test_collector_uses_what_it_defines_and_listens_where_services_send() -> None:
    config = parsed("deploy/otel/config.yaml")
    for pipeline in config["service"]["pipelines"].values():
        for kind, used in pipeline.items():
            assert set(used) <= set(config[kind])
        assert pipeline["processors"][0] == "memory_limiter"
    assert set(config["service"]["extensions"]) == set(config["extensions"])
    port = config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert COMPOSE["ingest"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://otel-collector:{port}"
    for exporter in config["exporters"].values():
        assert exporter["endpoint"].partition(":")[0] in COMPOSE
