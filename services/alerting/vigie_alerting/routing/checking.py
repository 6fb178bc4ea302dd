"""Routes as users send them, JSON: read, and judged with everything that is wrong told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec
from vigie_contracts.alerts import Channel, Severity
from vigie_contracts.limits import MAX_LABEL_NAME_CHARS, MAX_NAME_CHARS
from vigie_contracts.problems import shortened
from vigie_query.errors import QueryError
from vigie_runtime.expressions import Check

from vigie_alerting.notifiers.registry import KINDS
from vigie_alerting.outbox import NAMED
from vigie_alerting.routing.errors import InvalidRoutes
from vigie_alerting.routing.matchers import parse
from vigie_alerting.routing.model import EVERY_LABEL, OTHERWISE, Durations, Receiver, Route, RoutingTree
from vigie_alerting.routing.tree import Node, Routes
from vigie_alerting.rules.checking import MAX_CHANNELS, unsafe
from vigie_alerting.rules.durations import parse_duration
from vigie_alerting.rules.problems import RuleProblem

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_ROUTES: Final = 1_000
MAX_DEPTH: Final = 16
MAX_EXPRESSIONS: Final = 500
"""Regular expressions of a tree, each counted once: all may be asked about one alert."""
MAX_RECEIVERS: Final = 500
MAX_NAMES: Final = 32
"""Labels to group by, and time intervals, of one route."""
MAX_WAIT_MS: Final = 366 * 86_400_000
_LEAST_INTERVAL_MS: Final = 1_000
_ANSWERED: Final = frozenset({"version", "updatedAt", "updatedBy", "warnings"})
"""Beside the routes in answers about them."""
_PATH: Final = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`\Z")


@dataclass(frozen=True, slots=True)
class Known:
    """What routes may name."""

    channel: Callable[[Channel], str]
    """What is wrong with one; empty: nothing."""
    times: Collection[str]
    chains: Collection[str]


@dataclass(slots=True)
class _Judging:
    tree: RoutingTree
    known: Known
    check: Check
    problems: list[RuleProblem] = field(default_factory=list[RuleProblem])
    warnings: list[RuleProblem] = field(default_factory=list[RuleProblem])
    routes: int = 0
    expressions: set[str] = field(default_factory=set[str])

    def wrong(self, place: str, reason: str) -> None:
        self.problems.append(RuleProblem(place, reason))

    def doubtful(self, place: str, reason: str) -> None:
        self.warnings.append(RuleProblem(place, reason))


def read(body: bytes) -> RoutingTree:
    """What a body says. Raises InvalidRoutes."""
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRoutes([RuleProblem("body", f"is longer than {MAX_BODY_BYTES:,} bytes")])
    try:
        sent: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise InvalidRoutes([RuleProblem("body", f"is not valid JSON: {shortened(str(e))}")], malformed=True) from None
    if not isinstance(sent, dict):
        raise InvalidRoutes([RuleProblem("body", "must be a JSON object")], malformed=True)
    said = {name: value for name, value in cast("dict[str, Any]", sent).items() if name not in _ANSWERED}
    if not said:
        raise InvalidRoutes([RuleProblem("route", "is missing; DELETE is how the routes are removed")])
    return converted(said)


def converted(sent: Mapping[str, Any]) -> RoutingTree:
    """The same of what was decoded already. Raises InvalidRoutes."""
    try:
        tree = msgspec.convert(sent, RoutingTree)
        unknown = _unknown(sent)
    except msgspec.ValidationError as e:
        found = _PATH.search(str(e))
        place = found["path"] if found else ""
        raise InvalidRoutes([RuleProblem(place or "body", shortened(_PATH.sub("", str(e)), 200))]) from None
    except RecursionError:
        raise InvalidRoutes([RuleProblem("route", f"routes are nested at most {MAX_DEPTH} deep")]) from None
    if unknown:
        raise InvalidRoutes([RuleProblem(place, "is not known") for place in unknown])
    return tree


def _go_on() -> None:
    """Nothing limits the time."""


def checked(tree: RoutingTree, known: Known, check: Check = _go_on) -> tuple[Routes, list[RuleProblem]]:
    """The routes, and what is taken and was hardly meant. `check` is called for each route; it may raise. Raises
    InvalidRoutes."""
    judging = _Judging(tree, known, check)
    if tree.route.matchers:
        judging.wrong("route.matchers", "the root takes every alert, and has no matchers")
    if tree.route.continue_:
        judging.wrong("route.continue", "there is no route behind the root")
    _route(judging, tree.route, "route", 0)
    if judging.routes > MAX_ROUTES:
        judging.wrong("route", f"there are more than {MAX_ROUTES:,} routes")
    if len(judging.expressions) > MAX_EXPRESSIONS:
        judging.wrong("route", f"there are more than {MAX_EXPRESSIONS} regular expressions: use = and != where they do")
    _receivers(judging)
    if judging.problems:
        raise InvalidRoutes(judging.problems)
    routes = Routes(tree)
    _hardly_meant(judging, routes)
    return routes, judging.warnings


def _route(judging: _Judging, route: Route, at: str, depth: int) -> None:
    judging.routes += 1
    judging.check()
    if judging.routes > MAX_ROUTES:
        return
    if depth > MAX_DEPTH:
        judging.wrong(at, f"routes are nested at most {MAX_DEPTH} deep")
        return
    try:
        found = parse(route.matchers, f"{at}.matchers")
        judging.expressions.update(one.value for one in found.all if one.is_regex)
    except QueryError as e:
        judging.wrong(f"{at}.matchers", e.detail)
    if route.receiver and route.receiver not in judging.tree.receivers:
        judging.wrong(f"{at}.receiver", f"there is no receiver {shortened(route.receiver)!r}")
    _group_by(judging, route.group_by or [], f"{at}.groupBy")
    for name, said, least in (
        ("groupWait", route.group_wait, 0),
        ("groupInterval", route.group_interval, _LEAST_INTERVAL_MS),
        ("repeatInterval", route.repeat_interval, 0),
    ):
        _durations(judging, said, least, f"{at}.{name}")
    for name, times in (("muteTimes", route.mute_times), ("activeTimes", route.active_times)):
        _times(judging, times, f"{at}.{name}")
    for number, below in enumerate(route.routes):
        _route(judging, below, f"{at}.routes[{number}]", depth + 1)


def _group_by(judging: _Judging, names: list[str], at: str) -> None:
    if len(names) > MAX_NAMES:
        judging.wrong(at, f"at most {MAX_NAMES} labels")
    elif EVERY_LABEL in names and len(names) > 1:
        judging.wrong(at, f"{EVERY_LABEL!r} stands for all labels, and stands alone")
    elif len(set(names)) < len(names):
        judging.wrong(at, "a label is there twice")
    elif not all(0 < len(name) <= MAX_LABEL_NAME_CHARS for name in names):
        judging.wrong(at, f"the name of a label has 1 to {MAX_LABEL_NAME_CHARS} characters")


def _durations(judging: _Judging, said: Durations, least: int, at: str) -> None:
    if said is None:
        return
    for severity, text in said.items() if isinstance(said, dict) else [("", said)]:
        place = f"{at}.{shortened(severity)}" if severity else at
        if severity and severity != OTHERWISE and severity not in list(Severity):
            judging.wrong(place, f"must be one of {', '.join(Severity)}, {OTHERWISE}")
        try:
            length = parse_duration(text)
        except ValueError as e:
            judging.wrong(place, str(e))
            continue
        if not least <= length <= MAX_WAIT_MS:
            judging.wrong(place, "must be 1s or longer" if length < least else "must be 366d or shorter")


def _times(judging: _Judging, names: list[str], at: str) -> None:
    if len(names) > MAX_NAMES:
        judging.wrong(at, f"at most {MAX_NAMES} names")
        return
    for name in names:
        if name not in judging.known.times:
            judging.wrong(at, f"there is no time interval {shortened(name)!r}")


def _receivers(judging: _Judging) -> None:
    tree = judging.tree
    if len(tree.receivers) > MAX_RECEIVERS:
        judging.wrong("receivers", f"there are more than {MAX_RECEIVERS}")
        return
    for name, receiver in tree.receivers.items():
        at = f"receivers.{shortened(name)}"
        if not 0 < len(name) <= MAX_NAME_CHARS:
            judging.wrong(at, f"a name has 1 to {MAX_NAME_CHARS} characters")
        _receiver(judging, receiver, at)
    if tree.default_receiver and tree.default_receiver not in tree.receivers:
        judging.wrong("defaultReceiver", f"there is no receiver {shortened(tree.default_receiver)!r}")


def _receiver(judging: _Judging, receiver: Receiver, at: str) -> None:
    if len(receiver.channels) > MAX_CHANNELS:
        judging.wrong(f"{at}.channels", f"at most {MAX_CHANNELS} channels")
        return
    for number, channel in enumerate(receiver.channels):
        place = f"{at}.channels[{number}]"
        if channel.type != NAMED and channel.type not in KINDS:
            judging.wrong(f"{place}.type", f"must be one of {', '.join((*KINDS, NAMED))}")
        elif problem := unsafe(channel.destination) or judging.known.channel(channel):
            judging.wrong(f"{place}.destination", problem)
    if receiver.escalation and receiver.escalation not in judging.known.chains:
        judging.wrong(f"{at}.escalation", f"there is no escalation chain {shortened(receiver.escalation)!r}")


def _hardly_meant(judging: _Judging, routes: Routes) -> None:
    tree, nodes = judging.tree, routes.all()
    used = {node.receiver for node in nodes} | {tree.default_receiver}
    for name in tree.receivers:
        if name not in used:
            judging.doubtful(f"receivers.{shortened(name)}", "no route goes there")
    for node in nodes:
        _never_reached(judging, node)
    if not routes.root.receiver and not tree.default_receiver:
        judging.doubtful(
            "defaultReceiver",
            "what no route takes goes to the channels of the settings, if its rule has no channels and there are any",
        )


def _never_reached(judging: _Judging, node: Node) -> None:
    for child, behind in zip(node.children, node.children[1:], strict=False):
        if not child.matchers.all and not child.continues:
            judging.doubtful(behind.path, "is never reached: a route before it takes every alert, without `continue`")
            return


def _unknown(sent: Mapping[str, Any]) -> list[str]:
    """The fields of what could be converted that mean nothing, by their paths."""
    found = [shortened(name) for name in sent if name not in _names(RoutingTree)]
    found += _unknown_routes(sent.get("route") or {}, "route")
    receivers: Mapping[str, Any] = sent.get("receivers") or {}
    for name, receiver in receivers.items():
        at = f"receivers.{shortened(name)}"
        found += [f"{at}.{shortened(one)}" for one in receiver if one not in _names(Receiver)]
    return found


def _unknown_routes(route: Mapping[str, Any], at: str) -> list[str]:
    found = [f"{at}.{shortened(name)}" for name in route if name not in _names(Route)]
    for number, below in enumerate(route.get("routes") or ()):
        found += _unknown_routes(below, f"{at}.routes[{number}]")
    return found


def _names(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return kind.__struct_encode_fields__
