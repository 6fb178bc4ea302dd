"""Reads the JSON value of a record into its message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from vigie_runtime.bus.unreadable import HEADER
from vigie_runtime.errors import DeadReason, InvalidMessage


class Record(Protocol):
    """What is used of aiokafka's ConsumerRecord."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Any: ...


class Versioned(Protocol):
    version: int


M = TypeVar("M", bound=Versioned)


def json(message: type[M], versions: frozenset[int] = frozenset({1})) -> Callable[[Record], M]:
    """A reader of records whose value is `message`, a msgspec.Struct, as JSON. It raises InvalidMessage."""
    decode = msgspec.json.Decoder(message).decode

    def read(record: Record) -> M:
        for name, value in record.headers or ():
            if name == HEADER:
                raise InvalidMessage(DeadReason.UNDECODABLE, (value or b"").decode(errors="replace"))
        try:
            decoded = decode(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
            raise InvalidMessage(DeadReason.UNDECODABLE, str(e)) from e
        if decoded.version not in versions:
            raise InvalidMessage(DeadReason.UNDECODABLE, f"version {decoded.version} is not understood")
        return decoded

    return read
