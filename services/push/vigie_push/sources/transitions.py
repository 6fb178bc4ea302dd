"""Every step of every alert, as alerting announces it once it is stored."""

from __future__ import annotations

from typing import Final

import msgspec
from vigie_storage.alerts.live import LiveTransitions, transitions_channel

from vigie_push.sources.base import Sink
from vigie_push.sources.redis_link import RedisLink, RedisSource, json_source

NAME: Final = "transitions"
_decoder: Final = msgspec.json.Decoder(LiveTransitions)


def source(link: RedisLink, sink: Sink) -> RedisSource:
    """The source `transitions`: its records are `LiveTransitions`."""
    return json_source(NAME, link, sink, transitions_channel, _decoder)
