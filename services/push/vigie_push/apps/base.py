"""Where the `metrics` messages of clients go, whatever transport they came by."""

from __future__ import annotations

from typing import Protocol

from vigie_push.errors import NotServed
from vigie_push.messages import Ack, Metrics
from vigie_push.sessions import Session


class AppMetrics(Protocol):
    """Takes what apps measured."""

    async def take(self, session: Session, message: Metrics) -> Ack:
        """Store it durably, and return the answer. Several may be under way for one session; they are begun in the
        order in which they came, and keep it by what they do before they first wait. Raises ProblemError."""
        ...


class NoAppMetrics:
    """Takes nothing."""

    async def take(self, session: Session, message: Metrics) -> Ack:
        """See `AppMetrics`."""
        raise NotServed("metrics of apps are not taken here yet")
