"""Which results of commands are stored, and which records nobody can store."""

from __future__ import annotations

from typing import Any

import pytest
from vigie_aggregator.commands.consumer import read, stored_in
from vigie_contracts.commands import Command, CommandResult, Outcome
from vigie_contracts.payloads import Payload, payloads
from vigie_contracts.topics import COMMANDS
from vigie_runtime.clients import ConsumerRecord
from vigie_runtime.errors import InvalidMessage

ID = "0123456789abcdef0123456789abcdef"


def record(value: bytes | None) -> Any:
    return ConsumerRecord("t", 3, 0, 1_764_000_001_000, 0, None, value, None, -1, len(value or b""), ())


@pytest.mark.parametrize("payload", payloads(COMMANDS.name), ids=lambda p: p.name)
def test_every_command_ever_written_is_read_and_every_bad_one_is_poison(payload: Payload) -> None:
    if payload.good:
        assert read(record(payload.data)).id == ID
        return
    with pytest.raises(InvalidMessage):
        read(record(payload.data))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"\xff",
        b'{"id":"%b","tenant":"a/b","host":"web-1"}' % ID.encode(),
        b'{"id":"%b","tenant":"acme","host":"web-1","result":{"outcome":"done","at":-1}}' % ID.encode(),
    ],
)
def test_what_cannot_be_stored_is_poison(value: bytes | None) -> None:
    with pytest.raises(InvalidMessage):
        read(record(value))


async def test_results_are_stored_and_commands_are_left_to_who_gave_them() -> None:
    ended: list[tuple[str, str, str, CommandResult]] = []

    class Store:
        async def ensure_indexes(self) -> None: ...

        async def end(self, tenant: str, id_: str, host: str, result: CommandResult) -> bool:
            ended.append((tenant, id_, host, result))
            return True

    store: Any = Store()
    result = CommandResult(Outcome.DONE, at=1)
    asked, answered = (Command(id=ID, tenant="acme", host="web-1", result=one) for one in (None, result))
    await stored_in(store).store([asked, answered])
    assert ended == [("acme", ID, "web-1", result)]
