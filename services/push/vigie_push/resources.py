"""The connected resources of push."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vigie_web.health import Check
from vigie_web.state import AccessControl

from vigie_push.apps.intake import AppIntake
from vigie_push.hub import Hub
from vigie_push.results import ResultIntake
from vigie_push.sessions import Sessions
from vigie_push.socketio.transport import SocketTransport


@dataclass(frozen=True, slots=True)
class Resources:
    """What transports work with."""

    access: AccessControl
    checks: Sequence[Check]
    hub: Hub
    sessions: Sessions
    app_metrics: AppIntake
    results: ResultIntake
    """What agents made of their commands."""
    socket_io: SocketTransport | None = None
    """None where WebSockets are switched off."""
