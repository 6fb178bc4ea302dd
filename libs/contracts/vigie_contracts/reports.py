"""Report: the value of a record on `vigie.reports.v1`, JSON. A snapshot that a subject sends of itself."""

from __future__ import annotations

from typing import Any

import msgspec


class Report(msgspec.Struct, omit_defaults=True):
    """`body` is kept whole; its numbers also travel as samples. `id` makes storing it twice harmless."""

    id: str
    tenant: str
    kind: str
    """What sends it: `node`, `app`, `host` or `site`."""
    subject: str
    """Which one, inside the tenant."""
    timestamp: int
    """Milliseconds since the Unix epoch."""
    body: dict[str, Any]
    version: int = 1


def record_key(tenant: str, subject: str) -> bytes:
    """The key of a report's record: what a subject says stays in order, in one partition."""
    return f"{tenant}/{subject}".encode()
