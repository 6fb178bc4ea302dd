"""Clients, as far as they can be tried without the real servers."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisAwayError
from vigie_runtime import clients
from vigie_runtime.settings import Settings


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """RESP2: whatever is asked, after a moment."""
    while data := await reader.read(65_536):
        await asyncio.sleep(0.001)  # long enough for the others to ask meanwhile
        writer.write(b"+PONG\r\n" if b"PING" in data else b"+OK\r\n" * data.count(b"*"))
    writer.close()


async def test_a_burst_waits_for_connections_to_redis_instead_of_failing() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    redis = clients.redis(
        Settings(
            kafka_bootstrap_servers="127.0.0.1:1",
            mongodb_uri="mongodb://127.0.0.1:1",
            redis_url=f"redis://127.0.0.1:{port}?protocol=2",
        )
    )
    try:
        async with asyncio.timeout(20):
            await asyncio.gather(*(redis.set(f"warm{i}", b"") for i in range(64)), return_exceptions=True)
            answers = await asyncio.gather(*(redis.set(f"k{i}", b"") for i in range(100)), return_exceptions=True)
        assert [answer for answer in answers if isinstance(answer, RedisAwayError)] == []
    finally:
        await redis.aclose()
        server.close()


@pytest.mark.parametrize(
    ("bootstrap", "protocol", "mechanism", "clear"),
    [
        ("127.0.0.1:9092,localhost:9093", "SASL_PLAINTEXT", "PLAIN", False),
        ("127.0.0.1:9092,kafka.example:9092", "SASL_PLAINTEXT", "PLAIN", True),
        ("kafka.example:9092", "SASL_PLAINTEXT", "SCRAM-SHA-512", False),
        ("kafka.example:9092", "SASL_SSL", "PLAIN", False),
    ],
)
async def test_password_in_the_clear_over_a_network_is_said(
    bootstrap: str, protocol: str, mechanism: str, clear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(clients.log, "warning", said.append)
    settings = Settings(
        kafka_bootstrap_servers=bootstrap,
        mongodb_uri="mongodb://x",
        redis_url="redis://x",
        kafka_security_protocol=protocol,  # pyright: ignore[reportArgumentType]
        kafka_sasl_mechanism=mechanism,  # pyright: ignore[reportArgumentType]
        kafka_sasl_username="vigie",
        kafka_sasl_password="s3cret",  # pyright: ignore[reportArgumentType]
    )
    producer = clients.kafka_producer(settings, client_id="test")
    await producer.stop()
    assert any("sent in the clear" in line for line in said) is clear
    assert "s3cret" not in str(said)
