"""The consumer of the commands topic: stores what agents made of their commands. The first result of one stays, so one
that comes again changes nothing. The commands themselves are api's, which has stored them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vigie_contracts.commands import Command
from vigie_contracts.days import END_MS
from vigie_contracts.series import InvalidSeriesError, validate_tenant
from vigie_contracts.tenants import TenantId
from vigie_contracts.topics import COMMANDS
from vigie_runtime.bus import decoding, events
from vigie_runtime.clients import KafkaRecord
from vigie_runtime.errors import DeadReason, InvalidMessage
from vigie_storage.commands import Commands

from vigie_aggregator.resources import Resources

_decoded: Final = decoding.json(Command)


def consumer(resources: Resources) -> events.Batches[Command]:
    """The declaration, for the registry."""
    return stored_in(Commands(resources.database))


def stored_in(store: Commands) -> events.Batches[Command]:
    """The declaration with this store."""

    async def stored(commands: Sequence[Command]) -> None:
        for one in commands:
            if one.result is not None:
                await store.end(TenantId(one.tenant), one.id, one.host, one.result)

    return events.batches(COMMANDS, read, stored, prepare=store.ensure_indexes)


def read(record: KafkaRecord) -> Command:
    """Raises InvalidMessage."""
    command = _decoded(record)
    try:
        validate_tenant(command.tenant)
    except InvalidSeriesError as e:
        raise InvalidMessage(DeadReason.INVALID, str(e)) from e
    if command.result is not None and not 0 <= command.result.at < END_MS:
        raise InvalidMessage(DeadReason.INVALID, "result.at: must be in the years 1970 to 9998, in milliseconds")
    return command
