"""Check: the value of a record on `vigie.checks.v1`, JSON. The result of one probe of one target."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    UP = "up"
    DEGRADED = "degraded"
    """It answers, but slower than it should, or with a certificate that ends soon."""
    DOWN = "down"
    UNKNOWN = "unknown"
    """The prober failed, not the target."""


class Check(msgspec.Struct, omit_defaults=True):
    id: str
    """Of target and time: checking again what a crash cut off gives the same."""
    tenant: str
    target: str
    """The id of the target."""
    probe: str
    """How it was asked: `http`, `tcp`, `tls`, `dns`, ..."""
    timestamp: int
    """When it was due, milliseconds since the Unix epoch."""
    verdict: Verdict
    duration_ms: float
    reason: str = ""
    """A sentence for people; empty when up."""
    phases: dict[str, float] = {}
    """Milliseconds by phase: `resolve`, `connect`, `tls`, `processing`, `transfer`."""
    attempts: int = 1
    name: str = ""
    """Of the target, as it was called then."""
    state: str = ""
    """What the target is after this check, a `Verdict`: thresholds are counted in."""
    muted: str = ""
    """Why nobody is alerted: `maintenance`, `dependency`; else empty."""
    version: int = 1


def record_key(tenant: str, target: str) -> bytes:
    """The key of a check's record: those of one target stay in order, in one partition."""
    return f"{tenant}/{target}".encode()
