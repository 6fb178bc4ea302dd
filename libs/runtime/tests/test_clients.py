"""Clients, as far as they can be tried without the real servers."""

import asyncio

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
