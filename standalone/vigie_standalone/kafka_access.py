"""Clients of Kafka for commands: they give up soon, and say why in a sentence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from vigie_runtime.clients import AIOKafkaConsumer, AIOKafkaProducer, KafkaError, kafka_consumer, kafka_producer
from vigie_runtime.settings import Settings

from vigie_standalone.errors import StandaloneError

CONNECT_TIMEOUT_S: Final = 15


class KafkaUnavailableError(StandaloneError):
    """Kafka cannot be reached, or refuses."""

    def __init__(self, bootstrap: str, error: BaseException) -> None:
        reason = str(error) or type(error).__name__
        super().__init__(f"Kafka at {bootstrap} cannot be used: {reason}. Is it running, and is the address right?")


@asynccontextmanager
async def consuming(settings: Settings, client_id: str, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that is to be assigned, and is not a member of its group. Raises KafkaUnavailableError, also for what
    happens inside."""
    consumer = kafka_consumer(settings, client_id=client_id, group_id=group)
    try:
        await asyncio.wait_for(consumer.start(), CONNECT_TIMEOUT_S)
        yield consumer
    except (KafkaError, TimeoutError, OSError) as error:
        raise KafkaUnavailableError(settings.kafka_bootstrap_servers, error) from error
    finally:
        await consumer.stop()


@asynccontextmanager
async def producing(settings: Settings, client_id: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer. Raises KafkaUnavailableError, also for what happens inside."""
    producer = kafka_producer(settings, client_id=client_id)
    try:
        await asyncio.wait_for(producer.start(), CONNECT_TIMEOUT_S)
        yield producer
    except (KafkaError, TimeoutError, OSError) as error:
        raise KafkaUnavailableError(settings.kafka_bootstrap_servers, error) from error
    finally:
        await producer.stop()
