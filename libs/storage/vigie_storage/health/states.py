"""What every target is now, as its prober last found it.

health_states  {_id: the target's, tenant, checked, asked, data}

`data` is a TargetState, JSON; `checked` and `asked` are its times, Unix milliseconds.
"""

from __future__ import annotations

import msgspec
from vigie_contracts.checks import Verdict


class TargetState(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """Times are Unix milliseconds; 0: never."""

    target: str
    """The id."""
    tenant: str
    name: str = ""
    state: Verdict = Verdict.UNKNOWN
    """After thresholds; UNKNOWN until the first check."""
    since_ms: int = 0
    """When it became so."""
    checked_ms: int = 0
    """When the newest check was due."""
    due_ms: int = 0
    """When the next one is."""
    verdict: Verdict = Verdict.UNKNOWN
    """Of the newest check."""
    reason: str = ""
    duration_ms: float = 0.0
    phases: dict[str, float] = {}
    """Milliseconds."""
    failures: int = 0
    """Failed checks one after the other."""
    successes: int = 0
    version: int = 0
    """Of the target that was asked."""
    muted: str = ""
    """Why nobody is alerted: `maintenance`, `dependency`; else empty."""
    incident_ms: int = 0
    """When the incident that is open began."""
    expires_ms: int = 0
    """When the target's certificate ends."""
