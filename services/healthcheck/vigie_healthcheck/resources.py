"""The connected resources of healthcheck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vigie_identity.audit import Audit
from vigie_web.health import Check
from vigie_web.state import AccessControl

from vigie_healthcheck.heartbeats import Heartbeats
from vigie_healthcheck.probes.base import Way
from vigie_healthcheck.reads import Reads
from vigie_healthcheck.targets.targetbook import Targetbook


@dataclass(frozen=True, slots=True)
class Resources:
    """What routes and runner work with."""

    access: AccessControl
    checks: Sequence[Check]
    audit: Audit
    way: Way
    """How targets are reached."""
    reads: Reads
    targetbook: Targetbook
    heartbeats: Heartbeats
