"""Where an alert would go, and why: each route that is asked, and each way that it takes, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vigie_contracts.problems import shortened
from vigie_runtime.expressions import Check

from vigie_alerting.outbox import NAMED
from vigie_alerting.routing.matchers import written
from vigie_alerting.routing.model import Receiver
from vigie_alerting.routing.tree import Leg, Node, Routes
from vigie_alerting.rulebook.destinations import shown
from vigie_alerting.rules.durations import duration

MAX_STEPS: Final = 1_000
_QUOTED: Final = 120


@dataclass(frozen=True, slots=True)
class Step:
    """A route that was asked."""

    route: str
    taken: bool
    """Whether the alert matches."""
    because: str
    """One sentence."""


def steps(routes: Routes, labels: Mapping[str, str], check: Check = lambda: None) -> list[Step]:
    """The routes that are asked about an alert with these labels, in their order. `check` is called after each; it may
    raise."""
    found: list[Step] = []
    _ask(routes.root, labels, found, check)
    return found[:MAX_STEPS]


def sentence(routes: Routes, leg: Leg) -> str:
    """One way that the alert goes."""
    receiver = routes.receiver(leg.receiver)
    group = f"grouped {_group(leg)}"
    timings = leg.timings
    first = f"after {duration(timings.group_wait_ms)}" if timings.group_wait_ms else "at once"
    again = f"again every {duration(timings.repeat_interval_ms)} while nobody acknowledges it"
    return (
        f"{_by(leg)} to {_who(leg.receiver, receiver)}, {group}: the first is told {first}, what changes after "
        f"{duration(timings.group_interval_ms)}, {again if timings.repeat_interval_ms else 'nothing again'}{_when(leg)}"
    )


def unrouted(routes: Routes) -> str:
    """What becomes of an alert that no route takes."""
    if routes.default:
        who = _who(routes.default, routes.receiver(routes.default))
        return f"no route takes it: when its rule has no channels, it goes to the default receiver, {who}"
    return (
        "no route takes it, and there is no default receiver: when its rule has no channels, the channels of the "
        "settings are told, and without those nobody"
    )


def _ask(node: Node, labels: Mapping[str, str], found: list[Step], check: Check) -> None:
    for at, child in enumerate(node.children):
        failing = child.matchers.failing(labels)
        check()
        if failing is not None:
            has = labels.get(failing.label, "")
            is_ = f"is {shortened(has, _QUOTED)!r}" if has else "is not there"
            found.append(
                Step(child.path, False, f"{failing.label} {is_}, so {shortened(written(failing), _QUOTED)} fails")
            )
            continue
        behind = len(node.children) - at - 1
        end = " and the routes behind it are asked too" if child.continues and behind else ""
        why = f"{shortened(str(child.matchers), _QUOTED)} holds" if child.matchers.all else "it takes every alert"
        found.append(Step(child.path, True, f"{why}{end}"))
        _ask(child, labels, found, check)
        if not child.continues:
            return


def _by(leg: Leg) -> str:
    return "by the root route" if leg.route == "/" else f"by the route {shortened(leg.route, _QUOTED)}"


def _who(name: str, receiver: Receiver) -> str:
    told = [
        f"channel {one.destination!r}" if one.type == NAMED else f"{one.type} {shown(one).destination}".strip()
        for one in receiver.channels
    ]
    if receiver.escalation:
        told.append(f"escalation chain {receiver.escalation!r}")
    return f"{shortened(name, _QUOTED)!r} ({', '.join(told) or 'nobody, as it has no channels'})"


def _group(leg: Leg) -> str:
    if not leg.group_labels:
        return "with all alerts that come here"
    shown_ = ", ".join(f"{name}={value!r}" for name, value in leg.group_labels.items())
    return f"with others of {shortened(shown_, _QUOTED)}"


def _when(leg: Leg) -> str:
    found = ""
    if leg.active_times:
        found += f"; only within {_names(leg.active_times)}"
    if leg.mute_times:
        found += f"; not within {_names(leg.mute_times)}"
    return found


def _names(names: tuple[str, ...]) -> str:
    return " or ".join(repr(shortened(name, _QUOTED)) for name in names)
