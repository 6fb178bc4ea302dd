"""Dead letters: records that no consumer could process, kept with their story on `vigie.dead.v1`.

Replaying sends the untouched record back to where it came from; the dead letter itself stays until it expires.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from vigie_runtime import logging
from vigie_runtime.bus.dead_reading import DeadLetter, newest
from vigie_runtime.settings import Settings

from vigie_standalone.embedded.kafka import login
from vigie_standalone.kafka_access import consuming, producing

READ_TIMEOUT_S = 120
CLIENT = "vigie-dead"


async def read(bootstrap: str, limit: int, topic: str = "", password: str = "") -> list[DeadLetter]:
    """The newest `limit` dead letters (of `topic` only, when given), oldest first.

    `password` is that of an embedded Kafka."""
    async with consuming(_settings(bootstrap, password), CLIENT) as consumer, asyncio.timeout(READ_TIMEOUT_S):
        return await newest(consumer, limit, topic)


async def replay(bootstrap: str, letters: Sequence[DeadLetter], password: str = "") -> int:
    """Send the records back to their topic and partition, in order; returns how many Kafka acknowledged."""
    async with producing(_settings(bootstrap, password), CLIENT) as producer:
        for letter in letters:
            await producer.send_and_wait(
                letter.topic,
                letter.value,
                key=letter.key,
                partition=letter.partition,
                headers=list(letter.headers),
            )
    return len(letters)


def describe(letter: DeadLetter) -> str:
    """One line."""
    when = datetime.fromtimestamp(letter.died_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"{when}  {letter.topic}/{letter.partition}@{letter.offset}  {letter.size} bytes  {letter.service or '-'}  "
        f"{letter.reason}"
    )


def summary(letters: Sequence[DeadLetter]) -> list[str]:
    """How many per topic and reason, most first."""
    counts = Counter((letter.topic, letter.reason) for letter in letters)
    return [f"{count:>6}  {topic}  {reason}" for (topic, reason), count in counts.most_common(20)]


def _settings(bootstrap: str, password: str) -> Settings:
    """Kafka's security settings come from the environment as for a service, those of an embedded one are known; the
    other servers are not used. What the Kafka client has to say is no part of the answer."""
    logging.configure("vigie", "error")
    return Settings(
        kafka_bootstrap_servers=bootstrap,
        mongodb_uri="mongodb://unused",
        redis_url="redis://unused",
        **login(password),
    )
