"""A status page with some of everything, and names that try to be more than names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vigie_contracts.checks import Verdict
from vigie_contracts.targets import Maintenance, Target
from vigie_contracts.tenants import TenantId
from vigie_healthcheck.known import Known
from vigie_healthcheck.readings import DAYS, Days
from vigie_healthcheck.status.model import Public, StatusPage, assembled
from vigie_query.times import DAY, HOUR, MINUTE
from vigie_storage.health.incidents import Incident
from vigie_storage.health.states import TargetState

ACME = TenantId("acme")
NOW: Final = 1_790_000_000_000 // DAY * DAY + 14 * HOUR + 5 * MINUTE
HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "a/b é 漢字 \u202egnp.exe",
)


def known(name: str, state: Verdict | None = Verdict.UP, **more: Any) -> Known:
    fields: dict[str, Any] = {"kind": "http", "url": f"https://{name[:3]}.internal/health", "public": True, **more}
    target = Target(id=f"t-{name}", tenant=ACME, name=name, **fields)
    if state is None:
        return Known(target)
    state_ = TargetState(
        target=target.id, tenant=ACME, name=name, state=state, verdict=state, since_ms=NOW - 3 * DAY,
        checked_ms=NOW - 10_000, due_ms=NOW + 20_000, duration_ms=42.5,
        reason="" if state is Verdict.UP else "the connection to 10.0.0.7:5432 was refused",
    )  # fmt: skip
    return Known(target, state_)


def incident(name: str, began_ms: int, ended_ms: int | None = None, reason: str = "no answer within 5 s") -> Incident:
    return Incident(target=f"t-{name}", tenant=ACME, name=name, started_ms=began_ms, ended_ms=ended_ms, reason=reason)


def days(*bad: tuple[int, float], unknown: int = 0) -> Days:
    each: list[float | None] = [None] * unknown + [100.0] * (DAYS - unknown)
    for back, share in bad:
        each[-1 - back] = share
    known = [one for one in each if one is not None]
    return Days(sum(known) / len(known) if known else None, each)


def made(title: str, services: Sequence[Known], days: Mapping[str, Days], incidents: Sequence[Incident]) -> StatusPage:
    return assembled(Public(ACME, title, services), NOW, days, incidents)


def sample() -> StatusPage:
    tonight = Maintenance(starts_at=NOW + 8 * HOUR, ends_at=NOW + 10 * HOUR, reason="The database moves to new disks.")
    goes_on = Maintenance(starts_at=NOW - HOUR, ends_at=NOW + HOUR, reason="Certificates are renewed.")
    all_ = [
        known("Website"),
        known("Booking API", Verdict.DOWN, group="Booking"),
        known("Payments", Verdict.DEGRADED, group="Booking", maintenance=[tonight]),
        known("Search for hotels, flights, trains and cars", group="Booking", maintenance=[tonight]),
        known("Tickets", group="Partners", maintenance=[goes_on]),
        known("Newsletter", None, group="Partners"),
    ]
    uptimes = {
        "Website": days(),
        "Booking API": days((0, 97.2), (3, 99.8), (41, 84.0)),
        "Payments": days((12, 99.1), (13, 93.0)),
        "Search for hotels, flights, trains and cars": days(unknown=60),
        "Tickets": days((80, 99.9)),
    }
    incidents = [
        incident("Booking API", NOW - 18 * MINUTE, None, "the connection to 10.0.0.7:5432 was refused"),
        incident("Payments", NOW - 13 * DAY, NOW - 13 * DAY + 100 * MINUTE, "it answered with status 503"),
        incident("Booking API", NOW - 41 * DAY, NOW - 41 * DAY + 4 * HOUR),
    ]
    return made("Acme Travel", all_, uptimes, incidents)
