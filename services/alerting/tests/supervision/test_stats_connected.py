"""/stats/alerts, and rules that follow the configuration, on real servers."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from vigie_contracts.alerts import Rule
from vigie_contracts.monitoring import AlertThresholds, MonitoringConfig, Threshold
from vigie_identity.permissions import Role
from vigie_storage.hosts.configuration import MonitoringConfigs, StoredConfig
from vigie_storage.mongo import transaction

from services.alerting.tests.office import ACME, Office, person
from tests.kit import eventually

pytestmark = pytest.mark.connected

ALERTS = "/stats/alerts"


async def rules_of(office: Office) -> dict[str, Rule]:
    return {one.name: one for one in await office.resources.stores.rules.all(ACME) if not one.managed_by}


async def test_the_permission_table_of_the_replaced_system_holds_for_alerts(office: Office) -> None:
    rules, now = await rules_of(office), int(time.time() * 1000)
    labels = (("host", "web-1"), ("service", "api"), ("site", "shop"))
    site = await office.fires(rules["service_down"], labels, 0.0, now)
    whole = await office.fires(rules["site_down"], (("host", "web-1"), ("site", "blog")), 0.0, now - 1_000)
    other = await office.fires(rules["ServiceUnavailable"], (("target", "x"),), 0.0, now - 60_000)
    mine = frozenset({"shop"})
    who = [person("a"), person("u", Role.USER, sites=mine), person("r", Role.READONLY, sites=mine)]

    seen = [[one["id"] for one in (await office.call("GET", ALERTS, by=one))["alerts"]] for one in who]
    assert seen == [[site.fingerprint, whole.fingerprint], [site.fingerprint], [site.fingerprint]]
    assert other.fingerprint not in seen[0], "of other rules than those on hosts"
    alert: dict[str, Any] = (await office.call("GET", ALERTS, by=who[1]))["alerts"][0]
    shape = {name: alert[name] for name in ("type", "severity", "message", "site", "service", "status", "resolvedAt")}
    assert shape == {
        "type": "service_down", "severity": "error", "message": "api on web-1 is stopped", "site": "shop",
        "service": "api", "status": "active", "resolvedAt": None,
    }  # fmt: skip

    table = {
        "acknowledge": {(site.fingerprint, whole.fingerprint): ((200, 200), (200, 404), (403, 403))},
        "resolve": {(site.fingerprint, whole.fingerprint): ((200, 200), (403, 403), (403, 403))},
    }
    for action, rows in table.items():
        for ids, expected in rows.items():
            for caller, statuses in reversed(list(zip(who, expected, strict=True))):
                for id_, status in zip(ids, statuses, strict=True):
                    await office.call("POST", f"{ALERTS}/{id_}/{action}", status, by=caller)
                    if (action, status) == ("acknowledge", 200):
                        await office.call("POST", f"/api/alerts/{id_}/unacknowledge", by=person("a"))
    ended = (await office.call("GET", ALERTS, params={"status": "resolved"}))["alerts"]
    assert {one["id"] for one in ended} == {site.fingerprint, whole.fingerprint}
    assert all(one["resolvedAt"] for one in ended)
    for query, count in (
        ({"siteId": "shop"}, 1),
        ({"host": "web-2"}, 0),
        ({"type": "site_down"}, 1),
        ({"limit": 1}, 1),
    ):
        assert len((await office.call("GET", ALERTS, params=query))["alerts"]) == count, query
    for wrong in ({"limit": 201}, {"siteId": "a/b"}, {"status": "gone"}):
        await office.call("GET", ALERTS, 422, params=wrong)
    await office.call("POST", f"{ALERTS}/0000000000000000/resolve", 404)


async def test_rules_follow_the_configuration_within_seconds(office: Office) -> None:
    db = office.resources.slobook._rulebook._db  # type: ignore[attr-defined]
    configs = MonitoringConfigs(db)
    await configs.ensure_indexes()

    async def configure(host: str, version: int, config: MonitoringConfig | None) -> None:
        made = StoredConfig(host, config, version, datetime.now(UTC), "alice")
        await transaction(db, lambda session: configs.put(ACME, made, session))

    lower = AlertThresholds(cpu=Threshold(warning=40, critical=55))
    await configure("", 1, MonitoringConfig(alert_thresholds=lower))

    async def follows() -> bool:
        cpu = (await rules_of(office))["cpu_high"]
        return (cpu.threshold, cpu.levels[0].threshold, cpu.version) == (40.0, 55.0, 2)

    await eventually(follows, 10)
    await configure("web-1", 1, MonitoringConfig())
    await configure("", 2, MonitoringConfig(alerts_enabled=False))

    async def apart() -> bool:
        every = await office.resources.stores.rules.all(ACME)
        own = [one for one in every if one.managed_by == "monitoring/web-1"]
        shared = [one for one in every if one.group == "server-supervision" and not one.managed_by]
        return len(own) == 5 and all(one.enabled for one in own) and not any(one.enabled for one in shared)

    await eventually(apart, 10)
    own = next(one for one in await office.resources.stores.rules.all(ACME) if one.managed_by)
    refused = await office.call("DELETE", f"/api/alerts/rules/{own.id}", 409)
    assert "the monitoring 'web-1'" in refused["detail"]
    await configure("web-1", 2, None)

    async def taken_back() -> bool:
        return not [one for one in await office.resources.stores.rules.all(ACME) if one.managed_by]

    await eventually(taken_back, 10)
