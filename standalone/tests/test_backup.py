"""What a backup does with the log of Kafka: it is written down, read on from, and says what the documents say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from vigie_standalone.backup import log, records
from vigie_standalone.backup.connecting import settings
from vigie_standalone.backup.manifest import BackupError, read
from vigie_standalone.backup.records import DamagedRecordsError, SavedRecord
from vigie_standalone.embedded.servers import Server, Servers, variables

from standalone.tests.test_dead import make_topics
from tests.kit.kafka_login import aiokafka_login

RECORDS = st.builds(
    SavedRecord,
    st.integers(0, 1 << 45),
    st.none() | st.binary(max_size=40),
    st.none() | st.binary(max_size=200),
    st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=20)), max_size=3),
)


@given(st.lists(RECORDS, max_size=8), st.integers(1, 10_000))
def test_records_come_back_as_they_were_and_a_cut_file_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, saved: list[SavedRecord], cut: int
) -> None:
    file = tmp_path_factory.mktemp("records") / "some.records"
    with file.open("wb") as stream:
        ends = [len(records.append(stream, one)) for one in saved]
    assert list(records.read(file)) == saved
    if saved:
        file.write_bytes(file.read_bytes()[: -(cut % ends[-1] or 1)])
        with pytest.raises(DamagedRecordsError, match=r"some\.records"):
            list(records.read(file))


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', "\\xff"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "vigie-backup.json").write_text(text, encoding="utf-8")
    with pytest.raises(BackupError, match="damaged"):
        read(tmp_path)


@pytest.mark.timeout(200)
async def test_the_log_is_saved_replayed_rewound_and_renewed(
    own_servers: Servers, unique: Callable[[str], str], tmp_path: Path
) -> None:
    known = settings(variables(own_servers.start([Server.KAFKA])) | ELSEWHERE)
    bootstrap = known.kafka_bootstrap_servers
    old, new, compacted = unique("old"), unique("new"), unique("compacted")
    await make_topics(bootstrap, {old: 2, new: 2, compacted: 1})
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, **aiokafka_login()) as producer:
        for number in range(6):
            at = {"partition": number % 2, "timestamp_ms": 1_000 + number, "headers": [("ce_id", b"%d" % number)]}
            await producer.send_and_wait(old, b"value-%d" % number, key=b"key", **at)
        for key, value in ((b"kept", b"newer"), (b"gone", b"x"), (b"dead", b"x"), (b"dead", None)):
            await producer.send_and_wait(compacted, value, key=key)

    wanted = [TopicPartition(old, 0), TopicPartition(old, 1)]
    group = unique("group")
    await log.rewind(known, group, {wanted[0]: 2})
    async with log.reading(known, group) as consumer:
        positions = await log.stored(consumer, wanted)
        assert positions == {wanted[0]: 2, wanted[1]: 0}
        tails = await log.save(consumer, positions, await consumer.end_offsets(wanted), tmp_path)
    assert [(tail.partition, tail.first, tail.records, tail.missing) for tail in tails] == [(0, 2, 1, 0), (1, 0, 3, 0)]
    moved = [log.LogTail(new, tail.partition, tail.first, tail.records, tail.sha256) for tail in tails]
    for tail, there in zip(tails, moved, strict=True):
        (tmp_path / tail.file).rename(tmp_path / there.file)
    assert await log.is_empty(known, {new: 2, old: 2}) == {new: True, old: False}
    assert await log.replay(known, moved, tmp_path) == 4
    assert sorted(await _values(bootstrap, new, 2)) == [b"value-1", b"value-3", b"value-4", b"value-5"]

    assert await log.renew(known, compacted, 1, {"kept": b"of the backup", "not there yet": b"published later"}) == 2
    assert (await _values(bootstrap, compacted, 1))[-3:] == [None, b"of the backup", None]


ELSEWHERE = {"MONGODB_URI": "mongodb://127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1"}


async def _values(bootstrap: str, topic: str, partitions: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, **aiokafka_login(), auto_offset_reset="earliest"
    ) as consumer:
        wanted = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        while any([await consumer.position(one) < ends[one] for one in wanted]):
            for some in (await consumer.getmany(timeout_ms=500)).values():
                found += [one.value for one in some]
    return found
