"""What can be set from the environment, beside what every service has (`vigie_runtime.settings`)."""

from __future__ import annotations

from pydantic import Field
from vigie_contracts.topics import RULES
from vigie_web.access_control import AccessSettings

from vigie_alerting.channels.settings import ChannelSettings


class AlertingSettings(ChannelSettings, AccessSettings):
    """Read by `vigie_runtime.settings.load`."""

    alerting_host: str = Field(default="0.0.0.0", description="address to listen on")
    alerting_port: int = Field(default=8080, ge=0, le=65535, description="port to listen on")
    rules_topic: str = Field(default=RULES.name, min_length=1, max_length=249, description="topic of the rules")
    alert_resolved_days: float = Field(
        default=7.0, gt=0, le=400, description="days for which a resolved alert is listed"
    )
    alerting_instance: str | None = Field(
        default=None,
        min_length=1,
        max_length=249,
        description="name that this process keeps over restarts, and no other of its group has: it has its rules back "
        "at once after a crash, and others get them only after the session time-out; unset: others get them at once "
        "after a stop, and after a crash everybody waits for the session time-out",
    )
    alerting_canary: bool = Field(
        default=True,
        description="whether an alert of no tenant goes through all of alerting each minute, to tell how late alerts "
        "are told; the default tenant gets the rule that watches this",
    )
    alerting_group: str = Field(
        default="vigie-alerting", min_length=1, description="processes of one group share the rules"
    )
