"""A service without limits, for tests that are about something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any


class Free:
    """In the place of `RateLimits`, and of the charges of its requests."""

    def open(self, _origin: object) -> Free:
        return self

    async def admit(self, _principal: object, _tenant: object) -> None: ...

    async def refused(self, _error: object) -> None: ...

    def headers(self) -> list[tuple[bytes, bytes]]:
        return []


def as_caller(app: Any, authenticator: object) -> None:
    """Let it say who asks the running app, without limits."""
    state = app.state.service
    access = replace(state.resources.access, authenticator=authenticator, rates=Free())
    state.resources = replace(state.resources, access=access)
