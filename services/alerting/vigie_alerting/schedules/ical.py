"""A schedule as a calendar that others subscribe to (RFC 5545)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from icalendar import Calendar, Event
from vigie_contracts.tenants import TenantId

from vigie_alerting.schedules.rotation import Shift


def calendar(tenant: TenantId, name: str, shifts: Iterable[Shift], now_ms: int) -> bytes:
    """One event per shift, in UTC. An event keeps its identity as long as its person and beginning stay."""
    made = Calendar()
    made.add("prodid", "-//Vigie//On call//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", f"On call: {name}")
    for shift in shifts:
        event = Event()
        event.add("uid", f"{_digest(tenant, name, shift.person, str(shift.start))}@vigie")
        event.add("dtstamp", _moment(now_ms))
        event.add("dtstart", _moment(shift.start))
        event.add("dtend", _moment(shift.end))
        event.add("summary", f"{shift.person} on call ({name})")
        event.add("description", f"{'Override' if shift.override else 'Layer'}: {shift.by}")
        event.add("transp", "TRANSPARENT")
        made.add_component(event)
    return made.to_ical()


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
