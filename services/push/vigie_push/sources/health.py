"""Every check of every target, as its prober announces it once its state is stored."""

from __future__ import annotations

from typing import Final

import msgspec
from vigie_storage.health.live import LiveHealth, channel

from vigie_push.sources.base import Sink
from vigie_push.sources.redis_link import RedisLink, RedisSource, json_source

NAME: Final = "health"
_decoder: Final = msgspec.json.Decoder(LiveHealth)


def source(link: RedisLink, sink: Sink) -> RedisSource:
    """The source `health`: its records are `LiveHealth`."""
    return json_source(NAME, link, sink, channel, _decoder)
