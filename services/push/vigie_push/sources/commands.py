"""What agents are asked to do, from the end of the log of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vigie_contracts.commands import Command
from vigie_runtime.bus import decoding
from vigie_runtime.clients import AIOKafkaConsumer, KafkaRecord
from vigie_runtime.clock import Clock
from vigie_runtime.errors import InvalidMessage

from vigie_push.sources.base import Sink
from vigie_push.sources.reports_tail import ReportsTail

NAME: Final = "commands"
_read: Final = decoding.json(Command)


def source(
    consumer: Callable[[], AIOKafkaConsumer], topic: str, partitions: int, *, sink: Sink, clock: Clock
) -> ReportsTail:
    """A source: its records are `Command`s, results among them."""
    return ReportsTail(consumer, topic, partitions, sink=sink, clock=clock, name=NAME, read=read)


def read(record: KafkaRecord) -> Command | None:
    """None for what nobody can read: the aggregator sets it aside."""
    try:
        return _read(record)
    except InvalidMessage:
        return None
