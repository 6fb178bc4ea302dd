"""Keeps Vigie's own targets as the settings say, from the start on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace
from vigie_contracts.targets import OWN, Secrets, Target
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM
from vigie_identity.names import new_id
from vigie_runtime import logging
from vigie_runtime.errors import ProblemError, StoreUnavailable

from vigie_healthcheck.targets.own import Own, plan
from vigie_healthcheck.targets.targetbook import BATCH, Targetbook

log = logging.get(__name__)

AGAIN_S: Final = 1.0
ATTEMPTS: Final = 300


class KeepingOwn:
    """Makes, changes and removes targets of the tenant until they are those that are wanted. `run` until `stop`."""

    def __init__(self, book: Targetbook, tenant: TenantId, wanted: Sequence[Own]) -> None:
        self._book, self._tenant, self._wanted = book, tenant, wanted
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Try no more."""
        self._stopping.set()

    async def run(self) -> None:
        """Do it, then rest until stopped."""
        await self.settle()
        await self._stopping.wait()

    async def settle(self) -> None:
        """Once, and again while the store does not answer or another process does the same."""
        for _ in range(ATTEMPTS):
            if self._stopping.is_set():
                return
            try:
                await self.once()
            except StoreUnavailable:
                log.warning("Vigie's own targets have to wait: the store does not answer")
            except ProblemError as e:
                log.warning("Vigie's own targets are not as they should be yet", reason=str(e))
            else:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._stopping.wait()

    async def once(self) -> None:
        """Raises StoreUnavailable, and what `Targetbook.put` raises."""
        found = plan(await self._present(), self._wanted)
        for name in found.taken:
            log.warning("a target of that name is somebody's: Vigie's own is left out", target=name)
        steps = [
            self._book.step(replace(one.target, id=new_id(), tenant=self._tenant), one.secrets, SYSTEM)
            for one in found.created
        ]
        steps += [self._book.step(own.target, own.secrets, SYSTEM, before) for before, own in found.changed]
        steps += [self._book.removal(one, SYSTEM) for one in found.deleted]
        for start in range(0, len(steps), BATCH):
            await self._book.put(steps[start : start + BATCH], SYSTEM)
        if steps:
            log.info(
                "Vigie's own targets",
                created=len(found.created),
                changed=len(found.changed),
                deleted=len(found.deleted),
            )

    async def _present(self) -> list[tuple[Target, Secrets | None]]:
        names = [own.target.name for own in self._wanted]
        there = await self._book.store.all(self._tenant, {"$or": [{"managed_by": OWN}, {"name": {"$in": names}}]})
        return [(one, self._book.present(one).secrets) for one in there]
