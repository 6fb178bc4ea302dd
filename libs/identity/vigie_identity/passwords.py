"""Passwords: argon2id beside the event loop, a few at a time, and the same work whether the account exists or not.

A new one must not be easy to guess: not one that is often used, nor like it (zxcvbn), nor the account's own name. That
is judged in a thread of its own, so that whoever has one judged keeps no login waiting.
"""

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
from vigie_identity.names import name_key

T = TypeVar("T")
MIN_CHARS: Final = 12
MAX_CHARS: Final = 256
"""Hashing takes time for every character, so there is an end."""
_JUDGED_CHARS: Final = 24
_JUDGED_SIGNS: Final = 10
"""Different ones that may stand for a letter, as 4 for a: judging tries what each combination may mean, so it takes a
tenth of a second at worst for these, in which Python does little else, and up to twice that for each further one."""
_MAX_WAITING: Final = 64
"""For a thread, beyond those that have one."""
_MIN_SCORE: Final = 2
"""Of zxcvbn's 0 to 4: a million guesses."""
_MIN_NAME_CHARS: Final = 3
_MIN_REST_CHARS: Final = 8
"""Of a password without the account's name in it."""


@dataclass(frozen=True, slots=True)
class HashCost:
    """Parameters of argon2id; the default is the second recommendation of RFC 9106: 64 MiB, 3 passes, 4 lanes."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4


class Passwords:
    """Hashes and verifies in threads of its own. Each running hash takes `cost.memory_kib` of memory."""

    def __init__(self, cost: HashCost | None = None, *, at_a_time: int = 2, waiting: int = _MAX_WAITING) -> None:
        """At most `at_a_time` hashes run and `waiting` more wait; beyond: Busy. New passwords are judged one at a time,
        and as many wait."""
        cost = cost or HashCost()
        self._hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes, type=Type.ID
        )
        self._hashes = _Threads("argon2", at_a_time, waiting)
        self._judge = _Threads("zxcvbn", 1, waiting)
        self._decoy = _decoy(cost)

    async def check(self, password: str, name: str) -> None:
        """Raises InvalidField unless it is usable as a new password of the account of that name; Busy."""
        _long_enough(password)
        await self._judge.run(partial(new_password, password, name))

    async def hash(self, password: str, name: str) -> str:
        """The hash to store, with its parameters and salt in it, for the account of that name. Raises InvalidField,
        Busy."""
        _long_enough(password)
        normal = await self._judge.run(partial(new_password, password, name))
        return await self._hashes.run(partial(self._hasher.hash, normal))

    async def rehash(self, password: str) -> str:
        """The hash of a password that was verified: also of one that is too short for a new one. Raises Busy."""
        return await self._hashes.run(partial(self._hasher.hash, _normal(password) or ""))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password of `stored`. None, an account that does not exist, takes as long. Raises Busy."""
        return await self._hashes.run(partial(self._verify, stored, password))

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than those of now: hash the password again."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Start no further work."""
        self._hashes.close()
        self._judge.close()

    def _verify(self, stored: str | None, password: str) -> bool:
        given = _normal(password)
        hashed = stored if given is not None and stored is not None else self._decoy
        try:
            self._hasher.verify(hashed, given or "")
        except (VerificationError, InvalidHashError):
            return False
        return hashed is stored


class _Threads:
    """Work beside the event loop: so much at a time, and so much more that waits."""

    def __init__(self, name: str, at_a_time: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(at_a_time, thread_name_prefix=name)
        self.room = at_a_time + waiting
        self.held = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What the work gives, or raises; Busy when too much waits already."""
        if self.held >= self.room:
            raise Busy("passwords to check")
        self.held += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        # Counted until the thread is done, also when the one who asked has gone away.
        future.add_done_callback(self._release)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Start nothing further."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _release(self, future: asyncio.Future[T]) -> None:
        self.held -= 1
        if not future.cancelled():
            future.exception()  # looked at, so that it is not reported when nobody waits any more


def _decoy(cost: HashCost) -> str:
    """The hash of a password nobody has, with the parameters of all new ones."""
    salt, digest = (b64encode(token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"


def new_password(password: str, name: str) -> str:
    """The password, normalised, as a new one of the account of that name. Raises InvalidField. It takes a while."""
    from zxcvbn import zxcvbn  # 10 MB, for those few processes that judge passwords

    normal = _long_enough(password)
    own, rest = name_key(name), name_key(normal)
    if len(own) >= _MIN_NAME_CHARS and len(rest.replace(own, "")) < _MIN_REST_CHARS:
        raise InvalidField("password", "is hardly more than the name of the account")
    if zxcvbn(_plain(normal[:_JUDGED_CHARS]), [own])["score"] < _MIN_SCORE:
        raise InvalidField(
            "password", "is easy to guess: often used, or like one that is; take several unrelated words"
        )
    return normal


def _plain(text: str) -> str:
    """The text with so few different signs that judging it ends soon; the others are the letters they stand for."""
    from zxcvbn.matching import L33T_TABLE

    letters = {sign: letter for letter, signs in L33T_TABLE.items() for sign in signs}
    found = dict.fromkeys(char for char in text if char in letters)
    return text.translate(str.maketrans({sign: letters[sign] for sign in [*found][_JUDGED_SIGNS:]}))


def _long_enough(password: str) -> str:
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
