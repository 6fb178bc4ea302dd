"""What checks found in a region that does not judge, on its way to who does. Of each target the newest check waits for
MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from vigie_contracts.targets import Target
from vigie_runtime import logging
from vigie_runtime.backoff import Backoff
from vigie_runtime.errors import StoreUnavailable, reason_of
from vigie_storage.health.sightings import Sighting, Sightings

from vigie_healthcheck.checking import Checked
from vigie_healthcheck.state import Step

log = logging.get(__name__)

FLUSH_S: Final = 0.2
"""What is found in such a time goes on together."""
_AWAY: Final = Backoff(0.2, 5.0)


class Sighted:
    """`run` in a task, until `stop`."""

    def __init__(self, region: str, store: Sightings) -> None:
        self._region, self._store = region, store
        self._waiting: dict[str, Sighting] = {}
        self._stopping = asyncio.Event()

    async def add(self, target: Target, _step: Step, checked: Checked, at_ms: int) -> None:
        """A check that was due at `at_ms`."""
        outcome = checked.outcome
        self._waiting[target.id] = Sighting(
            target=target.id, tenant=target.tenant, region=self._region, at_ms=at_ms, verdict=outcome.verdict,
            reason=outcome.reason,
        )  # fmt: skip

    async def leave(self, targets: Iterable[str]) -> None:
        """Others of the region have these now: what was found of them waits no more."""
        for target in targets:
            self._waiting.pop(target, None)

    def stop(self) -> None:
        """Make `run` return when it has stored what it has, or cannot."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`."""
        failures = 0
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_AWAY.pause_s(failures) if failures else FLUSH_S):
                    await self._stopping.wait()
            failures = 0 if await self._write() else failures + 1
            if failures == 1:
                log.warning("what was seen from here cannot be stored now", region=self._region)

    async def _write(self) -> bool:
        some, self._waiting = self._waiting, {}
        try:
            await self._store.write(list(some.values()))
        except StoreUnavailable as e:
            log.debug("not stored", reason=reason_of(e))
            self._waiting = some | self._waiting
            return False
        return True
