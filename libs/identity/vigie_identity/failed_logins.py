"""Failed logins in the audit log: a few a minute for each account, and how many more there were.

So nobody can fill the log, or hide one account's failures behind many of others. They are written beside the login,
which is answered as fast whether the account and its tenant exist or not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from vigie_contracts.tenants import PLATFORM, TenantId, tenant_id
from vigie_runtime import tasks
from vigie_runtime.clock import Clock
from vigie_runtime.errors import StoreUnavailable

from vigie_identity.audit import Action, Actor, Audit
from vigie_identity.errors import NotFound
from vigie_identity.tenants import Tenants
from vigie_identity.users import User

MINUTE_S: Final = 60.0
PER_ACCOUNT: Final = 3
"""Entries a minute; names that no account has are one account."""
PER_HOME: Final = 20
MAX_HOMES: Final = 1_000
"""With failed logins in the last minute; those of others are left out."""
MAX_WAITING: Final = 256
"""To be written: more than there can be while MongoDB answers."""


@dataclass(slots=True)
class _Minute:
    """What was written of a home since its first failed login, and how many were not."""

    written: Counter[str] = field(default_factory=Counter[str])
    more: int = 0

    def takes(self, account: str) -> bool:
        if self.written[account] >= PER_ACCOUNT or self.written.total() >= PER_HOME:
            self.more += 1
            return False
        self.written[account] += 1
        return True


class FailedLogins:
    """Writes them, for one event loop. What it cannot write is left out: it is no reason to refuse anything."""

    def __init__(self, audit: Audit, tenants: Tenants, clock: Clock) -> None:
        self._audit = audit
        self._tenants = tenants
        self._clock = clock
        self._minutes: dict[TenantId, _Minute] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.Task[None]] = set()

    def note(self, home: str, user: User | None, by: Actor) -> None:
        """A login to an account of that home failed; None: it has no such account. What was typed as the name is not
        kept: it may be a password."""
        where = PLATFORM if home == PLATFORM else tenant_id(home)
        if where is not None and len(self._writes) < MAX_WAITING:
            self._run(self._writes, self._note(where, user, by))

    async def close(self) -> None:
        """End what is under way, and write how many more there were."""
        await tasks.end([*self._writes, *self._ends])
        for home, minute in self._minutes.items():
            await self._write_more(home, minute)

    async def _note(self, home: TenantId, user: User | None, by: Actor) -> None:
        with suppress(NotFound, StoreUnavailable):
            if home != PLATFORM:
                await self._tenants.get(home)
            minute = self._minutes.get(home)
            if minute is None:
                if len(self._minutes) >= MAX_HOMES:
                    return
                minute = self._minutes[home] = _Minute()
                self._run(self._ends, self._end(home, minute))
            target = "" if user is None else user.id
            if minute.takes(target):
                about = {} if user is None else {"name": user.name}
                await self._audit.add(None, home, by, Action.LOGIN_FAILED, target, **about)

    async def _end(self, home: TenantId, minute: _Minute) -> None:
        await self._clock.sleep(MINUTE_S)
        del self._minutes[home]
        await self._write_more(home, minute)

    async def _write_more(self, home: TenantId, minute: _Minute) -> None:
        if minute.more:
            with suppress(StoreUnavailable):
                await self._audit.add(None, home, Actor("", ""), Action.LOGIN_FAILED, "", more=minute.more)

    @staticmethod
    def _run(group: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="failed login")
        group.add(task)
        task.add_done_callback(group.discard)
