"""The log itself, past every service: read what is there, put something there."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from vigie_contracts.topics import SAMPLES

from tests.chaos import stored
from tests.kit.kafka_login import aiokafka_login

Headers = list[tuple[str, bytes]]


async def put(bootstrap: str, partition: int, value: bytes | None, headers: Headers | None = None) -> int:
    """Append one record to the samples log; its offset."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, **aiokafka_login(), acks="all", enable_idempotence=True
    ) as producer:
        key = b"" if value is None else None  # the client refuses a record of nothing at all
        sent = await producer.send_and_wait(SAMPLES.name, value, key, partition, headers=headers or [])
        return sent.offset


async def records(
    bootstrap: str, topic: str = SAMPLES.name, since: dict[int, int] | None = None
) -> list[ConsumerRecord]:
    """Every record of a topic from the given offsets (else from the start) to the end it has now."""
    places = [TopicPartition(topic, partition) for partition in await stored.ends(bootstrap, topic)]
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, **aiokafka_login()) as consumer:
        if not places:
            return []
        consumer.assign(places)
        ends, begins = await consumer.end_offsets(places), await consumer.beginning_offsets(places)
        for place in places:
            consumer.seek(place, max(begins[place], (since or {}).get(place.partition, 0)))
        found: list[ConsumerRecord] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += batch
        return found
