"""New values of series, from the aggregators' live messages: those of a moment together.

Each of the partitions commits every second or two, at times of its own; clients are told at most every TICK_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from vigie_contracts.latest import live_channel
from vigie_contracts.live import LiveMessage
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_runtime.errors import reason_of

from vigie_push.sources.base import Sink
from vigie_push.sources.redis_link import Handler, RedisLink, RedisSource

log = logging.get(__name__)

NAME: Final = "values"
TICK_S: Final = 0.25
MAX_TOGETHER: Final = 64
"""Messages that wait for the tick: more are told at once."""
_decoder: Final = msgspec.msgpack.Decoder(LiveMessage)


@dataclass(frozen=True, slots=True)
class Values:
    """Columns of one length, a row for each series that changed, by fingerprint."""

    fingerprints: npt.NDArray[np.uint64]
    timestamps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


class _Gathering:
    """Of one tenant."""

    def __init__(self, tenant: TenantId, sink: Sink) -> None:
        self._tenant, self._sink = tenant, sink
        self._messages: list[LiveMessage] = []

    def take(self, data: bytes) -> None:
        try:
            message = _decoder.decode(data)
        except msgspec.MsgspecError as e:
            log.warning("a live message cannot be read", reason=reason_of(e))
            return
        if not self._messages:
            asyncio.get_running_loop().call_later(TICK_S, self._tell)
        self._messages.append(message)
        if len(self._messages) >= MAX_TOGETHER:
            self._tell()

    def _tell(self) -> None:
        messages, self._messages = self._messages, []
        if messages:
            self._sink.publish(NAME, self._tenant, together(messages))


def together(messages: Sequence[LiveMessage]) -> Values:
    """Of one tenant, in the order in which they came: of each series the last row. What does not fit together is left
    out."""
    good = [message for message in messages if _fits(message)]
    fingerprints = _column([message.fingerprints for message in good], "<u8")
    order = np.argsort(fingerprints, kind="stable")
    ordered = fingerprints[order]
    last = order[np.append(ordered[1:] != ordered[:-1], True)[: len(order)]]
    return Values(
        fingerprints[last],
        _column([message.ts for message in good], "<i8")[last],
        _column([message.values for message in good], "<f8")[last],
        _column([message.sums for message in good], "<f8")[last],
        _column([message.counts for message in good], "<i8")[last],
    )


def _fits(message: LiveMessage) -> bool:
    size = len(message.fingerprints)
    columns = (message.ts, message.values, message.sums, message.counts)
    return size % 8 == 0 and all(len(column) == size for column in columns)


def _column(parts: list[bytes], dtype: str) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join(parts), dtype)


def source(link: RedisLink, sink: Sink) -> RedisSource:
    """The source `values`: its records are `Values`."""

    def handler(tenant: TenantId) -> Handler:
        return _Gathering(tenant, sink).take

    return RedisSource(NAME, link, sink, live_channel, handler)
