"""What the services say of themselves is what they do: schemathesis sends what their OpenAPI documents allow, and what
they do not, as a SUPERADMIN, and looks at every answer. No 5xx, and none that is not documented."""

from __future__ import annotations

import asyncio
import json
import os
import re
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

MAX_EXAMPLES = 8
DEADLINE_S = 200
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance", "ignored_auth",
)  # fmt: skip
"""Not among them: that whatever the schema allows is accepted. A schema cannot say that a name is free, a time is in
the future, or a cursor is one that was given."""

PASSWORD = "correct horse battery"
CONFIG = """
headers = {{ Authorization = "Bearer {token}" }}

# Names of what there is: made up ones would get 404 only. What is deleted is something else.
[parameters]
"path.tenant" = "fuzzed"
"path.user" = "{user}"
"path.key" = "{key}"
"path.licence" = "{licence}"
"path.other" = "default"

[[operations]]
include-name = "DELETE /admin/tenants/{{tenant}}"
parameters = {{ "path.tenant" = "nowhere" }}

[[operations]]
include-method = "DELETE"
parameters = {{ "path.user" = "nobody", "path.key" = "nothing" }}

# A session of its own for the request that ends it.
[[operations]]
include-name = "POST /auth/logout"
headers = {{ Authorization = "Bearer {leaving}" }}
"""
OF_THE_EXAMPLES = "550e8400-e29b-41d4-a716-446655440000"
SELDOM_GOOD = {
    "api": {
        "POST /auth/login", "POST /auth/refresh", "POST /auth/session", "PUT /auth/session", "PUT /auth/password",
        "DELETE /admin/tenants/{tenant}",
        "DELETE /admin/tenants/{tenant}/users/{user}", "DELETE /admin/tenants/{tenant}/keys/{key}",
        "DELETE /admin/tenants/{tenant}/users/{user}/assignments/{other}",
        "DELETE /admin/tenants/{tenant}/users/{user}/apps/{app}",
        "DELETE /admin/tenants/{tenant}/users/{user}/sites/{site}",
        "POST /admin/tenants/{tenant}/keys/{key}/rotate", "GET /admin/users/{user}", "PATCH /admin/users/{user}",
        "PUT /admin/users/{user}/password", "DELETE /admin/users/{user}", "GET /admin/tenant/{tenant}/metrics/latest",
        # No host has reported, and no site has the name that is asked for.
        "GET /api/hosts/{host}", "GET /api/sites/{site}", "PUT /api/sites/{site}", "DELETE /api/sites/{site}",
        "GET /stats/server", "GET /stats/server/history", "GET /stats/system", "GET /stats/services",
        "POST /api/sites/{siteId}/services/{name}/{action}", "GET /api/commands/{commandId}",
        "GET /stats/site/{site}", "GET /stats/site/{site}/history", "GET /stats/services/{site}",
    },
    # Their times must be of the last weeks.
    "ingest": {"POST /api/import/telemetry", "POST /api/hosts/reports"},
}  # fmt: skip
"""Who does not know a secret, or asks for what there is not, gets no 2xx of these. Of all others somebody must: else
what they answer was not looked at."""


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
        "VIGIE_REPORTS_TOPIC": f"{database.name}-reports",
        "VIGIE_CHECKS_TOPIC": f"{database.name}-checks",
        "VIGIE_COMMANDS_TOPIC": f"{database.name}-commands",
        "VIGIE_PARTITIONS": "2",
        "VIGIE_ANONYMOUS": "nothing",
        "VIGIE_JWT_SECRET": "own-secret-" * 4,
        "VIGIE_ADMIN_PASSWORD": PASSWORD,
    }
    yield Platform(spawn, environment)


async def configured(api: str) -> str:
    """The configuration, with a session for all requests, one for logging out, and names of what there is."""
    async with httpx2.AsyncClient(base_url=api, timeout=30) as http:

        async def post(path: str, **body: Any) -> Any:
            answer = await http.post(path, json=body)
            assert answer.is_success, answer.text
            return answer.json()

        token, leaving = [
            (await post("/auth/login", username="admin", password=PASSWORD))["accessToken"] for _ in range(2)
        ]
        http.headers["authorization"] = f"Bearer {token}"
        path = "/admin/tenants"
        for tenant in ("fuzzed", OF_THE_EXAMPLES):
            await post(path, id=tenant, name=tenant)
        path += "/fuzzed"
        user = (await post(f"{path}/users", name="alice", password=PASSWORD, role="USER"))["id"]
        key = (await post(f"{path}/keys", name="key", scopes=["read"]))["key"]["id"]
        licence = (await post(f"{path}/licences", product="one", expires="2999-01-01T00:00:00Z"))["id"]
        return CONFIG.format(token=token, leaving=leaving, user=user, key=key, licence=licence)


def answered_well(archive: Path, document: dict[str, Any]) -> set[str]:
    """The operations that were answered with 2xx at least once."""
    patterns = [
        (method.upper(), path, re.compile(re.sub(r"\{\w+\}", "[^/]+", path)))
        for path, item in document["paths"].items()
        for method in item
    ]
    found: set[str] = set()
    for entry in json.loads(archive.read_text())["log"]["entries"]:
        if entry["response"]["status"] < 300:
            path = re.sub(r"^https?://[^/]+|\?.*$", "", entry["request"]["url"])
            asked = entry["request"]["method"]
            found |= {f"{method} {one}" for method, one, rule in patterns if method == asked and rule.fullmatch(path)}
    return found


@pytest.mark.parametrize("service", ["api", "ingest"])
async def test_a_service_answers_as_its_document_says(platform: Platform, tmp_path: Path, service: str) -> None:
    api = await platform.start("api")
    url = api if service == "api" else await platform.start(service)
    config, archive = tmp_path / "schemathesis.toml", tmp_path / "answers.har"
    config.write_text(await configured(api))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), f"--config-file={config}", "run", f"{url}/openapi.json",
        f"--checks={','.join(CHECKS)}", "--phases=examples,coverage,fuzzing", f"--max-examples={MAX_EXAMPLES}",
        "--generation-deterministic", "--continue-on-failure", "--no-shrink", "--request-timeout=20",
        "--no-color", "--warnings=off", "--report=har", f"--report-har-path={archive}",
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("media.py"))}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    async with httpx2.AsyncClient(base_url=url) as http:
        document = (await http.get("/openapi.json")).json()
    every = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert every - answered_well(archive, document) <= SELDOM_GOOD[service]
