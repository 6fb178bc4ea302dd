"""Reads the JSON value of a record into its message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from vigie_runtime.bus.unreadable import HEADER
from vigie_runtime.clients import KafkaRecord
from vigie_runtime.errors import DeadReason, InvalidMessage

M = TypeVar("M", bound=msgspec.Struct)


def json(message: type[M], versions: frozenset[int] = frozenset({1})) -> Callable[[KafkaRecord], M]:
    """A reader of records whose value is `message`, a msgspec.Struct, as JSON. It raises InvalidMessage, also for a
    `version` that is not among `versions`."""
    decode = msgspec.json.Decoder(message).decode

    def read(record: KafkaRecord) -> M:
        for name, value in record.headers or ():
            if name == HEADER:
                raise InvalidMessage(DeadReason.UNDECODABLE, (value or b"").decode(errors="replace"))
        try:
            decoded = decode(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
            raise InvalidMessage(DeadReason.UNDECODABLE, str(e)) from e
        version = getattr(decoded, "version", 1)
        if version not in versions:
            raise InvalidMessage(DeadReason.UNDECODABLE, f"version {version} is not understood")
        return decoded

    return read
