"""A step of an alert on its way to one receiver: what every stage judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vigie_contracts.alerts import Transition

from vigie_alerting.notifiers.message import ALERT_NAME, SEVERITY


@dataclass(frozen=True, slots=True)
class Item:
    """`receiver`, `route` and `group` are empty for the channels that a rule has itself."""

    transition: Transition
    labels: Mapping[str, str]
    """See `labels_of`."""
    receiver: str = ""
    """Its name."""
    route: str = ""
    """Where in the tree of routes it was taken."""
    group: str = ""
    """The key of its group."""
    mute_times: tuple[str, ...] = ()
    """Names of time intervals in which its route tells nobody."""
    active_times: tuple[str, ...] = ()
    """Names of those outside of which it tells nobody; none: always."""


def labels_of(transition: Transition) -> dict[str, str]:
    """What routes, silences and inhibitions match: the labels of the alert, with `alertname` and `severity`; those two
    are its own where a rule sets labels of these names."""
    name = transition.rule_name or transition.rule_id
    return {SEVERITY: transition.severity.value, ALERT_NAME: name, **transition.labels}
