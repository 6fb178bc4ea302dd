"""What the services say of themselves is what they do: schemathesis sends what their OpenAPI documents allow, and what
they do not, and looks at every answer. No 5xx, and none that is not documented."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from vigie_standalone.embedded.servers import Server, Servers

from tests.kit import Spawner, free_port, http_ready

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

SEED = 20_261_121
MAX_EXAMPLES = 12
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection",
)  # fmt: skip
PASSWORD = "correct horse battery"
# A session of its own for the request that ends it.
CONFIG = """
headers = {{ Authorization = "Bearer {token}" }}

[[operations]]
include-name = "POST /auth/logout"
headers = {{ Authorization = "Bearer {leaving}" }}
"""


@dataclass
class Platform:
    """Both services on one database, and how to start them."""

    spawn: Spawner
    environment: dict[str, str]

    async def start(self, service: str) -> str:
        """The URL of a new process."""
        url = f"http://127.0.0.1:{(port := free_port())}"
        upper = service.upper()
        own = {f"VIGIE_{upper}_HOST": "127.0.0.1", f"VIGIE_{upper}_PORT": str(port)}
        ready = http_ready(f"{url}/health/ready")
        await asyncio.to_thread(self.spawn.module, f"vigie_{service}", env={**self.environment, **own}, ready=ready)
        return url


@pytest_asyncio.fixture(loop_scope="session")
async def platform(
    spawn: Spawner, kafka: str, mongo_uri: str, database: Any, own_servers: Servers
) -> AsyncIterator[Platform]:
    """With a Redis of its own: nobody else shall be kept from logging in by so many failed logins."""
    addresses = await asyncio.to_thread(own_servers.start, [Server.REDIS])
    environment = {
        "REDIS_URL": addresses[Server.REDIS].url,
        "VIGIE_MONGODB_DATABASE": database.name,
        "VIGIE_SAMPLES_TOPIC": database.name,
        "VIGIE_PARTITIONS": "2",
        "VIGIE_ANONYMOUS": "nothing",
        "VIGIE_JWT_SECRET": "own-secret-" * 4,
        "VIGIE_ADMIN_PASSWORD": PASSWORD,
    }
    yield Platform(spawn, environment)


async def token(api: str) -> str:
    """Of a new session of the first administrator."""
    async with httpx2.AsyncClient(base_url=api, timeout=30) as http:
        answer = await http.post("/auth/login", json={"username": "admin", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return answer.json()["accessToken"]


@pytest.mark.parametrize("service", ["api", "ingest"])
async def test_a_service_answers_as_its_document_says(platform: Platform, tmp_path: Path, service: str) -> None:
    api = await platform.start("api")
    url = api if service == "api" else await platform.start(service)
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(token=await token(api), leaving=await token(api)))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), f"--config-file={config}", "run", f"{url}/openapi.json",
        f"--checks={','.join(CHECKS)}", "--phases=examples,coverage,fuzzing", f"--max-examples={MAX_EXAMPLES}",
        f"--seed={SEED}", "--generation-deterministic", "--continue-on-failure",
        "--no-shrink", "--request-timeout=20", "--no-color", "--warnings=off",
    ]  # fmt: skip
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
