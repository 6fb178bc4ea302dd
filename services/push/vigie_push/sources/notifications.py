"""What channels of the type `live` are told: alerting publishes it as it sends to other channels."""

from __future__ import annotations

from typing import Final

import msgspec
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.errors import reason_of
from vigie_storage.alerts.live import channel

from vigie_push.channels.alert_messages import Notification
from vigie_push.sources.base import Sink
from vigie_push.sources.redis_link import Handler, RedisLink, RedisSource

log = logging.get(__name__)

NAME: Final = "notifications"
_decoder: Final = msgspec.json.Decoder(Notification)


def source(link: RedisLink, sink: Sink) -> RedisSource:
    """The source `notifications`: its records are `Notification`s."""

    def handler(tenant: TenantId) -> Handler:
        def take(data: bytes) -> None:
            try:
                record = _decoder.decode(data)
            except msgspec.MsgspecError as e:
                log.warning("a live notification cannot be read", reason=reason_of(e))
                return
            sink.publish(NAME, tenant, record)

        return take

    return RedisSource(NAME, link, sink, channel, handler)
