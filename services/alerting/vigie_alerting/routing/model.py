"""The routes of a tenant as they are written, stored and shown, JSON."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from vigie_contracts.alerts import Channel

NAME: Final = "routes"
"""Of the one document that a tenant has."""
EVERY_LABEL: Final = "..."
"""In `groupBy`: each alert is a group of its own."""
OTHERWISE: Final = "default"
"""Beside severities: for those that are not there."""

Durations: TypeAlias = str | dict[str, str] | None
"""`5m`, or by severity: `{"critical": "30s", "default": "5m"}`. None: as the route above has it."""


class Receiver(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Who is told. Neither channels nor a chain: nobody, and that is meant."""

    channels: list[Channel] = []
    """As rules have them: `{"type": "channel", "destination": "<its name>"}`, or inline."""
    escalation: str = ""
    """The name of an escalation chain, which begins when an alert comes here."""


class Route(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A node of the tree: an alert that matches goes to the first of its routes that takes it, else to its receiver."""

    matchers: list[str] = []
    """`team="db"`, all must hold. The root has none: it takes every alert."""
    receiver: str = ""
    """The name of a receiver; empty: as the route above has it. The root may have none: what no other route takes is
    then told to nobody by the tree."""
    continue_: bool = msgspec.field(default=False, name="continue")
    """Whether the routes behind this one see its alerts too."""
    group_by: list[str] | None = None
    """Alerts with the same values of these labels are told together; `["..."]`: each on its own. None: as above."""
    group_wait: Durations = None
    """How long a new group waits for more before it is told."""
    group_interval: Durations = None
    """How long a group that was told waits before it tells what changed."""
    repeat_interval: Durations = None
    """When what still fires is told again; `0`: never."""
    mute_times: list[str] = []
    """Names of time intervals in which nobody is told. Not of the routes below."""
    active_times: list[str] = []
    """Names of time intervals: outside of them nobody is told. Not of the routes below."""
    routes: list[Route] = []


class RoutingTree(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """All of a tenant."""

    route: Route = msgspec.field(default_factory=Route)
    """The root."""
    receivers: dict[str, Receiver] = {}
    default_receiver: str = ""
    """The name of the receiver of alerts that no route takes and whose rule has no channels."""
