"""Where a client stands in what is stored one after the other: steps of alerts, states of targets.

Steps are stored in transactions, of which a later one may end first: so a position is a time, everything that was
stored OVERLAP_MS before it or earlier was seen, and of what was stored since it says which.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, Self

from vigie_push.channels import cursors
from vigie_push.channels.base import Cursor
from vigie_push.errors import InvalidCursor

OVERLAP_MS: Final = 15_000
"""A step can be read so long after the time with which it was stored, at most: a transaction has five seconds, and
clocks differ."""
MAX_SEEN: Final = 110
"""Steps of the overlap that a cursor names, so that it stays below a thousand characters. When more happens within
OVERLAP_MS, the first of them may be told twice to who comes back."""
_DIGEST_BYTES: Final = 6
_TIME_BYTES: Final = 8


class Position:
    """`at_ms` and the steps that were seen since OVERLAP_MS before it."""

    def __init__(
        self, at_ms: int, seen: Iterable[tuple[bytes, int]] = (), form: cursors.Form = cursors.Form.ALERTS
    ) -> None:
        self.at_ms, self._form = at_ms, form
        self._seen: OrderedDict[bytes, int] = OrderedDict(seen)
        """By digest, when it was stored; in the order in which they were seen."""
        self._cursor: Cursor | None = None

    @property
    def since_ms(self) -> int:
        """Everything that was stored before it was seen."""
        return self.at_ms - OVERLAP_MS

    def __contains__(self, step: str) -> bool:
        return _digest(step) in self._seen

    def copy(self) -> Self:
        return type(self)(self.at_ms, self._seen.items(), self._form)

    def add(self, step: str, stored_ms: int) -> None:
        """The step with this id was seen."""
        self.at_ms = max(self.at_ms, stored_ms)
        self._seen[_digest(step)] = stored_ms
        self._forget()
        self._cursor = None

    def cursor(self) -> Cursor:
        """It, as clients get it."""
        if self._cursor is None:
            newest = list(self._seen)[-MAX_SEEN:]
            data = b"".join((self.at_ms.to_bytes(_TIME_BYTES, "big"), *newest))
            self._cursor = cursors.encode(self._form, data)
        return self._cursor

    @classmethod
    def of(cls, cursor: Cursor | None, form: cursors.Form = cursors.Form.ALERTS) -> Self | None:
        """What `cursor` gave; None for none. Raises InvalidCursor."""
        data = cursors.decode(form, cursor)
        if data is None:
            return None
        time, rest = data[:_TIME_BYTES], data[_TIME_BYTES:]
        at_ms = int.from_bytes(time, "big")
        if len(time) < _TIME_BYTES or len(rest) % _DIGEST_BYTES or at_ms > cursors.MAX_TIME_MS:
            raise InvalidCursor
        digests = (rest[start : start + _DIGEST_BYTES] for start in range(0, len(rest), _DIGEST_BYTES))
        return cls(at_ms, ((digest, at_ms) for digest in digests), form)

    def _forget(self) -> None:
        while self._seen and next(iter(self._seen.values())) < self.since_ms:
            self._seen.popitem(last=False)


def _digest(step: str) -> bytes:
    return blake2b(step.encode(), digest_size=_DIGEST_BYTES).digest()
