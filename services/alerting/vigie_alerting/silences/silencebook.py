"""Making, changing and ending silences."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor
from vigie_identity.errors import LimitReached
from vigie_runtime.clock import Clock
from vigie_storage.alerts.configuration import Configuration, Stored
from vigie_storage.mongo import Session

from vigie_alerting.configbook import Configbook
from vigie_alerting.silences import checking
from vigie_alerting.silences.active import State, state
from vigie_alerting.silences.errors import MutesEverything, SilenceExpired, SilenceNotFound
from vigie_alerting.silences.index import Index, expressions, pairs_of
from vigie_alerting.silences.model import Draft, Silence
from vigie_alerting.silences.muting import Held
from vigie_alerting.silences.preview import Preview, Previews, Sees, all_seen
from vigie_alerting.snapshots import Snapshots

KEPT: Final = timedelta(days=5)
"""An expired silence is shown, as long as by Alertmanager."""
MAX_OPEN: Final = 500
"""Silences of a tenant that ask for no label value, so that every alert is tried against each of them."""
MAX_EXPRESSIONS: Final = 1_000
"""Different ones in the silences of a tenant: one alert may be tried against all of them."""


class Silencebook:
    """All methods raise StoreUnavailable."""

    def __init__(
        self,
        store: Configuration[Silence],
        book: Configbook[Silence],
        held: Snapshots[Index[Held]],
        previews: Previews,
        clock: Clock,
    ) -> None:
        self._store, self._book, self._held, self._previews, self._clock = store, book, held, previews, clock

    async def get(self, tenant: TenantId, silence: str) -> Stored[Silence]:
        """Raises SilenceNotFound."""
        found = await self._store.get(tenant, silence)
        if found is None:
            raise SilenceNotFound
        return found

    async def create(
        self, tenant: TenantId, draft: Draft, by: Actor, *, sees: Sees = all_seen
    ) -> tuple[Stored[Silence], Preview]:
        """With an id of its own; and what it would have muted in the last 7 days of what `sees`, if that is known.
        Raises InvalidParameter, QueryLimitExceeded, MutesEverything, LimitReached."""
        made, preview = await self._judged(tenant, draft, by, sees)
        await self._check_room(tenant, made)
        return await self._add(tenant, made, by), preview

    async def change(
        self,
        tenant: TenantId,
        silence: str,
        draft: Draft,
        by: Actor,
        *,
        if_version: int | None = None,
        sees: Sees = all_seen,
    ) -> tuple[Stored[Silence], Preview]:
        """Put the draft in its place. Where it has other matchers, or is to have muted at other times than it has, it
        expires, and another one with its own id takes its place; so it does for one that has expired. Raises as
        `create`; SilenceNotFound, ConfigurationConflict."""
        before, now = await self.get(tenant, silence), self._clock.now_ms()
        made, preview = await self._judged(tenant, draft, by, sees)
        was = state(before.value.timing, now)
        version = before.version if if_version is None else if_version
        if _same(before.value, draft, now):
            begun = before.value.timing.starts <= now
            starts = before.value.timing.starts if begun else made.timing.starts
            kept = replace(
                made,
                timing=replace(made.timing, starts=starts),
                created_by=before.value.created_by,
                caller=before.value.caller,
                created_at=before.value.created_at,
            )
            return await self._put(tenant, silence, kept, by, action=Action.SILENCE_CHANGED, version=version), preview
        await self._check_room(tenant, made)
        over = before.value if was is State.EXPIRED else _over(before.value, now)

        async def also(session: Session) -> None:
            await self._store.write(tenant, silence, over, by.name, session, if_version=version, expires=_goes(over))

        return await self._add(tenant, made, by, also, replaces=silence), preview

    async def extend(
        self, tenant: TenantId, silence: str, ends: int, by: Actor, *, if_version: int | None = None
    ) -> Stored[Silence]:
        """Let it end at another time, later or earlier, Unix milliseconds. Raises SilenceNotFound, SilenceExpired,
        InvalidParameter, ConfigurationConflict."""
        before, now = await self.get(tenant, silence), self._clock.now_ms()
        if state(before.value.timing, now) is State.EXPIRED:
            raise SilenceExpired
        timing = replace(before.value.timing, ends=ends)
        checked = checking.checked_timing(timing, now)
        made = replace(before.value, timing=replace(checked, starts=timing.starts))
        version = before.version if if_version is None else if_version
        return await self._put(tenant, silence, made, by, action=Action.SILENCE_CHANGED, version=version)

    async def expire(
        self, tenant: TenantId, silence: str, by: Actor, *, if_version: int | None = None
    ) -> Stored[Silence]:
        """End it now; it stays as it is when it is over. Raises SilenceNotFound, ConfigurationConflict."""
        before, now = await self.get(tenant, silence), self._clock.now_ms()
        if state(before.value.timing, now) is State.EXPIRED:
            return before
        version = before.version if if_version is None else if_version
        over = _over(before.value, now)
        return await self._put(tenant, silence, over, by, action=Action.SILENCE_EXPIRED, version=version)

    async def _judged(self, tenant: TenantId, draft: Draft, by: Actor, sees: Sees) -> tuple[Silence, Preview]:
        now = self._clock.now_ms()
        created_by = checking.checked_creator(draft.created_by) or by.name
        made = Silence(
            matchers=checking.checked_matchers(draft.matchers),
            timing=checking.checked_timing(draft.timing, now),
            comment=checking.checked_comment(draft.comment),
            created_by=created_by,
            caller="" if created_by == by.name else by.name,
            created_at=now,
        )
        preview = await self._previews.tried(tenant, made.matchers, made.timing, now, sees=sees)
        if not draft.confirmed and (why := preview.everything(made.matchers)):
            raise MutesEverything(why)
        return made, preview

    async def _check_room(self, tenant: TenantId, made: Silence) -> None:
        held = await self._held.of(tenant)
        if held.open >= MAX_OPEN and not any(map(pairs_of, made.matchers)):
            raise LimitReached('silences without a matcher like name="value"', MAX_OPEN)
        more = expressions(made.matchers) - held.expressions
        if more and len(held.expressions) + len(more) > MAX_EXPRESSIONS:
            raise LimitReached("different regular expressions in silences", MAX_EXPRESSIONS)

    async def _add(
        self,
        tenant: TenantId,
        made: Silence,
        by: Actor,
        also: Callable[[Session], Awaitable[object]] | None = None,
        **changes: str,
    ) -> Stored[Silence]:
        return await self._book.put(
            tenant, new_id(made.created_at), made, by, Action.SILENCE_CREATED,
            if_version=0, expires=_goes(made), also=also, comment=made.comment, **changes,
        )  # fmt: skip

    async def _put(
        self, tenant: TenantId, silence: str, made: Silence, by: Actor, *, action: Action, version: int
    ) -> Stored[Silence]:
        return await self._book.put(
            tenant, silence, made, by, action, if_version=version, expires=_goes(made), comment=made.comment
        )


def new_id(now_ms: int) -> str:
    """A UUID that sorts by the time it was made at (version 7 of RFC 9562)."""
    number = (now_ms << 80) | secrets.randbits(80)
    number = number & ~(0xF << 76) | (7 << 76)
    return str(uuid.UUID(int=number & ~(3 << 62) | (2 << 62)))


def _same(before: Silence, draft: Draft, now_ms: int) -> bool:
    """Whether what it has muted stays true of it."""
    was, asked = before.timing, draft.timing
    if state(was, now_ms) is State.EXPIRED or set(before.matchers) != set(draft.matchers):
        return False
    return was.starts > now_ms or was == replace(asked, ends=was.ends)


def _over(silence: Silence, now_ms: int) -> Silence:
    starts = min(silence.timing.starts, now_ms)
    return replace(silence, timing=replace(silence.timing, starts=starts, ends=now_ms))


def _goes(silence: Silence) -> datetime | None:
    """When it is forgotten."""
    ends = silence.timing.ends
    return None if ends is None else datetime.fromtimestamp(ends / 1000, UTC) + KEPT
