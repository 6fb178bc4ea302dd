"""What can be set from the environment, beside what every service has (`vigie_runtime.settings`)."""

from __future__ import annotations

from pydantic import Field
from vigie_runtime.settings import CommandsSettings, ReportsSettings
from vigie_web.access_control import AccessSettings
from vigie_web.websocket import WebSocketLimits


class PushSettings(ReportsSettings, CommandsSettings, AccessSettings):
    """Read by `vigie_runtime.settings.load`."""

    push_host: str = Field(default="0.0.0.0", description="address to listen on")
    push_port: int = Field(default=8080, ge=0, le=65535, description="port to listen on")
    push_connections: int = Field(default=20_000, ge=1, le=1_000_000, description="live connections of one process")
    push_tenant_connections: int = Field(
        default=10_000, ge=1, le=1_000_000, description="live connections of one tenant to one process"
    )
    push_user_connections: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="live connections of one user or API key to one process; of one address without a credential. "
        "Callers on this machine without a credential are not counted",
    )
    push_subscriptions: int = Field(default=100, ge=1, le=10_000, description="subscriptions of one live connection")
    push_tenant_topics: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="topics of one tenant that one process follows: what many subscribe to with the same parameters "
        "and rights is one",
    )
    push_message_bytes: int = Field(
        default=64 * 1024, ge=1_024, le=16 * 1024 * 1024, description="size of a message that a live client may send"
    )
    push_messages_per_s: int = Field(
        default=50, ge=1, le=100_000, description="messages that a live client may send in a second, pings among them"
    )
    push_buffer: int = Field(
        default=1_000, ge=10, le=100_000, description="messages that wait for a live client which reads slowly"
    )
    push_buffer_bytes: int = Field(
        default=1024 * 1024, ge=64 * 1024, le=256 * 1024 * 1024, description="bytes that wait for such a client"
    )
    push_heartbeat_s: float = Field(
        default=25.0,
        gt=0,
        le=300,
        description="between two pings; a live client that is silent for twice as long is dead",
    )
    push_write_timeout_s: float = Field(
        default=20.0, gt=0, le=300, description="a live client that reads nothing for so long is disconnected"
    )
    push_auth_timeout_s: float = Field(
        default=10.0, gt=0, le=300, description="time for the credential of a live client that connects without one"
    )
    push_recheck_s: float = Field(
        default=10.0, gt=0, le=300, description="between two looks at whether a live client is still allowed"
    )
    websocket_enabled: bool = Field(
        default=True, validation_alias="WEBSOCKET_ENABLED", description="whether WebSockets and Socket.IO are served"
    )
    websocket_broadcast_interval: int = Field(
        default=5_000,
        ge=250,
        le=3_600_000,
        validation_alias="WEBSOCKET_BROADCAST_INTERVAL",
        description="milliseconds between two summaries (`system`, `application`, `business`, `summary`)",
    )
    push_stream_s: float = Field(
        default=3_600.0, gt=0, le=86_400, description="after so long a stream of server-sent events ends, to be resumed"
    )

    @property
    def websockets(self) -> WebSocketLimits:
        """What one WebSocket may do."""
        return WebSocketLimits(
            self.push_message_bytes, self.push_messages_per_s, self.push_heartbeat_s, self.push_write_timeout_s
        )
