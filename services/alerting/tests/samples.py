"""Transitions and messages for tests."""

from __future__ import annotations

from typing import Any

from vigie_alerting.notifiers.message import Message, message
from vigie_contracts.alerts import AlertState, Reason, Severity, Transition
from vigie_storage.alerts.document import Together

START_MS = 1_790_000_000_120
FINGERPRINT = "00c0ffee00c0ffee"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
EXTERNAL = "https://vigie.example.com"


def transition(**changes: Any) -> Transition:
    """A firing one; `changes` replace fields."""
    fields: dict[str, Any] = {
        "id": "e1-2", "fingerprint": FINGERPRINT, "tenant": "acme", "rule_id": "r1", "rule_name": "High Error Rate",
        "episode": f"{FINGERPRINT}-{START_MS}", "sequence": 2, "from_state": AlertState.PENDING,
        "to_state": AlertState.FIRING, "timestamp": START_MS + 60_000, "reason": Reason.HELD, "severity": Severity.HIGH,
        "labels": {"service": "booking", "path": "/pay?a=1&b=2"}, "value": 0.075,
        "annotations": {"summary": "7.5 % of requests fail", "description": "Since\nthe deploy <of> noon."},
        "expression": "http_requests_total > 0.05", "starts_at": START_MS,
        "runbook": "https://wiki.example.com/errors?a=1&b=2", "owner": "team-booking",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }  # fmt: skip
    return Transition(**{**fields, **changes})


def resolved(**changes: Any) -> Transition:
    """The end of the same episode."""
    fields: dict[str, Any] = {
        "id": "e1-3", "sequence": 3, "from_state": AlertState.FIRING, "to_state": AlertState.RESOLVED,
        "timestamp": START_MS + 120_000, "ends_at": START_MS + 120_000, "reason": Reason.RECOVERED, "value": 0.01,
    }  # fmt: skip
    return transition(**{**fields, **changes})


def firing_message(**changes: Any) -> Message:
    return message("n1", "ops", [transition(**changes)], EXTERNAL)


def group_message() -> Message:
    """Three alerts of a group, and five that are only counted."""
    steps = [
        transition(severity=Severity.CRITICAL),
        transition(fingerprint="01" * 8, labels={"service": "search", "team": "web"}, value=0.5),
        resolved(fingerprint="02" * 8, labels={"service": "cart", "team": "web"}),
    ]
    together = Together("g1", '{}/{team="web"}:{team="web"}', "web", {"team": "web"}, 5)
    return message("n3", "ops", steps, EXTERNAL, together)


def resolved_message() -> Message:
    return message("n2", "ops", [resolved()], EXTERNAL)
