"""Writes the Grafana dashboards: `python -m tools.dashboards` (`--check` only compares).

Why generated: a dashboard is mostly layout that nobody should edit by hand, and a short list of panels can be reviewed
and tested against the metrics that exist.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"
DATASOURCE = {"type": "prometheus", "uid": "vigie-prometheus"}
COLUMNS, ROW_HEIGHT, STAT_HEIGHT = 24, 8, 4


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph, or with `stat` one number. `queries`: expression and legend."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    stat: bool = False
    width: int = 8


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    panels: Sequence[Panel]


def stat(title: str, unit: str, query: str) -> Panel:
    return Panel(title, unit, [(query, "")], stat=True, width=4)


def graph(title: str, unit: str, *queries: tuple[str, str], width: int = 8) -> Panel:
    return Panel(title, unit, queries, width=width)


def mean(histogram: str, by: str, range_: str = "$__rate_interval") -> str:
    """The average observation of a histogram."""
    return f"sum by ({by}) (rate({histogram}_sum[{range_}])) / sum by ({by}) (rate({histogram}_count[{range_}]))"


def quantile(q: float, histogram: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket[$__rate_interval])))"


def rate_by(label: str, counter: str, *, each_s: int = 1) -> tuple[str, str]:
    """How much a counter grows in so many seconds, for each value of the label."""
    per = f" * {each_s}" if each_s != 1 else ""
    return f"sum by ({label}) (rate({counter}[$__rate_interval])){per}", f"{{{{{label}}}}}"


def level_by(label: str, gauge: str, *, how: str = "sum") -> tuple[str, str]:
    """A gauge, for each value of the label."""
    return f"{how} by ({label}) ({gauge})", f"{{{{{label}}}}}"


def p50_p99(histogram: str) -> list[tuple[str, str]]:
    return [(quantile(0.5, histogram), "p50"), (quantile(0.99, histogram), "p99")]


BUSINESS = Dashboard(
    "vigie-business-metrics",
    "Business Metrics Dashboard",
    [
        stat("Bookings completed, 1 h", "short", "sum(increase(bookings_completed_total[1h]))"),
        stat("Bookings cancelled, 1 h", "short", "sum(increase(bookings_cancelled_total[1h]))"),
        stat("Active users", "short", "sum(active_users)"),
        stat(
            "Conversion, 1 h",
            "percentunit",
            'sum(increase(funnel_steps_total{step="booked"}[1h])) '
            '/ sum(increase(funnel_steps_total{step="visit"}[1h]))',
        ),
        stat(
            "Payments failed, 1 h",
            "percentunit",
            'sum(increase(payments_total{status="failed"}[1h])) / sum(increase(payments_total[1h]))',
        ),
        stat(
            "Satisfaction, 1 h",
            "short",
            "sum(increase(satisfaction_score_sum[1h])) / sum(increase(satisfaction_score_count[1h]))",
        ),
        graph(
            "Bookings per minute",
            "short",
            ("sum(rate(bookings_created_total[$__rate_interval])) * 60", "created"),
            ("sum(rate(bookings_completed_total[$__rate_interval])) * 60", "completed"),
            ("sum(rate(bookings_cancelled_total[$__rate_interval])) * 60", "cancelled"),
        ),
        graph("Revenue per hour by currency", "short", rate_by("currency", "booking_revenue_total", each_s=3600)),
        graph("Active users by service", "short", level_by("service", "active_users")),
        graph("Funnel, steps per minute", "short", rate_by("step", "funnel_steps_total", each_s=60)),
        graph("Payments per minute", "short", rate_by("status", "payments_total", each_s=60)),
        graph("Satisfaction by service", "short", (mean("satisfaction_score", "service"), "{{service}}")),
        graph(
            "Sources of traffic: sessions started per minute",
            "short",
            rate_by("service", "sessions_started_total", each_s=60),
        ),
    ],
)

APPLICATION = Dashboard(
    "vigie-application-performance",
    "Application Performance Dashboard",
    [
        graph("Requests per second by service", "reqps", rate_by("service", "http_requests_total")),
        graph(
            "Share of 5xx by service",
            "percentunit",
            (
                'sum by (service) (rate(http_requests_total{status=~"5.."}[$__rate_interval])) '
                "/ sum by (service) (rate(http_requests_total[$__rate_interval]))",
                "{{service}}",
            ),
        ),
        graph(
            "Time to answer",
            "s",
            *((quantile(q, "http_request_duration_seconds"), f"p{100 * q:.0f}") for q in (0.5, 0.95, 0.99)),
        ),
        graph(
            "Time to answer by service",
            "s",
            (quantile(0.95, "http_request_duration_seconds", "service"), "p95 {{service}}"),
            (mean("http_request_duration_seconds", "service"), "mean {{service}}"),
        ),
        graph("Answers by status", "reqps", rate_by("status", "http_requests_total")),
        graph("Open connections", "short", level_by("service", "active_connections")),
        graph(
            "Time of database queries",
            "s",
            (quantile(0.95, "db_query_duration_seconds", "operation"), "p95 {{operation}}"),
            (mean("db_query_duration_seconds", "operation"), "mean {{operation}}"),
        ),
    ],
)

SYSTEM = Dashboard(
    "vigie-system-metrics",
    "System Metrics Dashboard",
    [
        graph("CPU", "percent", level_by("host", "system_cpu_usage_percent", how="avg")),
        graph("Memory", "percent", level_by("host", "system_memory_usage_percent", how="max")),
        graph("Disk", "percent", level_by("host", "system_disk_usage_percent", how="max")),
        graph("Load, 1 min", "short", ('max by (host) (system_load_average{period="1m"})', "{{host}}")),
        graph(
            "Network",
            "Bps",
            ("sum by (host) (rate(system_network_received_bytes_total[$__rate_interval]))", "{{host}} received"),
            ("sum by (host) (rate(system_network_sent_bytes_total[$__rate_interval]))", "{{host}} sent"),
        ),
        graph(
            "Disk traffic",
            "Bps",
            ("sum by (host) (rate(system_disk_read_bytes_total[$__rate_interval]))", "{{host}} read"),
            ("sum by (host) (rate(system_disk_written_bytes_total[$__rate_interval]))", "{{host}} written"),
        ),
    ],
)

ALERTS_AND_HEALTH = Dashboard(
    "vigie-alerts-health",
    "Alerts & Health Dashboard",
    [
        stat("Alerts firing", "short", 'sum(ALERTS{alertstate="firing"}) or vector(0)'),
        stat("Alerts pending", "short", 'sum(ALERTS{alertstate="pending"}) or vector(0)'),
        stat("Services up", "short", "sum(target_up)"),
        stat("Services down", "short", "count(target_up == 0) or vector(0)"),
        stat("Services muted", "short", "sum(target_muted) or vector(0)"),
        stat("Processes of Vigie down", "short", 'count(up{job=~"vigie-.*"} == 0) or vector(0)'),
        graph(
            "Timeline of alerts",
            "short",
            ('sum by (alertname, severity) (ALERTS{alertstate="firing"})', "{{alertname}} ({{severity}})"),
            width=16,
        ),
        graph("State of services: 1 up, 0 down", "short", level_by("target", "target_up", how="min")),
        graph(
            "Uptime of services, 24 h",
            "percentunit",
            ("avg by (target) (avg_over_time(target_available[24h]))", "{{target}}"),
        ),
        graph("Time of health checks", "s", level_by("target", "probe_duration_seconds", how="max")),
        graph(
            "Time of health checks by phase",
            "s",
            ("avg by (phase) (probe_phase_duration_seconds)", "{{phase}}"),
        ),
        graph(
            "Certificates: days until they end",
            "d",
            ("min by (target) (probe_ssl_earliest_cert_expiry - time()) / 86400", "{{target}}"),
        ),
        graph(
            "Health checks per second by verdict",
            "short",
            rate_by("verdict", "vigie_healthcheck_checks_total"),
            ("sum(vigie_healthcheck_self_check_failed)", "probers without a network"),
        ),
        graph("How late health checks are", "s", *p50_p99("vigie_healthcheck_scheduling_delay_seconds")),
        graph("State of Vigie's own processes", "short", ('max by (job) (up{job=~"vigie-.*"})', "{{job}}")),
        graph(
            "Share of failed requests by service",
            "percentunit",
            (
                'sum by (service) (rate(http_requests_total{status=~"5.."}[$__rate_interval])) '
                "/ sum by (service) (rate(http_requests_total[$__rate_interval]))",
                "{{service}}",
            ),
        ),
        graph(
            "Hosts: the fullest of CPU, memory and disk",
            "percent",
            ("max by (host) (system_cpu_usage_percent)", "{{host}} CPU"),
            ("max by (host) (system_memory_usage_percent)", "{{host}} memory"),
            ("max by (host) (system_disk_usage_percent)", "{{host}} disk"),
        ),
        graph("Kafka records not read yet", "short", ("sum(vigie_logreader_lag_records)", "records")),
        graph(
            "Transitions of alerts",
            "short",
            ("sum by (reason) (rate(vigie_alerting_transitions_total[$__rate_interval]))", "{{reason}}"),
        ),
        graph(
            "Notifications by channel",
            "short",
            ("sum by (type) (rate(vigie_alerting_notifications_sent_total[$__rate_interval]))", "{{type}} sent"),
            ("sum by (type) (rate(vigie_alerting_notification_failures_total[$__rate_interval]))", "{{type}} failed"),
        ),
        graph("Time from an alert to its delivery", "s", *p50_p99("vigie_alerting_notification_delay_seconds")),
    ],
)
"""The alerts above are those of Prometheus' own rules, the transitions and notifications those of Vigie's. Services are
the targets of the tenant whose `/metrics` Prometheus reads."""

NODE = Dashboard(
    "vigie-node",
    "Node",
    [
        stat("Active users", "short", "max(node_active_users)"),
        stat("Exercises completed today", "short", "max(node_exercises_completed_today)"),
        stat("AI latency", "ms", "max(node_ai_latency_milliseconds)"),
        stat("Up for", "s", "max(node_uptime_seconds)"),
        stat("Errors", "short", "max(node_error_count)"),
        graph("Active users", "short", ("max(node_active_users)", "active")),
        graph("Exercises completed today", "short", ("max(node_exercises_completed_today)", "completed")),
        graph("AI latency", "ms", ("max(node_ai_latency_milliseconds)", "latency")),
        graph(
            "CPU, memory, disk",
            "percent",
            ("max(node_cpu_usage_percent)", "CPU"),
            ("max(node_memory_usage_percent)", "memory"),
            ("max(node_disk_usage_percent)", "disk"),
        ),
        graph("Errors", "short", ("max(node_error_count)", "errors")),
        graph("Other numbers", "short", level_by("key", "node_additional_data", how="max")),
    ],
)
"""Of the tenant whose `/metrics` Prometheus reads."""

ITSELF = Dashboard(
    "vigie-itself",
    "Vigie itself",
    [
        stat("Services up", "short", 'sum(up{job=~"vigie-.*"})'),
        stat("Items taken per second", "short", "sum(rate(vigie_ingest_items_accepted_total[5m]))"),
        stat("Samples counted per second", "short", "sum(rate(vigie_aggregator_samples_total[5m]))"),
        stat("Partitions owned", "short", "sum(vigie_logreader_partitions)"),
        stat("Dead letters, 1 h", "short", "sum(increase(vigie_aggregator_dead_records_total[1h]))"),
        stat("Lost records, 24 h", "short", "sum(increase(vigie_logreader_lost_records_total[24h]))"),
        graph("Requests by answer", "reqps", rate_by("status", "vigie_ingest_requests_total")),
        graph("Time to answer a write", "s", *p50_p99("vigie_ingest_request_duration_seconds")),
        graph("Refused items by reason", "short", rate_by("reason", "vigie_ingest_items_rejected_total")),
        graph(
            "Throttled requests by limit",
            "reqps",
            rate_by("scope", "vigie_limits_throttled_total"),
            ("sum by (use) (vigie_redis_away)", "processes without Redis: {{use}}"),
        ),
        graph("Kafka: gathered until acknowledged", "s", *p50_p99("vigie_publisher_delivery_seconds")),
        graph("Samples that wait for Kafka", "short", level_by("instance", "vigie_publishing_buffered_samples")),
        graph("Samples by their end at Kafka", "short", rate_by("outcome", "vigie_publisher_samples_total")),
        graph("Kafka records not read yet", "short", level_by("instance", "vigie_logreader_lag_records")),
        graph("Commit time", "s", *p50_p99("vigie_aggregator_commit_seconds")),
        graph(
            "Commits failed and fenced",
            "short",
            ("sum(rate(vigie_aggregator_commit_failures_total[$__rate_interval]))", "failed"),
            ("sum(rate(vigie_aggregator_fenced_total[$__rate_interval]))", "fenced"),
        ),
        graph("Windows not committed yet", "bytes", level_by("instance", "vigie_aggregator_pending_bytes")),
        graph(
            "CPU by service",
            "percentunit",
            ('rate(process_cpu_seconds_total{job=~"vigie-.*"}[$__rate_interval])', "{{job}}"),
        ),
        graph("Memory by service", "bytes", ('process_resident_memory_bytes{job=~"vigie-.*"}', "{{job}}")),
        graph("Reads by outcome", "reqps", rate_by("outcome", "vigie_api_requests_total")),
        graph(
            "Time to answer a read",
            "s",
            (quantile(0.99, "vigie_api_request_duration_seconds", "area"), "p99 {{area}}"),
        ),
        graph(
            "Refused credentials by reason",
            "short",
            ("sum by (reason) (rate(vigie_ingest_refused_credentials_total[$__rate_interval]))", "ingest: {{reason}}"),
            ("sum by (reason) (rate(vigie_api_refused_credentials_total[$__rate_interval]))", "api: {{reason}}"),
        ),
        graph(
            "Answers from memory that were due to be asked for again",
            "short",
            ("sum by (job, what) (rate(vigie_identity_stale_answers_total[$__rate_interval]))", "{{job}}: {{what}}"),
        ),
        graph(
            "Series",
            "short",
            ("sum(vigie_publishing_known_series)", "known to ingest"),
            ("sum(vigie_aggregator_series)", "met by aggregator"),
        ),
    ],
)

DASHBOARDS = {
    "system-metrics": SYSTEM,
    "business-metrics": BUSINESS,
    "application-performance": APPLICATION,
    "alerts-health": ALERTS_AND_HEALTH,
    "node": NODE,
    "vigie-itself": ITSELF,
}
"""By file name."""


def render(dashboard: Dashboard) -> str:
    """The file's content."""
    return json.dumps(_dashboard(dashboard), indent=2) + "\n"


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["vigie"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": list(_panels(dashboard.panels)),
    }


def _panels(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        own = STAT_HEIGHT if panel.stat else ROW_HEIGHT
        if x + panel.width > COLUMNS or (x and own != height):
            x, y = 0, y + height
        height = own
        yield _panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": own})
        x += panel.width


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": _options(panel),
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend}
            for i, (expr, legend) in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.stat:
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none", "graphMode": "area"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


def differing(directory: Path = DIRECTORY) -> list[str]:
    """Files that are not what this script writes, and files that it does not write."""
    wanted = {f"{name}.json": render(dashboard) for name, dashboard in DASHBOARDS.items()}
    found = {path.name: path.read_text(encoding="utf-8") for path in directory.glob("*.json")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: Sequence[str]) -> int:
    if "--check" in arguments:
        different = differing()
        print("\n".join(f"{name} differs: run python -m tools.dashboards" for name in different))
        return 1 if different else 0
    for name, dashboard in DASHBOARDS.items():
        (DIRECTORY / f"{name}.json").write_text(render(dashboard), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
