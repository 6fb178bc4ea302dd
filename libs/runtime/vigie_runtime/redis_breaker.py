"""Asking Redis, which may be away: a short wait, and after a failure a pause in which nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from vigie_runtime import logging
from vigie_runtime.clock import Clock
from vigie_runtime.errors import reason_of

log = logging.get(__name__)

T = TypeVar("T")
WAIT_S: Final = 0.25
PAUSE_S: Final = 1.0


class Away(Exception):  # noqa: N818 - what it is
    """Redis does not answer, or did not a moment ago."""


class RedisBreaker:
    """For one Redis client."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = float("-inf")

    async def ask(self, question: Callable[[], Awaitable[T]], *, always: bool = False) -> T:
        """The answer. Raises Away; at once within the pause after a failure, unless `always`."""
        if not always and self._clock.monotonic() < self._until:
            raise Away
        try:
            async with asyncio.timeout(WAIT_S):
                return await question()
        except (RedisError, OSError, TimeoutError) as e:
            self._until = self._clock.monotonic() + PAUSE_S
            log.warning("Redis does not answer: identity goes on without it", reason=reason_of(e))
            raise Away from e
