"""The compose stack for real: it comes up healthy, a tour through its proxy works, sums survive crashes."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import pytest_asyncio

from tests.e2e.tour import ORIGIN, README, steps, walk
from tests.kit import eventually, unique
from tests.kit.compose.daemon import NotHere, daemon
from tests.kit.compose.stack import CORE, SERVERS, Stack
from tests.kit.plugin import note
from tools import images

START_S = 1_500
"""A first run builds everything; later ones what changed."""
pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(START_S)]

READABLE_S = 120.0
AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}
OURS = tuple(name for name in CORE if name != "proxy")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Stack]:
    """The core of the stack, healthy; skipped with a sentence where no daemon is to be had."""
    directory = tmp_path_factory.mktemp("compose")
    try:
        with daemon() as here:
            one = Stack(here, directory)
            try:
                one.up()
                used = f"stand-ins for {', '.join(one.stand_ins)}" if one.stand_ins else "the images that it names"
                note(pytestconfig, f"compose stack: {used}")
                yield one
            finally:
                one.down()
    except NotHere as reason:
        pytest.skip(f"the compose stack was not run: {reason}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who comes to the front door with an administrator's key of the default tenant."""
    async with httpx.AsyncClient(base_url=stack.url, timeout=60, trust_env=False) as anybody:
        password = (stack.secrets / "admin-password").read_text().strip()
        login = await anybody.post("/auth/login", json={"username": "admin", "password": password})
        assert login.status_code == 200, login.text
        anybody.headers["authorization"] = f"Bearer {login.json()['accessToken']}"
        made = await anybody.post(
            "/admin/tenants/default/keys", json={"name": "tour", "scopes": ["write", "read", "configure"]}
        )
        assert made.status_code == 201, made.text
        del anybody.headers["authorization"]
        anybody.headers["x-api-key"] = made.json()["secret"]
        yield anybody


def test_every_container_of_the_core_is_healthy(stack: Stack) -> None:
    for service in (*CORE, *SERVERS):
        state = stack.container(service)["State"]
        assert (state["Status"], state["Health"]["Status"]) == ("running", "healthy"), service


async def test_what_is_sent_through_the_proxy_is_read_through_it(client: httpx.AsyncClient) -> None:
    name = unique("compose").replace("-", "_")
    sent = await client.post("/api/metrics/custom", json={"name": name, "type": "counter", "value": 3})
    assert sent.status_code == 201, sent.text
    await eventually(lambda: _sum_is(client, name, 3.0), READABLE_S)
    answer = await client.get("/metrics")
    assert name in answer.text


CURL = """#!/bin/sh
case "$*" in *X-API-Key*) ;; *) set -- "$@" -H "X-API-Key: $VIGIE_TOKEN" ;; esac
exec "$VIGIE_CURL" "$@"
"""
"""The page speaks of a machine of one's own, where nobody needs a credential; here the tenant's key is one."""
ON_ITS_MACHINE = re.compile(r"^\s*(make|git|cd)\b|vigie (up|down|incident|inbox)\b")
"""Steps about the files and processes of `vigie up`."""


@pytest.mark.timeout(300)
def test_tour_of_the_readme_goes_through_the_proxy(stack: Stack, client: httpx.AsyncClient, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not on the PATH")
    vigie = f'#!/bin/sh\nexec {shlex.join(stack.command("run", "--rm", "--no-TTY", "vigie"))} "$@"\n'
    for name, script in (("curl", CURL), ("vigie", vigie)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    own = stack.environment | {"VIGIE_TOKEN": client.headers["x-api-key"], "VIGIE_CURL": curl}
    environment = {**os.environ, **own, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def run(command: str) -> str:
        here = ORIGIN.sub(stack.url.removeprefix("http://"), command)
        done = subprocess.run(
            here, shell=True, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, f"{command}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    demo = [Path(sys.executable).with_name("vigie"), "demo", "--url", stack.url, "--backfill", "10m", "--no-incidents"]
    sends = subprocess.Popen(
        [*demo, "--data-dir", tmp_path / "home"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        tour = [step for step in steps(README.read_text(encoding="utf-8")) if not ON_ITS_MACHINE.search(step.command)]
        assert len(tour) >= 8
        for step in tour:
            walk(step, run)
        assert sends.poll() is None, "the simulator ended"
    finally:
        sends.kill()
        sends.wait()


async def test_every_service_behind_the_proxy_answers_its_paths(client: httpx.AsyncClient) -> None:
    answers = {path: await client.get(path) for path in (
        "/health/ready", "/api/series", "/api/alerts", "/api/v1/rules", "/api/health", "/openapi.json",
        "/openapi/ingest.json", "/openapi/alerting.json", "/openapi/healthcheck.json", "/openapi/push.json", "/",
    )}  # fmt: skip
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
    event = {
        "specversion": "1.0", "id": unique("b"), "source": "/booking/compose",
        "type": "com.example.booking.completed", "data": {"amount": 240.5, "currency": "EUR"},
    }  # fmt: skip
    sent = await client.post(
        "/api/events", content=json.dumps(event), headers={"content-type": "application/cloudevents+json"}
    )
    assert sent.json()["accepted"] == 1, sent.text


async def test_parts_of_vigie_are_targets_that_are_up(client: httpx.AsyncClient) -> None:
    async def up() -> bool:
        answer = await client.get("/api/health/services?limit=100")
        states = {one["name"]: one["state"] for one in answer.json()["services"]}
        return {f"vigie-{name}" for name in (*OURS, "proxy")} <= {name for name, is_ in states.items() if is_ == "up"}

    await eventually(up, READABLE_S)


async def test_live_feed_comes_through_the_proxy(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/api/stream?channel=health", timeout=30) as feed:
        assert feed.status_code == 200, await feed.aread()
        assert feed.headers["content-type"].startswith("text/event-stream")
        async for line in feed.aiter_lines():
            assert line  # the first thing that is told
            break


async def test_strangers_send_telemetry_and_nothing_else(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.url, timeout=30, trust_env=False) as anybody:
        assert (await anybody.get("/api/series")).status_code == 401
        hidden = await anybody.get("/internal/metrics")
        assert hidden.status_code == 404
        assert hidden.headers["content-type"] == "application/problem+json"
        refused = await anybody.post("/api/metrics/custom", json={"name": "x", "type": "counter", "value": 1})
        assert refused.status_code == 401


INSIDE = """
test "$(id -u):$(id -g)" = 10001:10001
if touch /opt/vigie/x 2>/dev/null; then exit 1; fi
touch /tmp/x
if command -v cc || command -v gcc || command -v clang; then exit 1; fi
test "$(date +%Z)" = UTC
grep -q '^CapEff:.0000000000000000$' /proc/self/status
grep -q '^NoNewPrivs:.1$' /proc/self/status
echo confined
"""


def test_containers_are_confined_and_hold_no_compiler(stack: Stack) -> None:
    for service in OURS:
        assert stack.compose("exec", "--no-TTY", service, "sh", "-e", "-c", INSIDE) == "confined\n", service


def test_proxy_does_not_reach_what_the_services_keep_things_in(stack: Stack) -> None:
    for host, port in (("mongodb", 27017), ("kafka", 9092), ("redis", 6379)):
        address = stack.container(host)["NetworkSettings"]["Networks"][f"{stack.project}_data"]["IPAddress"]
        ran = stack.compose(
            "exec", "--no-TTY", "proxy", "sh", "-c",
            f"wget -q -T 2 -t 1 -O /dev/null http://{address}:{port}/ && echo reached || echo not", timeout=60,
        )  # fmt: skip
        assert ran.strip().endswith("not")


def test_images_say_what_they_are(stack: Stack) -> None:
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    for service in OURS:
        inspected = json.loads(stack.daemon.docker("image", "inspect", stack.container(service)["Image"]))[0]["Config"]
        labels = inspected["Labels"]
        assert labels["org.opencontainers.image.title"] == f"vigie-{service}"
        assert labels["org.opencontainers.image.revision"] in (revision or "unknown", "unknown")
        datetime.strptime(labels["org.opencontainers.image.created"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        sbom = json.loads(stack.compose("exec", "--no-TTY", service, "cat", labels["vigie.sbom"]))
        assert sbom["bomFormat"] == "CycloneDX"
        assert {"pymongo", "vigie-contracts"} <= {component["name"] for component in sbom["components"]}
        whole, ours = images.sizes(stack.container(service)["Config"]["Image"], stack.daemon.environment)
        assert 0 < ours < whole
        assert ours < 300e6


class Sender:
    """Sends batches until it is told to stop; each again, with its key, until the answer is clear."""

    def __init__(self, client: httpx.AsyncClient, metric: str) -> None:
        self._client = client
        self._metric = metric
        self.accepted = 0
        self.retried = 0
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        number = 0
        while not self.stopped.is_set():
            number += 1
            values = [number * 10 + place for place in range(10)]
            body = [
                {"name": self._metric, "type": "counter", "value": value, "labels": {"place": str(place)}}
                for place, value in enumerate(values)
            ]
            await self._send(body, f"{self._metric}-{number}")
            self.accepted += sum(values)
            await asyncio.sleep(0.05)

    async def _send(self, body: Any, key: str) -> None:
        end = time.monotonic() + READABLE_S
        while True:
            try:
                answer = await self._client.post(
                    "/api/metrics/batch", json=body, headers={"idempotency-key": key}, timeout=15
                )
            except httpx.TransportError as error:
                said = repr(error)
            else:
                if answer.status_code in (200, 201, 202):
                    assert answer.json()["accepted"] == len(body), answer.text
                    return
                assert answer.status_code in AGAIN, answer.text
                said = answer.text
            assert time.monotonic() < end, f"not accepted for {READABLE_S:g} s: {said}"
            self.retried += 1
            await asyncio.sleep(0.25)


@pytest.mark.fault
async def test_sums_survive_crashes_and_restarts_of_containers(stack: Stack, client: httpx.AsyncClient) -> None:
    metric = unique("survivor").replace("-", "_")
    sender = Sender(client, metric)
    sending = asyncio.create_task(sender.run())
    try:
        for service in ("aggregator", "ingest", "mongodb", "kafka", "redis"):
            before = sender.accepted
            await asyncio.to_thread(stack.kill, service)
            await asyncio.to_thread(stack.wait_healthy, service, deadline_s=READABLE_S)
            await eventually(lambda before=before: sending.done() or sender.accepted > before, READABLE_S)
        await asyncio.to_thread(stack.compose, "restart", "aggregator", "api", "proxy")
        await asyncio.to_thread(stack.wait_healthy, *CORE)
    finally:
        sender.stopped.set()
        await sending
    assert sender.accepted > 0
    assert sender.retried > 0, "no crash was noticed"
    await eventually(lambda: _sum_is(client, metric, float(sender.accepted)), READABLE_S)


def test_services_stop_in_good_order_within_their_grace(stack: Stack) -> None:
    """The last test: what it stops stays stopped."""
    stack.compose("stop", *CORE, timeout=240)
    for service in OURS:
        state = stack.container(service)["State"]
        # Of the signal, once all was put away; what is killed after its grace says 137.
        assert state["ExitCode"] in (0, 128 + signal.SIGTERM), f"{service}: {state}"


async def _sum_is(client: httpx.AsyncClient, metric: str, wanted: float) -> bool:
    """Of all that was ever sent of a counter."""
    answer = await client.get(
        "/api/query_range", params={"metric": metric, "function": "sum", "from": "now-2h", "step": "2h"}
    )
    if answer.status_code in (404, *AGAIN):
        return False
    assert answer.status_code == 200, answer.text
    found = sum(value for one in answer.json()["series"] for _, value in one["points"] if value is not None)
    assert found <= wanted, f"{found} of {wanted}: counted more than once"
    assert found == wanted, f"{found} of {wanted}"
    return True
