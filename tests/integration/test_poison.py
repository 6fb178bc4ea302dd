"""Records that nobody can read: set aside whole, with the reason, while everything around them is counted."""

import os

import pytest
from vigie_contracts.topics import DEAD, SAMPLES
from vigie_runtime.bus import dead_reading

from tests.chaos import stored
from tests.chaos.load import Plan, Series
from tests.integration import bus
from tests.integration.world import DEADLINE_S, World
from tests.kit import eventually

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

POISON = {
    "no bytes at all": b"",
    "no value": None,
    "random bytes": os.urandom(300),
    "a version from the future": b"\x02" + os.urandom(50),
    "JSON": b'{"name": "x", "value": 1}',
    "a batch cut short": b"\x01" + os.urandom(3),
}


@pytest.mark.parametrize("kind", POISON)
async def test_unreadable_record_is_set_aside_whole_and_its_neighbours_are_counted(calm: World, kind: str) -> None:
    ledger, kafka = calm.ledger("poison"), calm.addresses.kafka
    plan = Plan(Series(ledger, 60), 3)
    dead_before = await stored.ends(kafka, DEAD.name)
    async with calm.sender(ledger) as sender:
        for _ in range(5):
            await sender.deliver(plan.request())
        mine = [("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"), ("x-mine", b"\xff\x00")]
        offsets = {partition: await bus.put(kafka, partition, POISON[kind], mine) for partition in range(2)}
        for _ in range(5):
            await sender.deliver(plan.request())
    await calm.exact(ledger)

    async def set_aside() -> bool:
        found = await bus.records(kafka, DEAD.name, dead_before)
        assert len(found) >= len(offsets)
        return True

    await eventually(set_aside, DEADLINE_S)
    found = await bus.records(kafka, DEAD.name, dead_before)
    assert [record.value or b"" for record in found] == [POISON[kind] or b""] * 2
    places = set()
    for record in found:
        letter = dead_reading.parse(record)  # as `vigie dead list` and `vigie dead replay` see it
        assert letter is not None, record.headers
        assert letter.topic == SAMPLES.name
        assert letter.reason
        assert letter.service.startswith("aggregator")
        assert list(letter.headers) == mine
        places.add((letter.partition, letter.offset))
    assert places == set(offsets.items())
