"""States and incidents into MongoDB: of a target that changes, both or neither."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from vigie_contracts.checks import Verdict
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.health.incidents import Ended, Incident, Incidents
from vigie_storage.health.states import HealthStates, TargetState
from vigie_storage.mongo import Session, bounded, transaction
from vigie_storage.partitions.owners import Owners

from vigie_healthcheck.state import Change

_TOGETHER: Final = 200
"""Targets whose changes are one transaction."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """What a target is after its newest check, and what it became on the way there since it was last stored."""

    state: TargetState
    changes: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class Gone:
    """A target that is not watched any more."""

    tenant: TenantId
    target: str
    at_ms: int


class StateRecorder:
    """All methods raise StoreUnavailable, and can be repeated."""

    def __init__(self, database: Database, topic: str, clock: Clock) -> None:
        """`topic`: that of the targets, whose partitions are owned."""
        self.database, self.states, self.incidents = database, HealthStates(database), Incidents(database)
        # One session for all transactions: who takes a partition over ends what its owner before left open in it.
        self._session, self._owners = database.client.start_session(), Owners(database, topic, clock)
        self._free = asyncio.Lock()

    async def close(self) -> None:
        """End the session."""
        await self._session.end_session()

    async def take_over(self, partition: int) -> None:
        """End the transaction that an owner killed in the middle of it left open: it would hold its targets up."""
        async with self._free:
            with bounded(2):
                await self._owners.take_over(partition, self._session)

    async def prepare(self) -> None:
        """Make the collections and their indexes."""
        await self.states.prepare()
        await self.incidents.prepare()

    async def write(self, found: Sequence[Found]) -> set[str]:
        """Store these, of each target one. The ids of those of which somebody else has stored a newer check: nothing
        of them is stored."""
        changed = [one for one in found if any(_moves(one))]
        newer = await self.states.write([one.state for one in found if not any(_moves(one))])
        for start in range(0, len(changed), _TOGETHER):
            newer |= await self._change(changed[start : start + _TOGETHER])
        return newer

    async def remove(self, gone: Sequence[Gone]) -> None:
        """Forget these targets; their incidents end."""

        async def work(session: Session) -> None:
            await self.incidents.write(
                [Ended(one.tenant, one.target, one.at_ms, whichever=True) for one in some], session
            )
            await self.states.remove([one.target for one in some], session)

        for start in range(0, len(gone), _TOGETHER):
            some = gone[start : start + _TOGETHER]
            await self._transaction(work)

    async def _change(self, found: Sequence[Found]) -> set[str]:
        async def work(session: Session) -> set[str]:
            newer = await self.states.write([one.state for one in found], session)
            moves = [move for one in found if one.state.target not in newer for move in _moves(one)]
            if moves:
                await self.incidents.write(moves, session)
            return newer

        return await self._transaction(work)

    async def _transaction(self, work: Callable[[Session], Awaitable[T]]) -> T:
        async with self._free:
            return await transaction(self.database, work, self._session)


def _moves(found: Found) -> Iterator[Incident | Ended]:
    state, tenant = found.state, TenantId(found.state.tenant)
    for change in found.changes:
        if change.to is Verdict.DOWN:
            yield Incident(
                target=state.target,
                tenant=tenant,
                name=state.name,
                started_ms=change.at_ms,
                reason=change.reason,
            )
        elif change.from_ is Verdict.DOWN:
            yield Ended(tenant, state.target, change.at_ms)
