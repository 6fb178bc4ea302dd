"""What Prometheus' operator reads: who is scraped, and the rules of the compose stack."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from tools.deployment.services import Row
from tools.deployment.workloads import PART_OF, Manifest, labels

RULES: Final = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml"


def monitor(row: Row) -> Manifest:
    """Scraped under the job names that the rules and dashboards use."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": row.name, "labels": labels(row.name)},
        "spec": {
            "selector": {"matchLabels": labels(row.name)},
            "endpoints": [
                {
                    "port": "http",
                    "path": row.metrics_path,
                    "interval": "15s",
                    "relabelings": [{"targetLabel": "job", "replacement": f"vigie-{row.name}"}],
                }
            ],
        },
    }


def rules() -> Manifest:
    """Those of `deploy/prometheus/rules.yml`, as they are."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "vigie", "labels": PART_OF},
        "spec": yaml.safe_load(RULES.read_text(encoding="utf-8")),
    }
