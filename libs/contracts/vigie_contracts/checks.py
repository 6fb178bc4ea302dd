"""Check: the value of a record on `vigie.checks.v1`, JSON. The result of one probe of one target."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    """The prober failed, not the target."""


class Check(msgspec.Struct, omit_defaults=True):
    id: str
    tenant: str
    target: str
    probe: str
    """How it was asked: `http`, `tcp`, `tls`, `dns`, ..."""
    timestamp: int
    """Milliseconds since the Unix epoch."""
    verdict: Verdict
    duration_ms: float
    reason: str = ""
    """A sentence for people; empty when up."""
    version: int = 1
