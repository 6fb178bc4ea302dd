"""JSON of /api/alerts/maintenance."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field
from vigie_query.times import iso, iso_of
from vigie_storage.alerts.configuration import Stored
from vigie_web.schemas import Model, Time

from vigie_alerting.api.schemas import time
from vigie_alerting.api.timing import MatcherTexts, Recurrence, TimingBody
from vigie_alerting.maintenance import MaintenanceWindow
from vigie_alerting.routing import matchers as routing
from vigie_alerting.silences.active import State, phase
from vigie_alerting.silences.model import MAX_COMMENT_CHARS


class WindowBody(TimingBody):
    """`confirm`: although it mutes everything."""

    matchers: MatcherTexts
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS, examples=["backups"])]
    confirm: bool = False


class Window(Model):
    """A maintenance window as it is now."""

    name: str
    state: State = Field(description="pending: it does not mute now, and will")
    matchers: list[str]
    starts_at: Time
    ends_at: Time | None = Field(description="null: it recurs without end")
    recurrence: Recurrence | None
    changes_at: Time | None = Field(description="when the state may change next; null: never")
    comment: str
    created_by: str
    created_at: Time
    updated_by: str
    updated_at: Time
    version: int

    @classmethod
    def of(cls, stored: Stored[MaintenanceWindow], now_ms: int) -> Self:
        value, now = stored.value, phase(stored.value.timing, now_ms)
        return cls(
            name=stored.name,
            state=now.state,
            matchers=[routing.written(one) for one in value.matchers],
            starts_at=iso(value.timing.starts),
            ends_at=time(value.timing.ends),
            recurrence=Recurrence.of(value.timing),
            changes_at=time(now.until),
            comment=value.comment,
            created_by=value.created_by,
            created_at=iso(value.created_at),
            updated_by=stored.by,
            updated_at=iso_of(stored.changed),
            version=stored.version,
        )


class WindowList(Model):
    windows: list[Window]
