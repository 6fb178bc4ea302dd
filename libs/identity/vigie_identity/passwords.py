"""Passwords: argon2id beside the event loop, a few at a time, and the same work whether the account exists or not."""

from __future__ import annotations

import asyncio
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from secrets import token_bytes
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from vigie_runtime.errors import Busy

from vigie_identity.errors import InvalidField

T = TypeVar("T")
MIN_CHARS: Final = 12
MAX_CHARS: Final = 256
"""Hashing takes time for every character, so there is an end."""


@dataclass(frozen=True, slots=True)
class HashCost:
    """Parameters of argon2id; the default is the second recommendation of RFC 9106: 64 MiB, 3 passes, 4 lanes."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4


class Passwords:
    """Hashes and verifies in threads of its own. Each running hash takes `cost.memory_kib` of memory."""

    def __init__(self, cost: HashCost | None = None, *, at_a_time: int = 2, waiting: int = 64) -> None:
        """At most `at_a_time` hashes run and `waiting` more wait; beyond: Busy."""
        cost = cost or HashCost()
        self._hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes, type=Type.ID
        )
        self._threads = ThreadPoolExecutor(at_a_time, thread_name_prefix="argon2")
        self._room = at_a_time + waiting
        self._held = 0
        self._decoy = _decoy(cost)

    @staticmethod
    def check(password: str) -> None:
        """Raises InvalidField unless it is usable as a new password."""
        _new(password)

    async def hash(self, password: str) -> str:
        """The hash to store, with its parameters and salt in it. Raises InvalidField, Busy."""
        return await self._beside(partial(self._hasher.hash, _new(password)))

    async def rehash(self, password: str) -> str:
        """The hash of a password that was verified: also of one that is too short for a new one. Raises Busy."""
        return await self._beside(partial(self._hasher.hash, _normal(password) or ""))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password of `stored`. None, an account that does not exist, takes as long. Raises Busy."""
        return await self._beside(partial(self._verify, stored, password))

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than those of now: hash the password again."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Start no further hash."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> bool:
        given = _normal(password)
        hashed = stored if given is not None and stored is not None else self._decoy
        try:
            self._hasher.verify(hashed, given or "")
        except (VerificationError, InvalidHashError):
            return False
        return hashed is stored

    async def _beside(self, work: Callable[[], T]) -> T:
        if self._held >= self._room:
            raise Busy("passwords to check")
        self._held += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # Counted until the thread is done, also when the one who asked has gone away.
        future.add_done_callback(self._release)
        return await asyncio.shield(future)

    def _release(self, future: asyncio.Future[T]) -> None:
        self._held -= 1
        if not future.cancelled():
            future.exception()  # looked at, so that it is not reported when nobody waits any more


def _decoy(cost: HashCost) -> str:
    """The hash of a password nobody has, with the parameters of all new ones."""
    salt, digest = (b64encode(token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"


def _new(password: str) -> str:
    normal = _normal(password)
    if normal is None or len(normal) < MIN_CHARS:
        raise InvalidField("password", f"must have {MIN_CHARS} to {MAX_CHARS} characters")
    return normal


def _normal(password: str) -> str | None:
    """The same characters however they were typed; None for what can be no password."""
    if len(password) > MAX_CHARS:
        return None
    normal = unicodedata.normalize("NFC", password)
    try:
        normal.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return None
    return normal
