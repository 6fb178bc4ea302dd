"""Every route of healthcheck, with every kind of caller, about the own, a foreign, and an unknown tenant: what is
answered is what the permission table says. What a route needs is written down here a second time, by path and
method."""

from __future__ import annotations

import re

import pytest
from pydantic import SecretStr
from vigie_healthcheck.app import create_app
from vigie_healthcheck.settings import HealthcheckSettings
from vigie_identity.permissions import Permission
from vigie_runtime.clients import Database

from tests.kit.callers import ACME, Need
from tests.kit.every_route import differences

pytestmark = pytest.mark.connected

P = Permission
NEEDS: list[tuple[str, Permission | None, Permission | None]] = [
    (r"/api/health/services/export", P.MONITORING_READ, None),
    (r"/api/health/services.*", P.SERVICES_READ, P.MONITORING_CONFIGURE),
    (r"/api/health/heartbeat/.*", None, None),
    (r"/api/health.*", P.SERVICES_READ, P.SERVICES_READ),
    (r"/status/.*", None, None),
    (r"/health(/.*)?|/internal/metrics|/docs.*|/redoc|/openapi.json", None, None),
]
"""For who reads, and who changes. The first that matches the whole path counts."""


def need_of(method: str, path: str) -> Need:
    read, change = next((read, change) for pattern, read, change in NEEDS if re.fullmatch(pattern, path))
    return Need(read if method == "GET" else change)


async def test_every_route_asks_for_what_the_table_says(
    database: Database, kafka: str, mongo_uri: str, redis_url: str
) -> None:
    name = database.name
    settings = HealthcheckSettings(
        kafka_bootstrap_servers=kafka, mongodb_uri=mongo_uri, redis_url=redis_url, mongodb_database=name,
        samples_topic=f"samples-{name}", targets_topic=f"targets-{name}", checks_topic=f"checks-{name}",
        healthcheck_group=name, partitions=2, default_tenant=ACME, anonymous="nothing",
        jwt_secret=SecretStr("own-secret-" * 4),
    )  # fmt: skip
    found = await differences(create_app(settings), settings, redis_url, need_of)
    assert not found, "\n".join(found)
