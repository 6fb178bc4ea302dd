"""What can be set from the environment, beside what every service has (`vigie_runtime.settings`)."""

from __future__ import annotations

from pydantic import Field
from vigie_contracts.topics import RULES
from vigie_runtime.settings import SamplesSettings

from vigie_alerting.channels.settings import ChannelSettings


class AlertingSettings(ChannelSettings, SamplesSettings):
    """Read by `vigie_runtime.settings.load`."""

    rules_topic: str = Field(default=RULES.name, min_length=1, max_length=249, description="topic of the rules")
    alerting_group: str = Field(
        default="vigie-alerting", min_length=1, description="processes of one group share the rules"
    )
