"""The how-to for a consumer, followed to the letter in a copy of the packages: then it counts a topic."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2 as httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from vigie_contracts.alerts import AlertState, Transition
from vigie_contracts.topics import ALERTS

from tests.chaos import stored
from tests.kit import Spawner, aiokafka_login, eventually, free_port, http_ready, unique

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/add-a-consumer.md").read_text(encoding="utf-8")
PACKAGES = (
    "libs/contracts/vigie_contracts", "libs/storage/vigie_storage", "services/aggregator/vigie_aggregator",
)  # fmt: skip
KEEPS = "## If it keeps something in MongoDB"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def applied(block: str, text: str) -> str:
    """The text with the changes; what the page believes to be there must be there, once."""
    for hunk in block.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
        assert text.count(before) == 1, f"the page changes what is not there:\n{before}"
        text = text.replace(before, after)
    return text


def _change(file: Path, *changes: str) -> None:
    text = file.read_text(encoding="utf-8")
    for change in changes:
        text = applied(change, text)
    file.write_text(text, encoding="utf-8")


@pytest.fixture(params=["counts", "keeps"])
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The packages with the draft in them; `kept(copy)` says whether also with its documents."""
    assert not ALERTS.read_by, (
        f"{ALERTS.name} has a consumer now: let the page and this test show one of a topic that nobody reads yet"
    )
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / Path(package).name)
    folder = tmp_path / "vigie_aggregator/alerts"
    folder.mkdir()
    (folder / "__init__.py").touch()
    source, writer = blocks("python")
    (folder / "consumer.py").write_text(source, encoding="utf-8")
    imported, registered, contract, collection, row, keeping = blocks("diff")
    _change(tmp_path / "vigie_aggregator/consumers.py", imported, registered)
    _change(tmp_path / "vigie_contracts/topics.py", contract)
    if request.param == "keeps":
        _change(tmp_path / "vigie_storage/collections.py", collection)
        (tmp_path / "vigie_storage/last_transitions.py").write_text(writer, encoding="utf-8")
        _change(folder / "consumer.py", keeping)
        (tmp_path / "architecture.md").write_text(
            applied(row, (ROOT / "docs/architecture.md").read_text(encoding="utf-8")), encoding="utf-8"
        )
    return tmp_path


def kept(copy: Path) -> bool:
    return (copy / "vigie_storage/last_transitions.py").exists()


def run_with(copy: Path, code: str) -> str:
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=True)
    return ran.stdout


def test_page_lists_at_most_three_places_and_two_for_documents() -> None:
    first, _, further = PAGE.partition(KEEPS)
    assert re.findall(r"^\*\*(\d)\. ", first, re.MULTILINE) == ["1", "2", "3"]
    assert re.findall(r"^\*\*(\d)\. ", further, re.MULTILINE) == ["4", "5"]


def test_documents_know_the_draft(copy: Path) -> None:
    table = run_with(copy, "from tools import asyncapi; print(asyncapi.table())")
    [row] = [line for line in table.splitlines() if ALERTS.name in line]
    assert "| aggregator |" in row
    if kept(copy):
        names = run_with(copy, "from vigie_storage.collections import ALL; print(*(about.name for about in ALL))")
        assert "last_transitions" in names.split()
        assert "| MongoDB `last_transitions` |" in (copy / "architecture.md").read_text(encoding="utf-8")


def test_rules_and_dashboards_may_ask_for_what_the_draft_counts(copy: Path) -> None:
    names = run_with(copy, "from tests.project import repo; print(*repo.own_metric_names()['aggregator'])").split()
    assert {"vigie_aggregator_transitions_total", "vigie_aggregator_alert_lag_records"} <= set(names)


async def test_draft_reads_its_topic(copy: Path, kafka: str, redis_url: str, database: Any, spawn: Spawner) -> None:
    port = free_port()
    process = spawn.module(
        "vigie_aggregator",
        env={
            "PYTHONPATH": str(copy),
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "REDIS_URL": redis_url,
            "VIGIE_MONGODB_DATABASE": database.name,
            "VIGIE_SAMPLES_TOPIC": unique("samples"),
            "VIGIE_REPORTS_TOPIC": unique("reports"),
            "VIGIE_CHECKS_TOPIC": unique("checks"),
            "VIGIE_COMMANDS_TOPIC": unique("commands"),
            "VIGIE_AGGREGATOR_GROUP": unique("group"),
            "VIGIE_AGGREGATOR_PORT": str(port),
        },
        ready=http_ready(f"http://127.0.0.1:{port}/health/ready"),
    )
    states = list(AlertState)
    steps = [step(n, to_state=states[n % 2]) for n in range(40)]
    earlier = sum((await stored.ends(kafka, ALERTS.name)).values())
    before = await eventually(lambda: counts(port, records=earlier))
    async with AIOKafkaProducer(bootstrap_servers=kafka, **aiokafka_login(), acks="all") as producer:
        sent = [*steps, steps[0], step(39, timestamp=10**30)] if kept(copy) else steps
        for one in sent:
            await producer.send_and_wait(ALERTS.name, msgspec.json.encode(one), one.fingerprint.encode())
        await producer.send_and_wait(ALERTS.name, b"{")
    after = await eventually(lambda: counts(port, records=earlier + (43 if kept(copy) else 41)))
    counted = [now - then for now, then in zip(after, before, strict=True)]
    # pending, firing, acknowledged, resolved, inactive; undecodable, invalid
    assert counted == ([21, 20, 0, 0, 0, 1, 1] if kept(copy) else [20, 20, 0, 0, 0, 1, 0])
    if kept(copy):
        found = {one["alert"]: one["transition"] async for one in database.last_transitions.find({"tenant": "acme"})}
        assert found == {f"a{n % 7}": f"s{n:02}" for n in range(33, 40)}
    process.stop()
    assert process.returncode == 0


def step(n: int, **more: Any) -> Transition:
    fields: dict[str, Any] = {"to_state": AlertState.FIRING, "timestamp": n, **more}
    return Transition(
        id=f"s{n:02}", fingerprint=f"a{n % 7}", tenant="acme", rule_id="r", from_state=None, reason="condition_met",
        **fields,
    )  # fmt: skip


async def counts(port: int, *, records: int) -> list[float]:
    """Transitions by state, and dead records, as soon as so many records are stored and none waits."""
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    assert _values(page, "vigie_aggregator_alert_records_total") == [records]
    assert _values(page, "vigie_aggregator_alert_lag_records") == [0]
    dead = [f'vigie_aggregator_dead_records_total{{reason="{reason}"}}' for reason in ("undecodable", "invalid")]
    return [*_values(page, "vigie_aggregator_transitions_total"), *(n for name in dead for n in _values(page, name))]


def _values(page: str, name: str) -> list[float]:
    return [float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name)]
