"""What is known of one alert between two observations, and what can be observed of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec
from vigie_contracts.alerts import AlertState, Severity
from vigie_contracts.series import Labels

FORM: Final = 1
"""Of a stored alert; one of a later form is refused."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one evaluation of a rule found for one label set."""

    labels: Labels
    """Of the rule's result, without the name of the metric: with tenant and rule they are the alert's identity."""
    active: bool
    """Whether the condition holds."""
    severity: Severity
    """As the value asks for, where the rule has levels."""
    value: float | None = None
    """None: there is no data."""
    holding: bool = False
    """Whether the recovery threshold is not reached yet; counts for an alert that fires."""
    traceparent: str = ""


class Acknowledgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who has it, since when, and until when (None: as long as it fires). Unix milliseconds."""

    by: str
    at: int
    until: int | None = None
    note: str = ""


class External(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the sender of an alert that no rule evaluates said last. Unix milliseconds."""

    until: int
    """When it ends, unless it is sent again before."""
    since: int
    """When the sender says that it began."""
    annotations: dict[str, str] = {}
    """Texts, no templates."""
    generator_url: str = ""
    """Where the sender shows what it is about."""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One alert in its present episode. One that is inactive is forgotten when it is looked at next.

    Times named `_at` are Unix milliseconds, never going back. Those named `_age` are on the episode's own clock, which
    counts only time in which the alert was looked at: durations are measured on it, so that a clock that jumps fires
    nothing.
    """

    form: int = FORM
    tenant: str
    rule_id: str
    series: Labels
    """Labels of the rule's result."""
    fingerprint: str
    state: AlertState
    sequence: int = 0
    """Of the last transition."""
    severity: Severity
    value: float | None = None
    starts_at: int
    ends_at: int | None = None
    """When it was resolved last; kept while it can go on."""
    seen_at: int
    age: int = 0
    active_age: int = 0
    """When the condition began to hold."""
    clear_age: int | None = None
    """When it ceased to, while the alert fires on."""
    milder: Severity | None = None
    """The lower severity that was seen since `milder_age`."""
    milder_age: int = 0
    acknowledgement: Acknowledgement | None = None
    fired_ages: tuple[int, ...] = ()
    """When it began to fire lately; at most `FLAPS` of them."""
    flapping: bool = False
    by_hand: bool = False
    """Resolved by hand, and the condition has held ever since."""
    amended: bool = False
    traceparent: str = ""
    """Of the sample that moved it last, where that is known."""
    external: External | None = None
    """None: a rule evaluates it."""

    @property
    def episode(self) -> str:
        return f"{self.fingerprint}-{self.starts_at}"

    @property
    def open(self) -> bool:
        """Whether people have been told that it fires, and not that it is over."""
        return self.state in (AlertState.FIRING, AlertState.ACKNOWLEDGED)


class UnknownFormError(ValueError):
    """The stored alert was written by a later version of Vigie."""

    def __init__(self, form: int) -> None:
        super().__init__(f"a stored alert has form {form}, this version of Vigie knows {FORM}: update it")


_alerts: Final = msgspec.msgpack.Decoder(Alert)


def encode(alert: Alert) -> bytes:
    """As it is stored: msgpack, which knows NaN and infinity; some hundred bytes."""
    return msgspec.msgpack.encode(alert)


def decode(data: bytes) -> Alert:
    """What `encode` made. Raises UnknownFormError, msgspec.ValidationError."""
    alert = _alerts.decode(data)
    if alert.form > FORM:
        raise UnknownFormError(alert.form)
    return alert


def fingerprint(tenant: str, rule_id: str, labels: Iterable[tuple[str, str]]) -> str:
    """The identity of an alert: 16 hex digits. Labels sorted by name."""
    h = blake2b(digest_size=8, person=b"vigie-alert-v1")
    for part in (tenant, rule_id, *(text for pair in labels for text in pair)):
        data = part.encode()
        h.update(len(data).to_bytes(4, "little"))
        h.update(data)
    return h.hexdigest()
