"""Where alerts go: examples, and every tree and alert against a naive evaluator."""

from __future__ import annotations

import random

from hypothesis import given
from vigie_alerting.routing.explaining import steps
from vigie_alerting.routing.model import Receiver, Route, RoutingTree
from vigie_alerting.routing.timings import Timings
from vigie_alerting.routing.tree import Leg, Routes
from vigie_alerting.rules.durations import parse_duration

from services.alerting.tests.routing import trees
from services.alerting.tests.routing.trees import naive


def routes(root: Route, **more: str) -> Routes:
    return Routes(RoutingTree(route=root, receivers={"ops": Receiver(), "db": Receiver()}, **more))


def going(found: Routes, **labels: str) -> list[str]:
    return [leg.receiver for leg in found.of(labels)]


@given(trees.seeds)
def test_every_alert_goes_where_a_naive_evaluator_says(seed: int) -> None:
    choose = random.Random(seed)
    tree = trees.tree(choose)
    for labels in [trees.labels(choose) for _ in range(5)]:
        expected = [one for one in naive(tree.route, labels) or () if one.receiver]
        found = Routes(tree).of(labels)
        assert [leg.receiver for leg in found] == [one.receiver for one in expected]
        assert [leg.mute_times for leg in found] == [one.mute_times for one in expected]
        for leg, one in zip(found, expected, strict=True):
            every = list(one.group) == ["..."]
            assert leg.group_labels == {name: labels[name] for name in labels if every or name in one.group}
            wanted = one.interval.get(labels.get("severity", ""), one.interval["default"])
            assert leg.timings.group_interval_ms == parse_duration(wanted)


@given(trees.seeds)
def test_an_alert_goes_through_routes_that_are_told_to_take_it_and_each_has_a_path_of_its_own(seed: int) -> None:
    choose = random.Random(seed)
    found = Routes(trees.tree(choose))
    labels = trees.labels(choose)
    told = {"/", *(one.route for one in steps(found, labels) if one.taken)}
    assert {leg.route for leg in found.of(labels)} <= told
    paths = [node.path for node in found.all()]
    assert len(set(paths)) == len(paths)


def test_the_time_is_looked_at_after_each_route_that_is_asked() -> None:
    below = [Route(matchers=[f'team=~"{name}.*"'], receiver="db") for name in "abc"]
    looks: list[None] = []
    asked = steps(routes(Route(receiver="ops", routes=below)), {"team": "bob"}, lambda: looks.append(None))
    assert [one.taken for one in asked] == [False, True]
    assert len(looks) == 2


def test_the_first_route_that_takes_an_alert_ends_the_search_unless_it_says_continue() -> None:
    first = Route(matchers=['team="db"'], receiver="db", continue_=True)
    found = routes(Route(receiver="ops", routes=[first, Route(matchers=['severity="critical"'], receiver="ops")]))
    assert going(found, team="db", severity="critical") == ["db", "ops"]
    assert going(found, team="db", severity="info") == ["db"]
    assert going(found, team="web", severity="info") == ["ops"]


def test_a_tenant_without_routes_has_no_way_and_costs_nothing() -> None:
    assert not Routes()
    assert Routes().of({"alertname": "x"}) == []
    assert routes(Route(receiver="ops"))
    assert going(routes(Route(routes=[Route(matchers=["a=b"], receiver="db")])), a="c") == []
    assert routes(Route(), default_receiver="ops").default == "ops"


def test_a_way_has_what_the_routes_above_say_and_the_defaults_by_severity() -> None:
    below = Route(matchers=['team="db"'], repeat_interval={"critical": "1h"}, active_times=["days"])
    found = routes(Route(receiver="ops", group_by=["alertname"], group_wait="10s", routes=[below]))
    labels = {"alertname": "Disk", "team": "db", "severity": "critical"}
    assert found.of(labels) == [
        Leg('/{team="db"}', "ops", {"alertname": "Disk"}, Timings(10_000, 30_000, 3_600_000), active_times=("days",))
    ]
    (leg,) = found.of({**labels, "severity": "page"})
    assert leg.timings == Timings(10_000, 300_000, 4 * 3_600_000)


def test_a_path_stays_when_other_routes_come_and_go() -> None:
    mine = Route(matchers=['team="db"'], receiver="db")
    other = Route(matchers=['team="web"'], receiver="ops")
    (alone,) = routes(Route(receiver="ops", routes=[mine])).of({"team": "db"})
    (among,) = routes(Route(receiver="ops", routes=[other, mine, other])).of({"team": "db"})
    assert alone == among
