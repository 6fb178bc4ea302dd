"""How many bytes of request bodies the gateway holds at once, whoever sends them."""

from __future__ import annotations

from vigie_contracts import limits

from vigie_ingest.errors import BufferFullError


class Budget:
    """A counter with a limit. Without it, many slow or strongly compressed bodies would add up."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Raises BufferFullError, having taken nothing, when it would be too much."""
        if self.held + size > self.limit:
            raise BufferFullError
        self.held += size

    def give(self, size: int) -> None:
        """Back what was taken."""
        self.held -= size


class Part(Budget):
    """Of another budget, with a limit of its own: what it holds is held there too."""

    def __init__(self, limit: int, whole: Budget) -> None:
        super().__init__(limit)
        self._whole = whole

    # Both count by themselves: this runs for every request, and calls would be half of what it costs.
    def take(self, size: int) -> None:
        whole = self._whole
        if self.held + size > self.limit or whole.held + size > whole.limit:
            raise BufferFullError
        self.held += size
        whole.held += size

    def give(self, size: int) -> None:
        self.held -= size
        self._whole.held -= size


class Bodies(Budget):
    """The budget of all senders, and the part of it for callers without a credential: they cannot keep out the others.

    The part is a quarter, or one body of the greatest length where that is more.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.strangers = Part(max(limit // 4, limits.MAX_DECOMPRESSED_BYTES), self)
