"""The tree against Debian's amtool: where an alert goes, whatever the tree."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from vigie_alerting.routing.importing.reading import read
from vigie_alerting.routing.tree import Routes

AMTOOL = shutil.which("amtool")
pytestmark = pytest.mark.skipif(AMTOOL is None, reason="amtool is not here: apt-get install prometheus-alertmanager")
RECEIVERS = ["r0", "r1", "r2", "r3"]
VALUES = ["x", "y", "critical"]


def a_route(choose: random.Random, depth: int) -> dict[str, Any]:
    operator = choose.choice(["=", "!=", "=~", "!~"])
    value = choose.choice([*VALUES, "", "x|y", ".*", "c.+"] if "~" in operator else [*VALUES, ""])
    made: dict[str, Any] = {
        "matchers": [f'{choose.choice("ab")}{operator}"{value}"'],
        "continue": choose.random() < 0.4,
    }
    if choose.random() < 0.8:
        made["receiver"] = choose.choice(RECEIVERS)
    if depth < 3:
        made["routes"] = [a_route(choose, depth + 1) for _ in range(choose.randrange(4))]
    return made


@pytest.mark.parametrize("seed", range(6))
def test_alerts_go_where_amtool_says(seed: int, tmp_path: Path) -> None:
    choose = random.Random(seed)
    routes = [a_route(choose, 0) for _ in range(5)]
    config = {"route": {"receiver": "r0", "routes": routes}, "receivers": [{"name": name} for name in RECEIVERS]}
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    found = read(file.read_text())
    assert not found.findings
    tree = Routes(found.tree)
    for _ in range(4):
        labels = {name: choose.choice(VALUES) for name in ("a", "b") if choose.random() < 0.8}
        command = [str(AMTOOL), "config", "routes", "test", f"--config.file={file}"]
        asked = subprocess.run(
            [*command, *(f"{name}={value}" for name, value in labels.items())],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        assert [leg.receiver for leg in tree.of(labels)] == asked.stdout.strip().split(","), labels
