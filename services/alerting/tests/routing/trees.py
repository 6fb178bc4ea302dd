"""Trees of routes, and a naive evaluator of them to compare with."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from vigie_alerting.routing.model import Receiver, Route, RoutingTree

RECEIVERS = ("r0", "r1", "r2", "r3")
NAMES, VALUES = ("a", "b", "severity"), ("x", "y", "critical", "warning")
_OPERATORS, _PATTERNS = ("=", "!=", "=~", "!~"), ("", "x|y", "[xy]", ".*", "c.*", *VALUES)
_GROUPS = (None, None, ["..."], [], ["a"], ["severity", "b"])
_INTERVALS = (None, None, "1m", {"critical": "10s"}, {"default": "2m", "x": "1s"})

seeds = st.integers(0, 2**32)
"""Of which trees and alerts are made: drawing each part of a tree by itself costs a hundred times as much."""


def tree(choose: random.Random, root_receivers: tuple[str, ...] = ("", "r0")) -> RoutingTree:
    root = Route(
        receiver=choose.choice(root_receivers),
        group_by=choose.choice([None, ["a"]]),
        routes=[_route(choose, 1) for _ in range(choose.randrange(6))],
    )
    return RoutingTree(route=root, receivers={name: Receiver() for name in RECEIVERS})


def labels(choose: random.Random) -> dict[str, str]:
    return {name: choose.choice(VALUES) for name in NAMES if choose.random() < 0.8}


def _route(choose: random.Random, depth: int) -> Route:
    return Route(
        matchers=[_matcher(choose) for _ in range(choose.choice([0, 1, 1, 1, 2]))],
        receiver=choose.choice(["", *RECEIVERS]),
        continue_=choose.random() < 0.4,
        group_by=choose.choice(_GROUPS),
        group_interval=choose.choice(_INTERVALS),
        mute_times=choose.choice([[], [], ["nights"]]),
        routes=[_route(choose, depth + 1) for _ in range(choose.randrange(4))] if depth < 3 else [],
    )


def _matcher(choose: random.Random) -> str:
    return f'{choose.choice(NAMES)}{choose.choice(_OPERATORS)}"{choose.choice(_PATTERNS)}"'


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
