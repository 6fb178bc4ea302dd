"""How many bytes of request bodies the gateway holds at once, whoever sends them."""

from __future__ import annotations

from vigie_contracts import limits

from vigie_ingest.errors import BufferFullError


class Budget:
    """A counter with a limit. Without it, many slow or strongly compressed bodies would add up.

    A part of another budget has a limit of its own, and what it holds is held there too.
    """

    def __init__(self, limit: int, whole: Budget | None = None) -> None:
        self._limit = limit
        self._whole = whole
        self.held = 0

    def take(self, size: int) -> None:
        """Raises BufferFullError, having taken nothing, when it would be too much."""
        if self.held + size > self._limit:
            raise BufferFullError
        if self._whole is not None:
            self._whole.take(size)
        self.held += size

    def give(self, size: int) -> None:
        """Back what was taken."""
        if self._whole is not None:
            self._whole.give(size)
        self.held -= size


class Bodies(Budget):
    """The budget of all senders, and the part of it for callers without a credential: they cannot keep out the others.

    The part is a quarter, or one body of the greatest length where that is more.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.strangers = Budget(max(limit // 4, limits.MAX_DECOMPRESSED_BYTES), self)
