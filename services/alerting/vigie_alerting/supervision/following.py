"""What the rules on hosts have to be, by the configuration of their tenant. Pure.

The five shipped rules are those of all hosts without a configuration of their own; each host that has one has five
more, which nobody changes by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace
from vigie_contracts import names
from vigie_contracts.alerts import Level, Rule, Severity
from vigie_contracts.monitoring import DEFAULT, MonitoringConfig
from vigie_query.matchers import MAX_REGEX_CHARS, MAX_REGEXES
from vigie_storage.hosts.configuration import TenantConfig

from vigie_alerting.rules.shipped import BY, supervision

MANAGED: Final = "monitoring/"
"""How `managed_by` of a host's own rules begins."""
_USAGE: Final = {"cpu_high": "cpu", "memory_high": "memory", "disk_high": "disk"}
_SITE_DOWN: Final = "site_down"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`rules` takes the place of all that are there of `ids`."""

    rules: list[Rule]
    ids: list[str]


def wanted(tenant: str, config: TenantConfig, there: Mapping[str, Rule]) -> Wanted:
    """What has to be, where `there` are the tenant's rules by id. Shipped ones that somebody removed stay removed, and
    those that somebody has changed since the configuration was changed stay as they are."""
    shipped = supervision(tenant)
    base, own = config.tenant.config or DEFAULT, config.own
    changed = config.changed
    rules: list[Rule] = []
    ids: list[str] = [rule_id for rule_id, rule in there.items() if rule.managed_by.startswith(MANAGED)]
    for rule in shipped:
        known = there.get(rule.id)
        if known is None or not _follows(known, changed):
            continue
        rules.append(_of(rule, known, base, _except(own), enabled=base.alerts_enabled))
        ids.append(rule.id)
    for host, its in own.items():
        if its.alerts_enabled:
            made = [_own(rule, host, its) for rule in shipped]
            rules += made
            ids += [one.id for one in made]
    return Wanted(rules, list(dict.fromkeys(ids)))


def _follows(known: Rule, changed: datetime | None) -> bool:
    by_us = known.updated_by == BY
    return by_us or (changed is not None and changed.timestamp() * 1000 > (known.updated_at or 0))


def _of(shipped: Rule, known: Rule, config: MonitoringConfig, hosts: Sequence[str], *, enabled: bool) -> Rule:
    """As it is, but for what the configuration says."""
    return replace(
        known,
        enabled=enabled,
        threshold=_threshold(shipped, config, known.threshold),
        levels=_levels(shipped, config, known.levels),
        matchers=_matchers(shipped, hosts),
        expression=_expression(shipped, hosts),
    )


def _own(shipped: Rule, host: str, config: MonitoringConfig) -> Rule:
    mark = blake2b(host.encode(), digest_size=6, person=b"vigie-host-v1").hexdigest()
    only = [f"host={host}"]
    return replace(
        shipped,
        id=f"{shipped.id}-{mark}",
        managed_by=f"{MANAGED}{host}",
        threshold=_threshold(shipped, config, shipped.threshold),
        levels=_levels(shipped, config, shipped.levels),
        matchers=_matchers(shipped, only),
        expression=_expression(shipped, only),
    )


def _threshold(shipped: Rule, config: MonitoringConfig, before: float | None) -> float | None:
    usage = _USAGE.get(shipped.name)
    return before if usage is None else float(getattr(config.alert_thresholds, usage).warning)


def _levels(shipped: Rule, config: MonitoringConfig, before: list[Level]) -> list[Level]:
    usage = _USAGE.get(shipped.name)
    if usage is None:
        return before
    return [Level(float(getattr(config.alert_thresholds, usage).critical), Severity.CRITICAL)]


def _except(own: Mapping[str, MonitoringConfig]) -> list[str]:
    """Matchers of all other hosts, each as long as one may be. Names have no special characters but the point. Hosts
    that do not fit are watched by both: told twice is better than not at all."""
    patterns: list[str] = []
    for host in own:
        one = host.replace(".", "[.]")
        if patterns and len(patterns[-1]) + 1 + len(one) <= MAX_REGEX_CHARS:
            patterns[-1] += f"|{one}"
        else:
            patterns.append(one)
    return [f"host!~{one}" for one in patterns[:MAX_REGEXES]]


def _matchers(shipped: Rule, hosts: Sequence[str]) -> list[str]:
    return shipped.matchers if shipped.expression else [*shipped.matchers, *hosts]


def _expression(shipped: Rule, hosts: Sequence[str]) -> str:
    if shipped.name != _SITE_DOWN or not hosts:
        return shipped.expression
    parts = [(one, operator) for one in hosts for operator in ("!~", "=") if operator in one]
    only = ",".join(f'{one.partition(operator)[0]}{operator}"{one.partition(operator)[2]}"' for one, operator in parts)
    selector = f'{names.SERVICE_UP}{{site!="",{only}}}'
    return f"max by (host, site) ({selector}) == 0"
