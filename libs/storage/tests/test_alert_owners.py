"""What a process of alerting that was killed left open does not hold up who has its rules now."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from pymongo import AsyncMongoClient
from vigie_contracts.alerts import Transition
from vigie_contracts.payloads import payloads
from vigie_runtime.clock import SystemClock
from vigie_storage.alerts.checkpoints import Checkpoints
from vigie_storage.alerts.ledger import Ledger
from vigie_storage.partitions.owners import Owners

pytestmark = pytest.mark.connected


@pytest.mark.parametrize(
    "which", [lambda dead, engine: (dead,), lambda dead, engine: (engine, [dead])], ids=["the engine's", "another"]
)
async def test_transitions_that_a_killed_owner_left_open_hold_nobody_up(
    database: Any, mongo_uri: str, which: Callable[[Any, Any], tuple[Any, ...]]
) -> None:
    [firing] = [one for one in payloads("vigie.alerts.v1") if one.name == "v2-firing.json"]
    transition = msgspec.json.decode(firing.data, type=Transition)
    async with (
        AsyncMongoClient(mongo_uri) as other,
        other.start_session() as dead,
        other.start_session() as engine,
        database.client.start_session() as session,
    ):
        killed = Ledger(other[database.name], dead)
        await killed.prepare(timedelta(days=1))
        await Owners(other[database.name], "rules", SystemClock()).take_over(0, *which(dead, engine))
        await dead.start_transaction()
        await killed.write([transition], [], dead)  # and here it is killed

        take_over = partial(Owners(database, "rules", SystemClock()).take_over, session=session)
        begun = time.monotonic()
        assert await Checkpoints(database, "rules", take_over).of(0) is None
        await Ledger(database, session).store([transition], [])
        assert time.monotonic() - begun < 5, "MongoDB itself would end it after a minute"
