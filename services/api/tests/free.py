"""A service without limits, for tests that are about something else."""

from __future__ import annotations


class Free:
    """In the place of `RateLimits`, and of the charges of its requests."""

    def open(self, _origin: object) -> Free:
        return self

    async def admit(self, _principal: object, _tenant: object) -> None: ...

    async def refused(self, _error: object) -> None: ...

    def headers(self) -> list[tuple[bytes, bytes]]:
        return []
