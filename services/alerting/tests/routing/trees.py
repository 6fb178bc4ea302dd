"""Trees of routes, and a naive evaluator of them to compare with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from vigie_alerting.routing.model import Receiver, Route, RoutingTree

RECEIVERS = ("r0", "r1", "r2", "r3")
NAMES, VALUES = ("a", "b", "severity"), ("", "x", "y", "critical", "warning")

labels = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES[1:]), max_size=3)
_matchers = st.builds(
    lambda name, operator, value: f'{name}{operator}"{value}"',
    st.sampled_from(NAMES),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from([*VALUES, "x|y", "[xy]", ".*", "c.*"]),
)
_leaf = {
    "matchers": st.lists(_matchers, max_size=2),
    "receiver": st.sampled_from(["", *RECEIVERS]),
    "continue_": st.booleans(),
    "group_by": st.none() | st.just(["..."]) | st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
    "group_interval": st.none() | st.just("1m") | st.just({"critical": "10s"}) | st.just({"default": "2m", "x": "1s"}),
    "mute_times": st.lists(st.sampled_from(["nights", "holidays"]), max_size=1),
}


def _node(below: st.SearchStrategy[Route]) -> st.SearchStrategy[Route]:
    fields: dict[str, Any] = {**_leaf, "routes": st.lists(below, max_size=4)}
    return st.builds(Route, **fields)


_any_leaf: Any = _leaf
routes = st.recursive(st.builds(Route, **_any_leaf), _node, max_leaves=12)


@st.composite
def trees(draw: st.DrawFn, root_receivers: tuple[str, ...] = ("", "r0")) -> RoutingTree:
    root = Route(
        receiver=draw(st.sampled_from(root_receivers)),
        group_by=draw(st.none() | st.just(["a"])),
        routes=draw(st.lists(routes, max_size=6)),
    )
    return RoutingTree(route=root, receivers={name: Receiver() for name in RECEIVERS})


@dataclass(frozen=True)
class Found:
    receiver: str
    group: Mapping[str, str]
    interval: Mapping[str, str] = field(default_factory=dict[str, str])
    mute_times: tuple[str, ...] = ()


DEFAULT = {"critical": "30s", "error": "30s", "high": "30s", "default": "5m"}


def naive(route: Route, labels: Mapping[str, str], above: Found | None = None) -> list[Found] | None:
    """As Alertmanager's documentation says it, one route after the other; None: the route does not match."""
    for text in route.matchers:
        name, operator, value = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', text).groups()  # type: ignore[union-attr]
        has = labels.get(name, "")
        holds = {
            "=": has == value, "!=": has != value,
            "=~": bool(re.fullmatch(value, has)), "!~": not re.fullmatch(value, has),
        }[operator]  # fmt: skip
        if not holds:
            return None
    by: Any = above.group if above else ()
    by = route.group_by if route.group_by is not None else by
    interval = dict(above.interval) if above else DEFAULT
    said = route.group_interval
    if isinstance(said, str):
        interval = {"default": said}
    elif said is not None:
        interval = said if "default" in said else {**interval, **said}
    here = Found(route.receiver or (above.receiver if above else ""), by, interval, tuple(route.mute_times))
    taken: list[Found] = []
    for below in route.routes:
        found = naive(below, labels, here)
        if found is not None:
            taken += found
            if not below.continue_:
                break
    return taken or [here]
