"""Every step of every alert, as alerting announces it once it is stored."""

from __future__ import annotations

from typing import Final

import msgspec
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.errors import reason_of
from vigie_storage.alerts.live import LiveTransitions, transitions_channel

from vigie_push.sources.base import Sink
from vigie_push.sources.redis_link import Handler, RedisLink, RedisSource

log = logging.get(__name__)

NAME: Final = "transitions"
_decoder: Final = msgspec.json.Decoder(LiveTransitions)


def source(link: RedisLink, sink: Sink) -> RedisSource:
    """The source `transitions`: its records are `LiveTransitions`."""

    def handler(tenant: TenantId) -> Handler:
        def take(data: bytes) -> None:
            try:
                record = _decoder.decode(data)
            except msgspec.MsgspecError as e:
                log.warning("a live message of alerts cannot be read", reason=reason_of(e))
                return
            sink.publish(NAME, tenant, record)

        return take

    return RedisSource(NAME, link, sink, transitions_channel, handler)
