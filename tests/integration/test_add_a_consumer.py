"""The how-to for a consumer, followed to the letter in a copy of the packages: then it counts a topic."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from vigie_contracts.checks import Check, Verdict
from vigie_contracts.topics import CHECKS

from tests.chaos import stored
from tests.kit import Spawner, eventually, free_port, http_ready, unique

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/add-a-consumer.md").read_text(encoding="utf-8")
PACKAGES = ("libs/contracts/vigie_contracts", "services/aggregator/vigie_aggregator")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def applied(block: str, text: str) -> str:
    """The text with the change; what the page believes to be there must be there, once."""
    lines = block.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
    assert text.count(before) == 1, f"the page changes what is not there:\n{before}"
    return text.replace(before, after)


def _change(file: Path, *changes: str) -> None:
    text = file.read_text(encoding="utf-8")
    for change in changes:
        text = applied(change, text)
    file.write_text(text, encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages with the draft in them."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / Path(package).name)
    folder = tmp_path / "vigie_aggregator/checks"
    folder.mkdir()
    (folder / "__init__.py").touch()
    [source] = blocks("python")
    (folder / "consumer.py").write_text(source, encoding="utf-8")
    imported, registered, contract = blocks("diff")
    _change(tmp_path / "vigie_aggregator/consumers.py", imported, registered)
    _change(tmp_path / "vigie_contracts/topics.py", contract)
    return tmp_path


def test_page_lists_at_most_three_places() -> None:
    places = re.findall(r"^\*\*(\d)\. ", PAGE, re.MULTILINE)
    assert places == ["1", "2", "3"]


def test_documents_know_the_draft(copy: Path) -> None:
    command = [sys.executable, "-c", "from tools import asyncapi; print(asyncapi.table())"]
    ran = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=True)
    table = ran.stdout
    [row] = [line for line in table.splitlines() if CHECKS.name in line]
    assert "| aggregator |" in row


async def test_draft_counts_its_topic(copy: Path, kafka: str, mongo_uri: str, redis_url: str, spawn: Spawner) -> None:
    port = free_port()
    process = spawn.module(
        "vigie_aggregator",
        env={
            "PYTHONPATH": str(copy),
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "MONGODB_URI": mongo_uri,
            "REDIS_URL": redis_url,
            "VIGIE_MONGODB_DATABASE": unique("draft"),
            "VIGIE_SAMPLES_TOPIC": unique("samples"),
            "VIGIE_REPORTS_TOPIC": unique("reports"),
            "VIGIE_AGGREGATOR_GROUP": unique("group"),
            "VIGIE_AGGREGATOR_PORT": str(port),
        },
        ready=http_ready(f"http://127.0.0.1:{port}/health/ready"),
    )
    checks = [Check(f"c{n}", "acme", f"t{n % 7}", "http", n, list(Verdict)[n % 2], 1.5) for n in range(40)]
    earlier = sum((await stored.ends(kafka, CHECKS.name)).values())
    before = await eventually(lambda: counts(port, records=earlier))
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for check in checks:
            await producer.send_and_wait(CHECKS.name, msgspec.json.encode(check), check.target.encode())
        await producer.send_and_wait(CHECKS.name, b"{")
    after = await eventually(lambda: counts(port, records=earlier + 41))
    assert [now - then for now, then in zip(after, before, strict=True)] == [20, 20, 0, 0, 1]
    process.stop()
    assert process.returncode == 0


async def counts(port: int, *, records: int) -> list[float]:
    """Checks by verdict, and dead records, as soon as so many records are stored and none waits."""
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    assert _values(page, "vigie_aggregator_check_records_total") == [records]
    assert _values(page, "vigie_aggregator_check_lag_records") == [0]
    dead = 'vigie_aggregator_dead_records_total{reason="undecodable"}'
    return [*_values(page, "vigie_aggregator_checks_total"), *_values(page, dead)]


def _values(page: str, name: str) -> list[float]:
    return [float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name)]
