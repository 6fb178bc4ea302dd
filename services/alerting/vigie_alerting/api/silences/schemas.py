"""JSON of /api/alerts/silences."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field
from vigie_query.times import iso, iso_of
from vigie_storage.alerts.configuration import Stored
from vigie_web.schemas import Body, Model, NextCursor, Time

from vigie_alerting.api.schemas import time
from vigie_alerting.api.timing import MatcherTexts, Recurrence, TimeText, TimingBody
from vigie_alerting.routing import matchers as routing
from vigie_alerting.silences import model
from vigie_alerting.silences.active import State, phase
from vigie_alerting.silences.preview import MAX_LISTED, MutedAlert, Preview

Comment = Annotated[str, Field(max_length=model.MAX_COMMENT_CHARS, examples=["new disks, ticket 4711"])]


class PreviewBody(TimingBody):
    """What is to be muted."""

    matchers: MatcherTexts


class SilenceBody(PreviewBody):
    """A silence. `confirm`: although it mutes everything."""

    comment: Comment
    confirm: bool = False

    def draft(self, now_ms: int, starts: int | None = None) -> model.Draft:
        """Raises InvalidParameter, QueryLimitExceeded."""
        timing = self.timing(now_ms, starts)
        return model.Draft(routing.parse(self.matchers).all, timing, self.comment, confirmed=self.confirm)


class Extension(Body):
    """When it is to end, later or earlier than it would."""

    ends_at: TimeText


class Silence(Model):
    """A silence as it is now."""

    id: str
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
    def of(cls, stored: Stored[model.Silence], now_ms: int) -> Self:
        return cls(**_fields(stored, now_ms))


class SilencePage(Model):
    silences: list[Silence]
    next_cursor: NextCursor


class MutedCounts(Model):
    """What would have been muted in the last 7 days."""

    alerts: int
    rules: int
    firings: int = Field(description="how often they began to fire, or changed while they did")

    @classmethod
    def of(cls, preview: Preview) -> Self:
        return cls(alerts=len(preview.muted), rules=preview.muted_rules, firings=preview.muted_firings)


class WrittenSilence(Silence):
    """As it is now, and what it would have muted had it been there."""

    would_have_muted: MutedCounts | None = Field(description="null: the past could not be looked at when it was made")

    @classmethod
    def with_preview(cls, stored: Stored[model.Silence], preview: Preview, now_ms: int) -> Self:
        muted = MutedCounts.of(preview) if preview.known else None
        return cls(**_fields(stored, now_ms), would_have_muted=muted)


class WouldBeMuted(Model):
    """An alert of the last 7 days of which nobody would have been told."""

    id: str
    labels: dict[str, str]
    first_at: Time
    last_at: Time
    times: int

    @classmethod
    def of(cls, one: MutedAlert) -> Self:
        return cls(
            id=one.fingerprint,
            labels=dict(one.labels),
            first_at=iso(one.first_ms),
            last_at=iso(one.last_ms),
            times=one.times,
        )


class Previewed(Model):
    """What matchers would have muted: for what does not recur, throughout; else in the times of the rule."""

    from_: Time = Field(alias="from")
    to: Time
    complete: bool = Field(description="false: more happened, and this is about the newest 20,000 steps of it")
    alerts: int = Field(description="alerts that fired in that time")
    firings: int
    would_have_muted: MutedCounts
    mutes_now: int = Field(description="alerts that fire now, and fit")
    everything: str = Field(description="why it mutes everything, and must be confirmed; empty: it does not")
    examples: list[WouldBeMuted] = Field(description="the last ones first, at most 100")

    @classmethod
    def of(cls, preview: Preview, mutes_now: int, everything: str) -> Self:
        return cls(
            **{"from": iso(preview.from_ms)},
            to=iso(preview.to_ms),
            complete=preview.complete,
            alerts=preview.alerts,
            firings=preview.firings,
            would_have_muted=MutedCounts.of(preview),
            mutes_now=mutes_now,
            everything=everything,
            examples=[WouldBeMuted.of(one) for one in preview.muted[:MAX_LISTED]],
        )


def _fields(stored: Stored[model.Silence], now_ms: int) -> dict[str, Any]:
    value = stored.value
    now = phase(value.timing, now_ms)
    return {
        "id": stored.name,
        "state": now.state,
        "matchers": [routing.written(one) for one in value.matchers],
        "starts_at": iso(value.timing.starts),
        "ends_at": time(value.timing.ends),
        "recurrence": Recurrence.of(value.timing),
        "changes_at": time(now.until),
        "comment": value.comment,
        "created_by": value.created_by,
        "created_at": iso(value.created_at),
        "updated_by": stored.by,
        "updated_at": iso_of(stored.changed),
        "version": stored.version,
    }
