"""Where an alert goes now, and what keeps it quiet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vigie_contracts.alerts import AlertState, Channel, Reason, Transition
from vigie_contracts.decisions import Why
from vigie_contracts.tenants import TenantId

from vigie_alerting.alerts.desk import Known
from vigie_alerting.notifying.item import Item, labels_of
from vigie_alerting.notifying.muting import Mute, Muter
from vigie_alerting.routing.tree import Routes
from vigie_alerting.rulebook.destinations import shown
from vigie_alerting.transitions import ALERTNAME, annotations_of
from vigie_alerting.transitions import labels_of as own_labels_of

UNROUTED: Final = Why.UNROUTED.value
"""In the place of a receiver: of what no route takes and whose rule has no channels."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way that an alert goes. `item` is what muting judges."""

    receiver: str
    group_labels: Mapping[str, str]
    route: str
    item: Item


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert that fires, with all its ways and all that mutes it."""

    known: Known
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    ways: tuple[Way, ...]
    silenced_by: tuple[str, ...] = ()
    """Ids of silences."""
    inhibited_by: tuple[str, ...] = ()
    """Names of inhibitions."""
    muted_by: tuple[str, ...] = ()
    """Names of maintenance windows and time intervals."""

    @property
    def suppressed(self) -> bool:
        """Whether nobody is told of it now."""
        return bool(self.silenced_by or self.inhibited_by or self.muted_by)


def ways(known: Known, routes: Routes) -> Standing:
    """Where it goes: the channels of its rule, and by the routes."""
    transition = _transition(known)
    labels = labels_of(transition)
    found = [
        Way(
            leg.receiver, leg.group_labels, leg.route,
            Item(transition, labels, leg.receiver, leg.route, "", leg.mute_times, leg.active_times),
        )
        for leg in routes.of(labels)
    ]  # fmt: skip
    direct = {ALERTNAME: labels[ALERTNAME]}
    channels = known.rule.rule.notification_channels
    found += [Way(name_of(one), direct, "", Item(transition, labels)) for one in channels]
    if not found:
        found = [Way(routes.default or UNROUTED, direct, "", Item(transition, labels))]
    return Standing(known, labels, transition.annotations, tuple(found))


def name_of(channel: Channel) -> str:
    """A rule's own channel in the place of a receiver, without what is secret."""
    seen = shown(channel)
    return f"{seen.type} {seen.destination}".strip()


async def judged(
    standings: Sequence[Standing], muters: Sequence[Muter], tenant: TenantId, now_ms: int
) -> list[Standing]:
    """With all that mutes them now: an alert several of whose ways are muted by times is so when all are. Raises
    StoreUnavailable."""
    items = [way.item for one in standings for way in one.ways]
    verdicts: list[list[Mute]] = [[] for _ in items]
    for muter in muters if items else ():
        for found, mute in zip(verdicts, await muter(tenant, items, now_ms), strict=True):
            if mute is not None:
                found.append(mute)
    rest = iter(verdicts)
    return [_muted(one, [next(rest) for _ in one.ways]) for one in standings]


def _muted(standing: Standing, verdicts: Sequence[Sequence[Mute]]) -> Standing:
    by: dict[Why, dict[str, None]] = {}
    for mute in (mute for found in verdicts for mute in found):
        by.setdefault(mute.why, {})[mute.by] = None
    inactive = by.get(Why.INACTIVE, {})
    if not all(any(mute.why is Why.INACTIVE for mute in found) for found in verdicts):
        inactive = {}
    return Standing(
        standing.known,
        standing.labels,
        standing.annotations,
        standing.ways,
        tuple(by.get(Why.SILENCED, ())),
        tuple(by.get(Why.INHIBITED, ())),
        (*by.get(Why.MAINTENANCE, ()), *inactive),
    )


def _transition(known: Known) -> Transition:
    """That it fires: what stages judge."""
    alert, rule = known.alert, known.rule
    labels = own_labels_of(rule, alert)
    return Transition(
        fingerprint=alert.fingerprint,
        tenant=alert.tenant,
        rule_id=alert.rule_id,
        rule_name=rule.rule.name,
        rule_version=rule.rule.version,
        episode=alert.episode,
        sequence=alert.sequence,
        from_state=None,
        to_state=AlertState.FIRING,
        timestamp=alert.seen_at,
        reason=Reason.CONDITION_MET,
        severity=alert.severity,
        labels=labels,
        annotations=annotations_of(rule, labels, alert.value),
        value=alert.value,
        starts_at=alert.starts_at,
        channels=list(rule.rule.notification_channels),
    )
