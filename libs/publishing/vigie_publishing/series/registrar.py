"""Brings new series into the catalogue before their first sample is produced: one call at a time, many requests' series
in each call, and no request waits for longer than it is allowed to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from vigie_contracts.series import SeriesKey
from vigie_runtime import logging, tasks
from vigie_runtime.backoff import Backoff
from vigie_runtime.errors import Retryable
from vigie_storage.series.writer import RefusalReason, Refused, Registered, SeriesWriter

from vigie_publishing.errors import CatalogueAwayError, ItemError, Reason

log = logging.get(__name__)

_PER_CALL: Final = 1_000
_MAX_WAITING: Final = 50_000
"""New series of all requests together that may wait; beyond it requests get 503 at once."""
_BACKOFF: Final = Backoff(0.5, 10.0)
_REASONS: Final = {RefusalReason.LIMIT: Reason.LIMIT, RefusalReason.COLLISION: Reason.COLLISION}


class Registrar:
    """Registers new series for requests; its own task calls the catalogue."""

    def __init__(
        self, catalogue: SeriesWriter, wait_s: float, on_waited: Callable[[float], object] = lambda _s: None
    ) -> None:
        """`on_waited` hears how long each request waited, seconds."""
        self._catalogue = catalogue
        self._wait_s = wait_s
        self._on_waited = on_waited
        self._waiting: dict[SeriesKey, asyncio.Future[int | ItemError]] = {}
        self._asked: dict[SeriesKey, asyncio.Future[int | ItemError]] = {}
        self._wake = asyncio.Event()
        self._business: set[int] = set()
        """Series that are to be noted as business metrics."""
        self._business_wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """Series that wait for the catalogue now."""
        return len(self._waiting) + len(self._asked)

    def start(self) -> None:
        """Begin to make calls; needs a running loop."""
        self._tasks = [
            asyncio.create_task(self._run(), name="registrar"),
            asyncio.create_task(self._note_business(), name="business metrics"),
        ]

    async def close(self) -> None:
        """Stop; who still waits is told that the catalogue is away."""
        await tasks.end(self._tasks)
        self._fail(self._asked)
        self._fail(self._waiting)

    async def register(self, keys: Sequence[SeriesKey]) -> list[int | ItemError]:
        """The fingerprint of each key, or why it was refused. Raises CatalogueAwayError after the longest wait."""
        if self.waiting + len(keys) > _MAX_WAITING:
            raise CatalogueAwayError
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcomes = [self._outcome(key, loop) for key in keys]
        self._wake.set()
        try:
            done, late = await asyncio.wait(set(outcomes), timeout=self._wait_s)
        finally:
            self._on_waited(loop.time() - began)
        if late or any(outcome.exception() for outcome in done):
            raise CatalogueAwayError
        return [outcome.result() for outcome in outcomes]

    def mark_business(self, fingerprint: int) -> bool:
        """Have the series noted in the catalogue as a business metric, in a moment: no request waits for it, because
        known series are taken while the catalogue is away. False when too many wait to be noted."""
        if len(self._business) >= _MAX_WAITING:
            return False
        self._business.add(fingerprint)
        self._business_wake.set()
        return True

    def _outcome(self, key: SeriesKey, loop: asyncio.AbstractEventLoop) -> asyncio.Future[int | ItemError]:
        if (future := self._asked.get(key) or self._waiting.get(key)) is None:
            future = self._waiting[key] = loop.create_future()
        return future

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                self._asked = {key: self._waiting[key] for key in islice(self._waiting, _PER_CALL)}
                for key in self._asked:
                    del self._waiting[key]
                await self._ask(self._asked)
                self._asked = {}

    async def _note_business(self) -> None:
        while True:
            await self._business_wake.wait()
            self._business_wake.clear()
            while self._business:
                await self._note(list(islice(self._business, _PER_CALL)))

    async def _note(self, some: list[int]) -> None:
        async for attempt in _BACKOFF.attempts(asyncio.sleep):
            try:
                await self._catalogue.mark_business(some)
            except Retryable as e:
                if attempt == 1:
                    log.warning("business metrics cannot be noted now", series=len(some), reason=str(e))
            except Exception:  # they are noted when they come again: a bug must not end the task
                log.exception("noting business metrics failed", series=len(some))
                break
            else:
                break
        self._business.difference_update(some)

    async def _ask(self, asked: dict[SeriesKey, asyncio.Future[int | ItemError]]) -> None:
        try:
            outcomes = await self._catalogue.register(list(asked))
        except Retryable as e:
            log.warning("new series cannot be registered now", series=len(asked), reason=str(e))
            self._fail(asked)
        except Exception:  # the requests get 503 and the next ones try again: a bug must not end the task
            log.exception("registering series failed", series=len(asked))
            self._fail(asked)
        else:
            for future, outcome in zip(asked.values(), outcomes, strict=True):
                if not future.done():
                    future.set_result(_verdict(outcome))

    def _fail(self, asked: dict[SeriesKey, asyncio.Future[int | ItemError]]) -> None:
        for future in asked.values():
            if not future.done():
                future.set_exception(CatalogueAwayError())
                future.exception()  # its request may have gone: nobody else would look at it
        if asked is self._waiting:
            self._waiting.clear()


def _verdict(outcome: Registered | Refused) -> int | ItemError:
    if isinstance(outcome, Registered):
        return outcome.fingerprint
    return ItemError(_REASONS[outcome.reason], "labels", outcome.detail)
