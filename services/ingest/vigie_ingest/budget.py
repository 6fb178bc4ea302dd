"""How many bytes of request bodies the gateway holds at once, whoever sends them."""

from __future__ import annotations

from vigie_ingest.errors import BufferFullError


class Budget:
    """A counter with a limit. Without it, many slow or strongly compressed bodies would add up."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Raises BufferFullError, having taken nothing, when it would be too much."""
        if self.held + size > self._limit:
            raise BufferFullError
        self.held += size

    def give(self, size: int) -> None:
        """Back what was taken."""
        self.held -= size
