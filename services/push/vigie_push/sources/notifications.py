"""What channels of the type `live` are told: alerting publishes it as it sends to other channels."""

from __future__ import annotations

from typing import Final

import msgspec
from vigie_storage.alerts.live import channel

from vigie_push.channels.alert_messages import Notification
from vigie_push.sources.base import Sink
from vigie_push.sources.redis_link import RedisLink, RedisSource, json_source

NAME: Final = "notifications"
_decoder: Final = msgspec.json.Decoder(Notification)


def source(link: RedisLink, sink: Sink) -> RedisSource:
    """The source `notifications`: its records are `Notification`s."""
    return json_source(NAME, link, sink, channel, _decoder)
