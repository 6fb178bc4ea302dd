"""Which targets this process checks: those of its partitions, as the log of targets has them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from vigie_contracts.targets import Secrets, Target
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.bus.compacted import Change, CompactedLog, Gone
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable
from vigie_storage.health.secrets import SecretsUnreadable, opened
from vigie_storage.health.states import HealthStates, TargetState
from vigie_storage.sealing import Sealing

from vigie_healthcheck.schedule import Schedule

log = logging.get(__name__)

READ_S: Final = 15.0
"""How long what is in the log is waited for, so that no version of before is asked."""
_POLL_S: Final = 0.05
_IDLE_S: Final = 1.0
_AWAY: Final = Backoff(0.2, 5.0)


Forget: TypeAlias = Callable[[Target], Awaitable[None]]
"""Has what is known of a target removed, and its incident ended."""
HandOver: TypeAlias = Callable[[Sequence[str]], Awaitable[None]]
"""Has what was found of targets stored, and nothing of them afterwards."""
TakeOver: TypeAlias = Callable[[int], Awaitable[None]]
"""Ends what the owner before left open of a partition. Raises StoreUnavailable."""


class TargetLog(CompactedLog[Target]):
    """Whoever gets a partition next begins with what is stored of its targets: so they are handed over first."""

    def __init__(self, hand_over: HandOver) -> None:
        super().__init__(Target)
        self._hand_over = hand_over

    async def assigned(self, partition: int) -> int | None:
        """Also of what this process itself reads anew."""
        start = await super().assigned(partition)
        await self._hand_over_left()
        return start

    async def revoked(self, partitions: Sequence[int]) -> None:
        """Others have them as soon as this returns."""
        await super().revoked(partitions)
        await self._hand_over_left()

    async def _hand_over_left(self) -> None:
        left = self.left()
        if left:
            await self._hand_over(left)


@dataclass(slots=True, eq=False)
class Watched:
    """A target of this process; another one takes its place when it changes."""

    target: Target
    secrets: Secrets | None
    """None: they cannot be read."""
    state: TargetState | None
    asked_ms: int = 0
    """When somebody asked for the check that was made last, or is being made."""


class Roster:
    """`run` in a task until `stop`. `watched` by id, all of which are in the schedule."""

    def __init__(
        self, log_: CompactedLog[Target], schedule: Schedule, states: HealthStates, forget: Forget, *,
        take_over: TakeOver, sealing: Sealing, is_read: Callable[[], bool], clock: Clock, now_ms: Callable[[], int],
        changed: Callable[[], None] = lambda: None, wanted: Callable[[Target], bool] = lambda _: True,
    ) -> None:  # fmt: skip
        """`is_read`: whether the log was read to its end; `now_ms`: the time of the schedule; `changed` is called when
        something may be due earlier than before; `wanted`: which targets are checked from here."""
        self._log, self._schedule, self._states, self._forget = log_, schedule, states, forget
        self._take_over, self._taken_over = take_over, set[int]()
        self._sealing, self._is_read, self._clock, self._now_ms = sealing, is_read, clock, now_ms
        self._changed, self._wanted = changed, wanted
        self._stopping = False
        self._unread_since: float | None = None
        self.watched: dict[str, Watched] = {}

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopping = True
        self._log.arrived.set()

    async def run(self) -> None:
        """Follow the log until stopped."""
        failures = 0
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_S):
                    await self._log.arrived.wait()
            changes = self._leave(self._log.changes())
            if not changes:
                continue
            if not self._may_apply():
                self._log.put_back(changes)
                await self._clock.sleep(_POLL_S)
                continue
            try:
                await self._apply(changes)
                failures = 0
            except StoreUnavailable:
                failures += 1
                log.warning("the states of targets cannot be read: tried again in a moment", targets=len(changes))
                self._log.put_back(changes)
                await self._clock.sleep(_AWAY.pause_s(failures))

    def state(self, target: str) -> TargetState | None:
        """Of a target of this process."""
        one = self.watched.get(target)
        return None if one is None else one.state

    def leave(self, ids: Iterable[str]) -> None:
        """Others have these now: what is being asked of them does not count any more."""
        for id_ in ids:
            self._drop(id_)

    def _leave(self, changes: Mapping[str, Change[Target]]) -> dict[str, Change[Target]]:
        """Targets that others have now are let go, whatever is away; the other changes."""
        left = {id_: partition for id_, (partition, value) in changes.items() if value is Gone.LEFT}
        self.leave(left)
        self._taken_over.difference_update(left.values())
        return {id_: change for id_, change in changes.items() if change[1] is not Gone.LEFT}

    def _may_apply(self) -> bool:
        now = self._clock.monotonic()
        if self._is_read():
            self._unread_since = None
            return True
        if self._unread_since is None:
            self._unread_since = now
        return now - self._unread_since >= READ_S

    async def _apply(self, changes: Mapping[str, Change[Target]]) -> None:
        """Doing it again is harmless. Raises StoreUnavailable."""
        for partition in {partition for partition, _ in changes.values()} - self._taken_over:
            await self._take_over(partition)
            self._taken_over.add(partition)
        stored = await self._states.some(changes)
        for id_, (_, value) in changes.items():
            if isinstance(value, Target) and value.enabled and self._wanted(value):
                self._put(value, stored.get(id_))
                continue
            known = self.watched.get(id_)
            self._drop(id_)
            if known is not None:
                await self._forget(known.target)
            elif (state := stored.get(id_)) is not None:  # it was removed while nobody had it
                gone = Target(id=id_, tenant=state.tenant, name=state.name, kind=state.kind)
                gone.group, gone.labels = state.group, state.labels
                await self._forget(gone)
        self._changed()

    def _put(self, target: Target, stored: TargetState | None) -> None:
        before = self.watched.get(target.id)
        known = None if before is None else before.state
        # The log was perhaps read anew: meanwhile another process may have checked it, or this one not have stored it.
        state = max((one for one in (known, stored) if one is not None), key=lambda s: s.checked_ms, default=None)
        soon = state is None or state.version != target.version or state.due_ms <= self._clock.now_ms()
        self.watched[target.id] = Watched(
            target, self._secrets(target), state, 0 if before is None else before.asked_ms
        )
        self._schedule.put(target.id, target.period_ms, self._now_ms(), soon=soon)

    def _secrets(self, target: Target) -> Secrets | None:
        try:
            return opened(target, self._sealing)
        except SecretsUnreadable as e:
            log.error("a target cannot be asked", target=target.id, reason=str(e))
            return None

    def _drop(self, id_: str) -> None:
        self.watched.pop(id_, None)
        self._schedule.remove(id_)
