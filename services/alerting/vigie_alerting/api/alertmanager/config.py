"""The routes of a tenant as an Alertmanager configuration: who reads it learns which receivers there are and what goes
where, `amtool config routes` too. Channels, and so secrets, are left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from vigie_alerting.api.alertmanager.standing import UNROUTED
from vigie_alerting.external.life import RESOLVE_TIMEOUT_MS
from vigie_alerting.routing.model import OTHERWISE, Durations, Route, RoutingTree

Json = dict[str, Any]
_NOT_OF_THE_ROOT: Final = ("matchers", "continue", "mute_time_intervals", "active_time_intervals")
"""Alertmanager refuses a configuration with them there."""
_DURATIONS: Final = ("group_wait", "group_interval", "repeat_interval")


def written(tree: RoutingTree) -> str:
    """YAML that Alertmanager's own reader takes."""
    top = tree.route.receiver or tree.default_receiver or UNROUTED
    names = dict.fromkeys([*tree.receivers, *_receivers(tree.route), top])
    below = [one for route in tree.route.routes for one in _all(route)]
    times = sorted({name for route in below for name in (*route.mute_times, *route.active_times)})
    root = {name: value for name, value in _route(tree.route).items() if name not in _NOT_OF_THE_ROOT}
    config: Json = {
        "global": {"resolve_timeout": f"{RESOLVE_TIMEOUT_MS // 60_000}m"},
        "route": {**root, "receiver": top},
        "receivers": [{"name": name} for name in names],
    }
    if times:
        config["time_intervals"] = [{"name": name, "time_intervals": []} for name in times]
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _route(route: Route) -> Json:
    found: Json = {
        "receiver": route.receiver,
        "matchers": route.matchers,
        "group_by": route.group_by,
        "continue": route.continue_,
        "mute_time_intervals": route.mute_times,
        "active_time_intervals": route.active_times,
        "routes": [_route(one) for one in route.routes],
    }
    for name in _DURATIONS:
        found[name] = _duration(getattr(route, name))
    return {name: value for name, value in found.items() if value}


def _duration(said: Durations) -> str:
    """Of those by severity that of the others: Alertmanager knows one."""
    found = said.get(OTHERWISE, "") if isinstance(said, dict) else said or ""
    return "" if found in ("0", "0s") else found  # Alertmanager takes no 0 where it means never


def _all(route: Route) -> Iterator[Route]:
    yield route
    for one in route.routes:
        yield from _all(one)


def _receivers(route: Route) -> list[str]:
    return [one.receiver for one in _all(route) if one.receiver]
