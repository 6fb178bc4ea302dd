"""Vigie on servers that ask for TLS and a login, with the rights that the documentation names: the whole way works."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2 as httpx
import pytest
from vigie_standalone.errors import ServerNotFoundError

from tests.e2e.test_readme import run, tour
from tests.e2e.tour import walk
from tests.e2e.up import Up, command
from tests.kit import eventually, unique
from tests.kit.secured import secured

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(600)]

DEADLINE_S = 90.0
ADMIN = "a-long-password-of-the-administrator"
HOST = "secured-host"


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    directory = tmp_path_factory.mktemp("secured")
    try:
        with secured(directory) as given:
            yield given
    except ServerNotFoundError as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def vigie(variables: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    directory = tmp_path_factory.mktemp("vigie-secured")
    own = {"VIGIE_ADMIN_PASSWORD": ADMIN, "VIGIE_AGENT_HOST": HOST, "VIGIE_AGENT_INTERVAL_S": "10"}
    up = Up(directory, demo=True, env={**variables, **own})
    try:
        up.start()
        yield up
    finally:
        up.kill()
        shutil.rmtree(directory, ignore_errors=True)


def prepare(variables: Mapping[str, str], *, wait: str = "60", **other: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_KAFKA_")}
    return subprocess.run(
        command("prepare", "--wait", wait), env={**environment, **variables, **other},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_topics_and_collections_are_made_with_the_rights_of_the_documentation(variables: Mapping[str, str]) -> None:
    ran = prepare(variables, VIGIE_PARTITIONS="4")
    assert ran.returncode == 0, ran.stderr
    assert "4 partitions" in ran.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        {"VIGIE_KAFKA_SASL_PASSWORD": "guessed"},
        {"VIGIE_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
        {"VIGIE_KAFKA_SSL_CA_FILE": "/etc/hostname"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_does_not_fit_the_brokers_is_one_sentence_without_the_password(
    variables: Mapping[str, str], wrong: dict[str, str]
) -> None:
    ran = prepare(variables, wait="5", VIGIE_PARTITIONS="4", **wrong)
    assert ran.returncode == 1
    assert ran.stderr.startswith("vigie: ")
    assert "Traceback" not in ran.stderr
    for secret in (variables["VIGIE_KAFKA_SASL_PASSWORD"], "guessed"):
        assert secret not in ran.stderr + ran.stdout


async def test_a_sample_goes_the_whole_way(vigie: Up) -> None:
    name = unique("secured").replace("-", "_")
    async with httpx.AsyncClient(base_url=vigie.url, timeout=30, trust_env=False) as client:
        sent = await client.post("/api/metrics/custom", json={"name": name, "type": "counter", "value": 2.5})
        assert sent.status_code == 201, sent.text

        async def read() -> bool:
            found = (await client.get("/api/series", params={"name": name})).json()["series"]
            return bool(found) and found[0]["latest"] is not None and found[0]["latest"]["sum"] == 2.5

        await eventually(read, DEADLINE_S)
        assert name in (await client.get("/metrics")).text


async def test_rule_fires_and_servers_are_up(vigie: Up) -> None:
    name = unique("secured").replace("-", "_")
    async with httpx.AsyncClient(base_url=vigie.url, timeout=30, trust_env=False) as client:
        rule = {"name": name, "expression": f"{name} > 1", "severity": "critical"}
        made = await client.post("/api/alerts/rules", json=rule)
        assert made.status_code == 201, made.text

        async def firing() -> bool:
            value = {"name": name, "type": "gauge", "value": 5, "timestamp": int(time.time() * 1000)}
            assert (await client.post("/api/metrics/custom", json=value)).is_success
            return name in (await client.get("/api/alerts")).text

        await eventually(firing, DEADLINE_S, interval=1)

        async def up() -> bool:
            answer = await client.get("/api/health/services?limit=100")
            states = {one["name"]: one["state"] for one in answer.json()["services"]}
            ours = {name: state for name, state in states.items() if name.startswith("vigie-")}
            assert {"vigie-kafka", "vigie-mongodb", "vigie-redis"} <= set(ours), states
            assert set(ours.values()) == {"up"}, states
            return True

        await eventually(up, DEADLINE_S)


def test_tour_of_the_readme_works_as_printed(vigie: Up, variables: Mapping[str, str]) -> None:
    """Alerts, health, incidents, the inbox, keys: all that the page shows."""
    for step in tour():
        walk(step, lambda command: run(vigie, command, variables))


async def test_dashboard_logs_in_and_shows_this_machine_and_what_is_live(vigie: Up) -> None:
    async with httpx.AsyncClient(base_url=vigie.url, timeout=30, trust_env=False) as client:
        page = await client.get("/")
        assert (page.status_code, "script-src 'self'" in page.headers["content-security-policy"]) == (200, True)
        session = await client.post("/auth/session", json={"username": "admin", "password": ADMIN})
        assert session.status_code == 200, session.text
        renewed = await client.put("/auth/session")
        token = renewed.json()["accessToken"]
        who = {"authorization": f"Bearer {token}", "x-scope-orgid": "default"}

        async def reported() -> bool:
            answer = await client.get("/api/hosts", headers=who)
            return answer.is_success and HOST in answer.text

        await eventually(reported, DEADLINE_S)
        async with client.stream("GET", "/api/stream?channel=health", headers=who) as feed:
            assert feed.status_code == 200, await feed.aread()
            assert await anext(feed.aiter_lines()), "the first thing that is told"


def test_commands_of_operators_say_nothing_but_what_was_asked_for(
    vigie: Up, variables: Mapping[str, str], tmp_path: Path
) -> None:
    for words in (("dead", "list"), ("backup", str(tmp_path / "backup"))):
        ran = subprocess.run(
            [*command(*words), "--data-dir", str(vigie.directory / "home")],
            env={**os.environ, **variables}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        for noise in ("Sending username", "Traceback", "WARNING", variables["VIGIE_KAFKA_SASL_PASSWORD"]):
            assert noise not in ran.stdout + ran.stderr
