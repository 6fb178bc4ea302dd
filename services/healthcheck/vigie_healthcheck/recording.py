"""States and incidents into MongoDB: of a target that changes, both or neither."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from vigie_contracts.checks import Verdict
from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database
from vigie_storage.health.incidents import Ended, Incident, Incidents
from vigie_storage.health.states import HealthStates, TargetState
from vigie_storage.mongo import Session, transaction

from vigie_healthcheck.state import Change

_TOGETHER: Final = 200
"""Targets whose changes are one transaction."""


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


@dataclass(slots=True)
class StateRecorder:
    """All methods raise StoreUnavailable, and can be repeated."""

    database: Database
    states: HealthStates = field(init=False)
    incidents: Incidents = field(init=False)

    def __post_init__(self) -> None:
        self.states, self.incidents = HealthStates(self.database), Incidents(self.database)

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
            await transaction(self.database, work)

    async def _change(self, found: Sequence[Found]) -> set[str]:
        async def work(session: Session) -> set[str]:
            newer = await self.states.write([one.state for one in found], session)
            moves = [move for one in found if one.state.target not in newer for move in _moves(one)]
            if moves:
                await self.incidents.write(moves, session)
            return newer

        return await transaction(self.database, work)


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
