"""Every route of alerting, with every kind of caller, about the own, a foreign, and an unknown tenant: what is answered
is what the permission table says. What a route needs is written down here a second time, by path and method."""

from __future__ import annotations

import re

import pytest
from vigie_alerting.app import create_app
from vigie_identity.permissions import Permission
from vigie_runtime.clients import Database

from services.alerting.tests.office import settings_for
from tests.kit.callers import Need
from tests.kit.every_route import differences

pytestmark = pytest.mark.connected

P = Permission
NEEDS: list[tuple[str, Permission | None, Permission | None]] = [
    (r"/api/alerts/routes/test", None, P.MONITORING_READ),
    (r"/api/alerts/silences.*", P.ALERTS_READ, P.ALERTS_SILENCE),
    (
        r"/api/alerts/(rules|channels|routes|maintenance|inhibitions|time-intervals).*|/api/slos.*",
        P.MONITORING_READ,
        P.MONITORING_CONFIGURE,
    ),
    (r"/api/oncall/schedules/\{schedule\}/calendar.ics", None, None),
    (r"/api/oncall(/schedules/\{schedule\}/shifts)?", P.ALERTS_READ, None),
    (r"/api/oncall/schedules/\{schedule\}/preview", None, P.MONITORING_READ),
    (r"/api/oncall/.*", P.MONITORING_READ, P.MONITORING_CONFIGURE),
    (r"/api/alerts/\{alert\}/notifications/.*", None, P.MONITORING_CONFIGURE),
    (r"/api/alerts/\{alert\}/resolve", None, P.ALERTS_RESOLVE),
    (r"/api/alerts/\{alert\}/(.*acknowledge|escalate)", None, P.ALERTS_ACKNOWLEDGE),
    (r"/api/alerts/slack/interactions", None, None),
    (r"/api/v2/alerts", P.ALERTS_READ, P.DATA_WRITE),
    (r"/api/v2/(status|receivers|alerts/groups)", P.ALERTS_READ, None),
    (r"/api/v2/silences?(/.*)?", P.ALERTS_READ, P.ALERTS_SILENCE),
    (r"/stats/alerts/\{alert\}/acknowledge", None, P.ALERTS_ACKNOWLEDGE),
    (r"/stats/alerts/\{alert\}/resolve", None, P.ALERTS_RESOLVE),
    (r"/stats/alerts", P.ALERTS_READ, None),
    (r"/api/alerts.*|/api/v1/alerts", P.ALERTS_READ, None),
    (r"/api/v1/rules", P.ALERTS_READ_ALL, None),
    (r"/health(/.*)?|/internal/metrics|/api-docs|/docs.*|/redoc|/openapi.json", None, None),
]
"""For who reads, and who changes. The first that matches the whole path counts."""


def need_of(method: str, path: str) -> Need:
    read, change = next((read, change) for pattern, read, change in NEEDS if re.fullmatch(pattern, path))
    return Need(read if method == "GET" else change)


async def test_every_route_asks_for_what_the_table_says(
    database: Database, kafka: str, mongo_uri: str, redis_url: str
) -> None:
    servers = {"kafka_bootstrap_servers": kafka, "mongodb_uri": mongo_uri, "redis_url": redis_url}
    settings = settings_for(servers, database.name)
    found = await differences(create_app(settings), settings, redis_url, need_of)
    assert not found, "\n".join(found)
