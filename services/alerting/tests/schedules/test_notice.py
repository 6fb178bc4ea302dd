"""What whoever comes on call reads."""

from __future__ import annotations

from datetime import UTC, date, datetime

from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.message import message
from vigie_alerting.schedules.handovers import notice
from vigie_alerting.schedules.model import Layer, Schedule
from vigie_alerting.schedules.rotation import now
from vigie_contracts.tenants import TenantId
from vigie_storage.alerts.handovers import Handover

LAYER = Layer(name="weekly", people=("ana", "ben"), start=date(2026, 3, 23), handoff=540)


def test_it_says_until_when_and_who_is_next_by_the_schedules_clock_and_that_nothing_is_wrong() -> None:
    schedule = Schedule(timezone="Europe/Paris", layers=(LAYER,))
    at = int(datetime(2026, 3, 30, 7, tzinfo=UTC).timestamp()) * 1000
    before = Handover("acme/db", TenantId("acme"), "db", "ana", at, 3)
    told = message("n1", "ben", [notice(before, schedule, now(schedule, at), at)])
    assert text.title(told) == "[ON CALL] ben, you are on call in 'db' until Mon 2026-04-06 09:00 CEST."
    assert text.summary(told.alerts[0]) == (
        "ben, you are on call in 'db' until Mon 2026-04-06 09:00 CEST. Before you: ana. "
        "Next: ana, from Mon 2026-04-06 09:00 CEST."
    )


def test_who_has_it_without_end_is_told_no_end() -> None:
    schedule = Schedule(timezone="UTC", layers=(Layer(name="all", people=("ana",), start=date(2026, 1, 1)),))
    at = int(datetime(2026, 3, 30, 7, tzinfo=UTC).timestamp()) * 1000
    made = notice(Handover("acme/db", TenantId("acme"), "db", "", at, 1), schedule, now(schedule, at), at)
    assert made.annotations["summary"] == "ana, you are on call in 'db'."
