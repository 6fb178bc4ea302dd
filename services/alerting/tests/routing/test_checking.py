"""Routes that are sent: every mistake at once, each with its place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from vigie_alerting.api.routing.routes import EXAMPLE
from vigie_alerting.routing.checking import MAX_DEPTH, Known, checked, read
from vigie_alerting.routing.errors import InvalidRoutes
from vigie_alerting.routing.model import Receiver, Route, RoutingTree
from vigie_contracts.tenants import TenantId
from vigie_runtime.expressions import Expressions, ExpressionTooSlow

KNOWN = Known(lambda channel: "is not there" if channel.destination == "lost" else "", {"nights"}, {"primary"})


def problems(sent: Any) -> dict[str, str]:
    with pytest.raises(InvalidRoutes) as refused:
        checked(read(msgspec.json.encode(sent)), KNOWN)
    return {one.field: one.reason for one in refused.value.problems}


def test_the_example_is_taken_and_stays_what_it_is() -> None:
    tree = read(msgspec.json.encode(EXAMPLE))
    routes, warnings = checked(tree, KNOWN)
    assert not warnings
    assert read(msgspec.json.encode(routes.tree)) == tree
    assert msgspec.to_builtins(tree) == EXAMPLE


def test_everything_that_is_wrong_is_told_at_once() -> None:
    bad = {
        "receiver": "nobody knows", "matchers": ['team="db'], "groupBy": ["...", "a"], "groupWait": "soon",
        "groupInterval": {"critical": "0s", "worst": "1m"}, "repeatInterval": "400d", "muteTimes": ["nights", "noon"],
    }  # fmt: skip
    sent = {
        "route": {"matchers": ["a=b"], "continue": True, "routes": [bad, {"matchers": ['a=~"("']}]},
        "receivers": {
            "ops": {"channels": [{"type": "pigeon"}, {"type": "channel", "destination": "lost"}], "escalation": "none"}
        },
        "defaultReceiver": "nobody",
    }
    assert problems(sent) == {
        "route.matchers": "the root takes every alert, and has no matchers",
        "route.continue": "there is no route behind the root",
        "route.routes[0].matchers": 'route.routes[0].matchers: must be matchers like team="db", zone!="eu", '
        'host=~"db-.*", pod!~"test-.*", but is team="db',
        "route.routes[0].receiver": "there is no receiver 'nobody knows'",
        "route.routes[0].groupBy": "'...' stands for all labels, and stands alone",
        "route.routes[0].groupWait": "'soon' is no duration: write one such as 30s, 5m or 1h30m",
        "route.routes[0].groupInterval.critical": "must be 1s or longer",
        "route.routes[0].groupInterval.worst": "must be one of info, low, warning, medium, high, error, critical, "
        "default",
        "route.routes[0].repeatInterval": "must be 366d or shorter",
        "route.routes[0].muteTimes": "there is no time interval 'noon'",
        "route.routes[1].matchers": "route.routes[1].matchers: not a regular expression that RE2 takes: missing ): (",
        "receivers.ops.channels[0].type": "must be one of slack, email, webhook, live, apprise, channel",
        "receivers.ops.channels[1].destination": "is not there",
        "receivers.ops.escalation": "there is no escalation chain 'none'",
        "defaultReceiver": "there is no receiver 'nobody'",
    }


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"route": {"routes": [{"reciever": "ops"}]}}, "route.routes[0].reciever"),
        ({"receivers": {"ops": {"channel": []}}}, "receivers.ops.channel"),
        ({"routes": {}}, "routes"),
        ({"route": {"routes": [{"continue": "yes"}]}}, "route.routes[0].continue"),
        ({"route": []}, "route"),
        ({"receivers": {"ops": {"channels": [{"type": 3}]}}}, "receivers[...].channels[0].type"),
    ],
)
def test_what_is_not_understood_is_told_with_its_place(sent: Any, place: str) -> None:
    assert list(problems(sent)) == [place]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"route":' + b'{"routes":[' * 5_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRoutes):
        read(body)


def test_trees_are_bounded() -> None:
    deep = Route()
    for _ in range(MAX_DEPTH + 1):
        deep = Route(routes=[deep])
    with pytest.raises(InvalidRoutes, match="nested at most 16 deep"):
        checked(RoutingTree(route=deep), KNOWN)
    with pytest.raises(InvalidRoutes, match="more than 1,000 routes"):
        checked(RoutingTree(route=Route(routes=[Route()] * 1_000)), KNOWN)
    patterns = [Route(matchers=[f'a=~"{at}.*"']) for at in range(501)]
    with pytest.raises(InvalidRoutes, match="more than 500 regular expressions"):
        checked(RoutingTree(route=Route(routes=patterns)), KNOWN)
    with pytest.raises(InvalidRoutes, match=r"more than 500$"):
        checked(RoutingTree(receivers={str(at): Receiver() for at in range(501)}), KNOWN)


async def test_a_tree_whose_expressions_take_too_long_is_given_up() -> None:
    tree = RoutingTree(route=Route(routes=[Route(matchers=[f'a=~"{at}.*"']) for at in range(400)]))
    patterns = Expressions(thinking_s=0.0)
    with pytest.raises(ExpressionTooSlow, match="matchers: this takes longer than 0 s"):
        await patterns.question("matchers", TenantId("acme")).run(lambda check: checked(tree, KNOWN, check))


def test_what_was_hardly_meant_is_taken_with_a_warning() -> None:
    tree = RoutingTree(
        route=Route(routes=[Route(receiver="ops"), Route(matchers=["a=b"])]),
        receivers={"ops": Receiver(), "spare": Receiver()},
    )
    _, warnings = checked(tree, KNOWN)
    assert [one.field for one in warnings] == ["receivers.spare", '/{a="b"}', "defaultReceiver"]


def test_a_body_that_says_nothing_removes_no_routes() -> None:
    for body in (b"{}", b'{"version": 3, "updatedBy": "anna"}'):
        with pytest.raises(InvalidRoutes, match="DELETE"):
            read(body)
    assert read(b'{"receivers": {}}') == RoutingTree()
