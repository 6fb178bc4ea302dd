"""Routes, compiled: where an alert goes, by its labels, with the semantics of Alertmanager's routing tree.

Depth first, from the first route to the last: an alert goes to the first route that takes it, and on to those behind
when that says `continue`; a route is meant itself when none below takes the alert.

Of many routes beside each other most have a matcher of equality. They are found by it, and not asked one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vigie_query.matchers import Operator

from vigie_alerting.notifiers.message import SEVERITY
from vigie_alerting.routing.matchers import Matchers, parse
from vigie_alerting.routing.model import EVERY_LABEL, Receiver, Route, RoutingTree
from vigie_alerting.routing.timings import DEFAULTS, Timings, Waits


@dataclass(frozen=True, slots=True)
class Leg:
    """One way that an alert goes. The same alert may go several."""

    route: str
    """The path of the route, from the root: `/`, `/{team="db"}`; the same as long as its matchers stay."""
    receiver: str
    """Name; it may have no channels."""
    group_labels: Mapping[str, str]
    """Labels and values that all alerts of the group have."""
    timings: Timings
    """For the severity of this alert."""
    mute_times: tuple[str, ...] = ()
    active_times: tuple[str, ...] = ()


class Node:
    """A route, with what it has from those above."""

    def __init__(self, route: Route, matchers: Matchers, path: str, above: Node | None = None) -> None:
        """`path` is what identifies it. Raises InvalidParameter, QueryLimitExceeded, ValueError."""
        self.path, self.matchers = path, matchers
        self.receiver: str = route.receiver or (above.receiver if above else "")
        self.continues = route.continue_
        by = route.group_by if route.group_by is not None else (above.group_by if above else ())
        self.group_by: tuple[str, ...] = tuple(by)
        waits = above.waits if above else DEFAULTS
        self.waits: Waits = waits.under(route.group_wait, route.group_interval, route.repeat_interval)
        self.mute_times, self.active_times = tuple(route.mute_times), tuple(route.active_times)
        self.children = self._below(route.routes)
        self._index = _Index([one.matchers for one in self.children])

    def _below(self, routes: Sequence[Route]) -> list[Node]:
        made: list[Node] = []
        known: Counter[str] = Counter()
        for route in routes:
            matchers = parse(route.matchers)
            text = str(matchers)
            known[text] += 1
            path = f"{self.path.rstrip('/')}/{text}" + (f"#{known[text]}" if known[text] > 1 else "")
            made.append(Node(route, matchers, path, self))
        return made

    def taking(self, labels: Mapping[str, str]) -> list[Node]:
        """The routes that an alert which matches this one goes to."""
        found: list[Node] = []
        for at in self._index.candidates(labels):
            child = self.children[at]
            if child.matchers.match(labels):
                found += child.taking(labels)
                if not child.continues:
                    break
        return found or [self]

    def leg(self, labels: Mapping[str, str]) -> Leg:
        """The way through this route."""
        if self.group_by == (EVERY_LABEL,):
            group = dict(labels)
        else:
            group = {name: labels[name] for name in self.group_by if name in labels}
        timings = self.waits.of(labels.get(SEVERITY, ""))
        return Leg(self.path, self.receiver, group, timings, self.mute_times, self.active_times)


class Routes:
    """Of one tenant."""

    def __init__(self, tree: RoutingTree | None = None) -> None:
        """None: the tenant has no routes. Raises as Node does for what was not checked (`routing.checking`)."""
        self.tree: RoutingTree = RoutingTree() if tree is None else tree
        self.root = Node(self.tree.route, parse(self.tree.route.matchers), "/")

    def __bool__(self) -> bool:
        """Whether anything goes anywhere by them."""
        return bool(self.root.receiver or self.root.children)

    def of(self, labels: Mapping[str, str]) -> list[Leg]:
        """Where an alert with these labels (its own, `alertname`, `severity`) goes, in the order of the routes; empty
        when no route takes it."""
        return [one.leg(labels) for one in self.root.taking(labels) if one.receiver]

    def receiver(self, name: str) -> Receiver:
        """By its name; one that is not there tells nobody."""
        return self.tree.receivers.get(name) or Receiver()

    @property
    def default(self) -> str:
        """The receiver of what no route takes, when its rule has no channels; empty: there is none."""
        return self.tree.default_receiver

    def all(self) -> list[Node]:
        """Every route, from the root on."""
        return _all(self.root)


class _Index:
    """Routes beside each other by one matcher of equality, of those that have such."""

    def __init__(self, several: Sequence[Matchers]) -> None:
        self._by_value: dict[str, dict[str, list[int]]] = {}
        self._others: list[int] = []
        for at, matchers in enumerate(several):
            equal = [one for one in matchers.all if one.operator is Operator.EQUAL]
            if equal:
                self._by_value.setdefault(equal[0].label, {}).setdefault(equal[0].value, []).append(at)
            else:
                self._others.append(at)

    def candidates(self, labels: Mapping[str, str]) -> Sequence[int]:
        """Where those stand that may match, in their order."""
        found = [at for name, values in self._by_value.items() for at in values.get(labels.get(name, ""), ())]
        return sorted([*found, *self._others]) if found else self._others


def _all(node: Node) -> list[Node]:
    return [node, *(one for child in node.children for one in _all(child))]
