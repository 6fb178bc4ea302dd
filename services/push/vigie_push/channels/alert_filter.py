"""Which alerts a subscription is about: asked of the store for what stands, and of every step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta
from msgspec.structs import replace
from vigie_contracts.alerts import AlertState, Severity, Transition
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal

from vigie_push.channels.alert_messages import ALERTNAME, STATUSES, NotifiedAlert
from vigie_push.channels.base import Parameters

_OPEN: Final = (AlertState.FIRING, AlertState.ACKNOWLEDGED)
_LIVING: Final = (AlertState.PENDING, *_OPEN)
_TOLD: Final = ("active", "acknowledged", "resolved")
"""Unless others are asked for: an alert that is pending need not become one."""
Word: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Words: TypeAlias = Word | Annotated[tuple[Word, ...], Meta(max_length=32)] | None
Severities: TypeAlias = Severity | Annotated[tuple[Severity, ...], Meta(max_length=16)] | None


class AlertParameters(Parameters, frozen=True, kw_only=True):
    """All must hold that are given; of each, one of several."""

    severity: Severities = None
    status: Words = None
    """pending, active, acknowledged, resolved; all but pending ones when nothing is said."""
    service: Words = None
    """The label `service`."""
    site: Words = None
    """The label `site`."""
    rule: Words = None
    """Ids or names of rules."""
    places: tuple[str, ...] | None = None
    """`site=...` and `app=...`: what the caller sees, whatever is asked for; None: every alert of the tenant."""


def narrowed(principal: Principal, tenant: TenantId, parameters: AlertParameters) -> AlertParameters:
    """For this caller. Raises as `Principal.require`."""
    principal.require(Permission.ALERTS_READ, tenant)
    places: tuple[str, ...] | None = None
    if not principal.may(Permission.ALERTS_READ_ALL, tenant):
        mine = principal.assignments.get(tenant)
        places = () if mine is None else (*(f"site={one}" for one in mine.sites), *(f"app={one}" for one in mine.apps))
    return replace(parameters, places=None if places is None else tuple(sorted(places)))


class AlertFilter:
    """The parameters, ready to be asked."""

    def __init__(self, parameters: AlertParameters) -> None:
        self._severities = frozenset(str(one) for one in _several(parameters.severity))
        self._statuses = frozenset(_several(parameters.status)) or frozenset(_TOLD)
        self._rules = _several(parameters.rule)
        self._labels = {"service": _several(parameters.service), "site": _several(parameters.site)}
        self._places = parameters.places

    @property
    def unknown_statuses(self) -> bool:
        """Whether one is asked for that there is none of."""
        return not self._statuses <= set(STATUSES.values())

    @property
    def restricted(self) -> bool:
        """Whether the caller may not see every alert of the tenant."""
        return self._places is not None

    def open(self) -> dict[str, Any]:
        """The query for the alerts that stand: those that are not over."""
        states = [state.value for state in _LIVING if STATUSES[state] in self._statuses]
        wanted: list[dict[str, Any]] = [{"state": {"$in": states}}]
        if self._severities:
            wanted.append({"severity": {"$in": sorted(self._severities)}})
        if self._rules:
            names = [f"{ALERTNAME}={one}" for one in self._rules]
            wanted.append({"$or": [{"rule": {"$in": list(self._rules)}}, {"search": {"$in": names}}]})
        for label, values in self._labels.items():
            if values:
                wanted.append({"search": {"$in": [f"{label}={value}" for value in values]}})
        if self._places is not None:
            wanted.append({"search": {"$in": list(self._places)}})
        return {"$and": wanted}

    def tells(self, step: Transition) -> bool:
        """Whether the step is told: the alert is one of those asked for, or was and is not any more."""
        if not self._is_about(step.labels, step.rule_id):
            return False
        severities = {step.severity.value, (step.previous_severity or step.severity).value}
        if self._severities and not severities & self._severities:
            return False
        before, after = step.from_state, step.to_state
        fits = after is not AlertState.INACTIVE and STATUSES[after] in self._statuses  # what never fired is not over
        left = before is not None and before in _LIVING and STATUSES[before] in self._statuses
        return fits or left

    def names(self, alert: NotifiedAlert) -> bool:
        """Whether a notification shows this alert."""
        severe = not self._severities or alert.severity.value in self._severities
        return severe and self._is_about(alert.labels, alert.rule_id)

    def _is_about(self, labels: Mapping[str, str], rule: str) -> bool:
        if self._places is not None and not any(f"{name}={value}" in self._places for name, value in labels.items()):
            return False
        if self._rules and rule not in self._rules and labels.get(ALERTNAME) not in self._rules:
            return False
        return all(not values or labels.get(name) in values for name, values in self._labels.items())


def _several(values: Any) -> Collection[str]:
    if values is None:
        return ()
    return (values,) if isinstance(values, str) else tuple(values)
