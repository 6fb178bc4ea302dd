"""JSON of /api/alerts/routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field
from vigie_contracts.limits import MAX_LABEL_NAME_CHARS, MAX_LABEL_VALUE_CHARS, MAX_LABELS
from vigie_query.times import iso_of
from vigie_runtime.expressions import Check
from vigie_storage.alerts.configuration import Stored
from vigie_web.schemas import Body, Model, Time

from vigie_alerting.api.rules.schemas import Channel, Line, Problem
from vigie_alerting.routing import explaining, model
from vigie_alerting.routing.importing import storing
from vigie_alerting.routing.tree import Leg, Routes
from vigie_alerting.rulebook.destinations import shown
from vigie_alerting.rules.durations import duration
from vigie_alerting.rules.problems import RuleProblem
from vigie_alerting.times.interval import TimeInterval
from vigie_alerting.times.muting import inactive

Durations = Annotated[
    str | dict[str, str] | None,
    Field(examples=["5m", {"critical": "30s", "default": "5m"}], description="null: as the route above has it"),
]


class Receiver(Model):
    """Who is told."""

    channels: list[Channel] = Field(description="as rules have them; what is secret is masked")
    escalation: str = Field(description="the chain that begins when an alert comes here; empty: none")


class Route(Model):
    """A node of the tree."""

    matchers: list[str] = Field(examples=[['team="db"', 'severity=~"high|critical"']])
    receiver: str = Field(description="empty: as the route above has it")
    continue_: bool = Field(alias="continue", description="the routes behind it see its alerts too")
    group_by: list[str] | None = Field(examples=[["alertname"]], description="null: as the route above has it")
    group_wait: Durations
    group_interval: Durations
    repeat_interval: Durations
    mute_times: list[str]
    active_times: list[str]
    routes: list[Route]

    @classmethod
    def of(cls, route: model.Route) -> Self:
        fields = {name: getattr(route, name) for name in model.Route.__struct_fields__ if name != "routes"}
        return cls.model_validate({**fields, "routes": [Route.of(one) for one in route.routes]})


class Tree(Model):
    """The routes of a tenant. They are taken like that by PUT too."""

    route: Route
    receivers: dict[str, Receiver]
    default_receiver: str = Field(description="of alerts that no route takes and whose rule has no channels")
    version: int = Field(description="0: there are none yet")
    updated_at: Time | None
    updated_by: str

    @classmethod
    def of(cls, stored: Stored[model.RoutingTree] | None) -> Self:
        return cls.model_validate(cls.fields(stored))

    @staticmethod
    def fields(stored: Stored[model.RoutingTree] | None, tree: model.RoutingTree | None = None) -> dict[str, Any]:
        """`tree`: one that may be stored later."""
        said = tree or (stored.value if stored else model.RoutingTree())
        return {
            "route": Route.of(said.route),
            "receivers": {
                name: Receiver(channels=_channels(one), escalation=one.escalation)
                for name, one in said.receivers.items()
            },
            "default_receiver": said.default_receiver,
            "version": stored.version if stored else 0,
            "updated_at": iso_of(stored.changed) if stored else None,
            "updated_by": stored.by if stored else "",
        }


class WrittenTree(Tree):
    """Routes that were changed."""

    warnings: list[Problem] = Field(description="what is taken, and was hardly meant")

    @classmethod
    def written(cls, stored: Stored[model.RoutingTree], warnings: Sequence[RuleProblem]) -> Self:
        return cls.model_validate({**cls.fields(stored), "warnings": [Problem.of(one) for one in warnings]})


class Asked(Body):
    """An alert that might be."""

    labels: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=MAX_LABEL_NAME_CHARS)],
            Annotated[str, Field(max_length=MAX_LABEL_VALUE_CHARS)],
        ],
        Field(max_length=MAX_LABELS, examples=[{"alertname": "DiskFull", "severity": "critical", "team": "db"}]),
    ]
    tree: Annotated[
        dict[str, Any] | None, Field(description="routes to try that are not stored; left out: those of the tenant")
    ] = None
    at: Annotated[str, Field(max_length=64, description="when; left out: now", examples=["now+8h"])] = "now"


class Way(Model):
    """One way that the alert goes."""

    route: str = Field(description="the path of the route from the root", examples=['/{team="db"}'])
    receiver: str
    channels: list[Channel]
    escalation: str
    group_labels: dict[str, str]
    group_wait: str
    group_interval: str
    repeat_interval: str = Field(description="0s: never")
    mute_times: list[str]
    active_times: list[str]
    inactive: str | None = Field(description="why nobody is told by it at that time; null: somebody is")
    sentence: str

    @classmethod
    def of(cls, routes: Routes, leg: Leg, times: Mapping[str, TimeInterval], at_ms: int) -> Self:
        receiver = routes.receiver(leg.receiver)
        mute = inactive(times, leg.mute_times, leg.active_times, at_ms)
        return cls(
            route=leg.route,
            receiver=leg.receiver,
            channels=_channels(receiver),
            escalation=receiver.escalation,
            group_labels=dict(leg.group_labels),
            group_wait=duration(leg.timings.group_wait_ms),
            group_interval=duration(leg.timings.group_interval_ms),
            repeat_interval=duration(leg.timings.repeat_interval_ms),
            mute_times=list(leg.mute_times),
            active_times=list(leg.active_times),
            inactive=mute.detail if mute else None,
            sentence=explaining.sentence(routes, leg),
        )


class Step(Model):
    """A route that was asked."""

    route: str
    taken: bool
    because: str

    @classmethod
    def of(cls, step: explaining.Step) -> Self:
        return cls(route=step.route, taken=step.taken, because=step.because)


class Tested(Model):
    """Where an alert with these labels goes, beside the channels of its rule, and why."""

    labels: dict[str, str]
    receivers: list[str] = Field(description="in the order of the routes")
    ways: list[Way]
    steps: list[Step] = Field(description="the routes that were asked, in their order")
    sentence: str

    @classmethod
    def of(
        cls,
        routes: Routes,
        labels: dict[str, str],
        times: Mapping[str, TimeInterval],
        at_ms: int,
        check: Check = lambda: None,
    ) -> Self:
        """No work for the event loop: all expressions of the routes may be tried. `check` is called after each route;
        it may raise."""
        steps = explaining.steps(routes, labels, check)  # remembers their answers for the ways
        ways = [Way.of(routes, leg, times, at_ms) for leg in routes.of(labels)]
        return cls(
            labels=labels,
            receivers=[one.receiver for one in ways],
            ways=ways,
            steps=[Step.of(one) for one in steps],
            sentence="; and ".join(one.sentence for one in ways[:10]) or explaining.unrouted(routes),
        )


class ImportedPart(Model):
    """A channel, a time interval or an inhibition rule of the file."""

    kind: str = Field(examples=["channel"], description="channel, time_interval or inhibition")
    name: str
    type: str = Field(description="of a channel; empty otherwise")
    destination: str = Field(description="of a channel; what is secret is masked")
    verdict: str = Field(description="created, changed, unchanged or deleted", examples=["created"])
    line: int

    @classmethod
    def of(cls, part: storing.Part) -> Self:
        channel = part.channel
        return cls(
            kind=part.kind,
            name=part.name,
            type=channel.type if channel else "",
            destination=channel.destination if channel else "",
            verdict=part.verdict.value,
            line=part.line,
        )


class Imported(Model):
    """What an import did, or would do."""

    dry_run: bool
    tree: Tree
    parts: list[ImportedPart]
    unmapped: list[Line] = Field(description="what the file says and Vigie does not take, by line")
    warnings: list[Problem]

    @classmethod
    def of(cls, done: storing.Done, *, dry_run: bool) -> Self:
        return cls(
            dry_run=dry_run,
            tree=Tree.model_validate(Tree.fields(done.stored, done.tree)),
            parts=[ImportedPart.of(one) for one in done.parts],
            unmapped=[Line.of(one) for one in done.unmapped],
            warnings=[Problem.of(one) for one in done.warnings],
        )


def _channels(receiver: model.Receiver) -> list[Channel]:
    return [Channel(type=one.type, destination=one.destination) for one in map(shown, receiver.channels)]
