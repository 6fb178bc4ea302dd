"""What the rules on hosts become of a configuration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace
from vigie_alerting.rules.checking import checked
from vigie_alerting.rules.shipped import SUPERVISED, supervision
from vigie_alerting.supervision.following import MANAGED, wanted
from vigie_contracts.alerts import Rule
from vigie_contracts.monitoring import AlertThresholds, MonitoringConfig, Threshold
from vigie_storage.hosts.configuration import StoredConfig, TenantConfig

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
THERE = {rule.id: replace(rule, created_at=1, updated_at=1) for rule in supervision("acme")}
CPU = AlertThresholds(cpu=Threshold(warning=50, critical=60))


def config(tenant: MonitoringConfig | None, **hosts: MonitoringConfig) -> TenantConfig:
    own = {host.replace("_", "."): StoredConfig(host, one, 1, NOW, "alice") for host, one in hosts.items()}
    return TenantConfig(StoredConfig("", tenant, 1, NOW, "alice"), own)


def by_name(rules: list[Rule], **fields: Any) -> dict[str, Rule]:
    return {one.name: one for one in rules if all(getattr(one, name) == value for name, value in fields.items())}


def test_thresholds_of_the_tenant_are_those_of_the_shipped_rules_and_nothing_else_changes() -> None:
    found = wanted("acme", config(MonitoringConfig(alert_thresholds=CPU)), THERE)
    assert set(found.ids) == set(THERE)
    rules = by_name(found.rules)
    assert tuple(rules) == SUPERVISED
    assert (rules["cpu_high"].threshold, rules["cpu_high"].levels[0].threshold) == (50.0, 60.0)
    assert [rules[name] for name in SUPERVISED[1:]] == list(THERE.values())[1:]
    same = replace(rules["cpu_high"], threshold=70.0, levels=THERE[rules["cpu_high"].id].levels)
    assert same == THERE[same.id]


def test_what_was_configured_first_makes_no_difference_to_the_shipped_rules() -> None:
    assert wanted("acme", config(MonitoringConfig()), THERE).rules == list(THERE.values())


def test_alerts_that_are_switched_off_switch_the_rules_off() -> None:
    found = wanted("acme", config(MonitoringConfig(alerts_enabled=False)), THERE)
    assert [rule.enabled for rule in found.rules] == [False] * 5


def test_a_host_of_its_own_has_rules_of_its_own_and_the_others_leave_it_out() -> None:
    found = wanted("acme", config(None, web_1=MonitoringConfig(alert_thresholds=CPU)), THERE)
    shared, own = by_name(found.rules, managed_by=""), by_name(found.rules, managed_by=f"{MANAGED}web.1")
    assert set(shared) == set(own) == set(SUPERVISED)
    assert (shared["cpu_high"].threshold, own["cpu_high"].threshold) == (70.0, 50.0)
    assert (shared["cpu_high"].matchers, own["cpu_high"].matchers) == (
        ["core=", "host!~web[.]1"], ["core=", "host=web.1"],
    )  # fmt: skip
    for rule in found.rules:
        made, warnings = checked(rule)
        assert not warnings, rule.id
        inside = 'host="web.1"' if rule.managed_by else 'host!~"web[.]1"'
        assert inside in made.text.replace("'", '"'), made.text
    again = wanted("acme", config(None), THERE | {one.id: one for one in own.values()})
    assert {one.id for one in own.values()} <= set(again.ids)
    assert again.rules == list(THERE.values()), "taken back"


def test_a_host_whose_alerts_are_off_has_no_rules() -> None:
    found = wanted("acme", config(None, quiet=MonitoringConfig(alerts_enabled=False)), THERE)
    assert {rule.managed_by for rule in found.rules} == {""}
    assert all("quiet" in (rule.expression or " ".join(rule.matchers)) for rule in found.rules)


def test_what_people_changed_later_or_removed_stays() -> None:
    cpu, *others = THERE.values()
    changed = replace(cpu, threshold=99.0, updated_by="bob", updated_at=NOW_MS + 1)
    found = wanted(
        "acme", config(MonitoringConfig(alert_thresholds=CPU)), {changed.id: changed, others[0].id: others[0]}
    )
    assert [rule.id for rule in found.rules] == [others[0].id]
    earlier = replace(changed, updated_at=NOW_MS - 1)
    found = wanted("acme", config(MonitoringConfig(alert_thresholds=CPU)), {earlier.id: earlier})
    assert [rule.threshold for rule in found.rules] == [50.0]


def test_rules_can_be_read_however_many_hosts_have_their_own() -> None:
    for count in (1, 30, 100):
        hosts = [f"web-{number:03}.data-centre.example.com" for number in range(count)]
        stored = {host: StoredConfig(host, MonitoringConfig(), 1, NOW, "alice") for host in hosts}
        found = wanted("acme", TenantConfig(StoredConfig("", None, 1, NOW, "alice"), stored), THERE)
        shared = [rule for rule in found.rules if not rule.managed_by]
        assert len([checked(rule) for rule in shared]) == 5
        assert all("web-000[.]data" in f"{rule.matchers}{rule.expression}" for rule in shared)
