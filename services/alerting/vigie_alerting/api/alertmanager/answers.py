"""Alerts, groups and the status in Alertmanager's words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from vigie_query.times import iso

from vigie_alerting.api.alertmanager.standing import Standing, Way
from vigie_alerting.external.life import RESOLVE_TIMEOUT_MS

Json = dict[str, Any]
_UNKNOWN: Final = ("revision", "branch", "buildUser", "buildDate", "goVersion")
"""Alertmanager's build has them."""


def status(version: str, config: str, started_ms: int) -> Json:
    """Of no cluster: replicas meet in MongoDB and Kafka."""
    return {
        "cluster": {"status": "disabled", "peers": []},
        "versionInfo": {"version": version, **dict.fromkeys(_UNKNOWN, "")},
        "config": {"original": config},
        "uptime": iso(started_ms),
    }


def alert(standing: Standing, now_ms: int) -> Json:
    """One that fires. The end of one that a rule evaluates is always as far away as that of one that was just sent."""
    one, stored, external = standing.known.alert, standing.known.stored, standing.known.alert.external
    url = {"generatorURL": external.generator_url} if external and external.generator_url else {}
    return {
        "annotations": dict(standing.annotations),
        "endsAt": iso(external.until if external else now_ms + RESOLVE_TIMEOUT_MS),
        "fingerprint": one.fingerprint,
        "receivers": [{"name": name} for name in dict.fromkeys(way.receiver for way in standing.ways)],
        "startsAt": iso(external.since if external else one.starts_at),
        "status": {
            "inhibitedBy": list(standing.inhibited_by),
            "mutedBy": list(standing.muted_by),
            "silencedBy": list(standing.silenced_by),
            "state": "suppressed" if standing.suppressed else "active",
        },
        "updatedAt": iso(stored.updated_at or one.seen_at),
        **url,
        "labels": dict(standing.labels),
    }


def alerts(standings: Iterable[Standing], now_ms: int) -> list[Json]:
    """By their fingerprints."""
    ordered = sorted(standings, key=lambda one: one.known.alert.fingerprint)
    return [alert(one, now_ms) for one in ordered]


def groups(standings: Sequence[Standing], receivers: Collection[str], now_ms: int, *, muted: bool) -> list[Json]:
    """What belongs together by the routes as they are now, of these receivers. Without `muted` those are left out whose
    alerts are all muted by times."""
    found: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[Standing]] = {}
    for one in standings:
        for way in one.ways:
            if way.receiver in receivers:
                found.setdefault(_key(way), []).append(one)
    return [
        {
            "alerts": alerts(some, now_ms),
            "labels": dict(labels),
            "receiver": {"name": receiver},
            "routeLabels": {},
        }
        for (receiver, _, labels), some in sorted(found.items(), key=lambda entry: (entry[0][2], *entry[0][:2]))
        if muted or not all(one.muted_by for one in some)
    ]


def _key(way: Way) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return way.receiver, way.route, tuple(sorted(way.group_labels.items()))
