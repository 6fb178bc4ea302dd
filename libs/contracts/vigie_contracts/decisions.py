"""Why somebody was told of a step of an alert, or not: the verdicts on the way from transitions to notifications."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Why(StrEnum):
    """The same value in record, log, metric label, history and answer."""

    SENT = "sent"
    """In a notification of its group."""
    GROUPED = "grouped"
    """Its group told something lately: it waits for the next message of that."""
    REPEATED = "repeated"
    """Told again: it still fires, and nobody has acknowledged it."""
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    """Another alert that fires says enough."""
    MAINTENANCE = "maintenance"
    INACTIVE = "inactive"
    """Its route is muted at this time."""
    UNROUTED = "unrouted"
    """No route takes it, its rule has no channels, and there is no default channel."""
    NOBODY = "nobody"
    """Its receiver has no channels, which is meant."""
    ESCALATED = "escalated"
    """Nobody acknowledged it in time: the next of the chain was told."""
    ACKNOWLEDGED = "acknowledged"
    """Not told, repeated or escalated: somebody has it."""
    NOT_TOLD = "not_told"
    """It is over, and nobody was told that it fired."""
    SUPERSEDED = "superseded"
    """A later step of the same alert was told in its place."""


class Decision(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One verdict about one step of an alert and one receiver. Times are Unix milliseconds."""

    tenant: str
    step: str
    """The id of the transition."""
    fingerprint: str
    receiver: str = ""
    """Its name; empty: the channels of the rule."""
    route: str = ""
    """Where in the tree it was taken; empty for the channels of the rule."""
    group: str = ""
    """The key of the group of alerts, as messages have it; empty where there is none."""
    why: Why
    detail: str
    """One sentence."""
    by: str = ""
    """The name or id of what decided: a silence, an inhibition, a window, a chain, whoever acknowledged."""
    at_ms: int
    until_ms: int | None = None
    """When it is judged again, where that is known."""
