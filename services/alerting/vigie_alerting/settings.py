"""What can be set from the environment, beside what every service has (`vigie_runtime.settings`)."""

from __future__ import annotations

from vigie_alerting.channels.settings import ChannelSettings


class AlertingSettings(ChannelSettings):
    """Read by `vigie_runtime.settings.load`."""
