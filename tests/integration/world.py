"""Servers and one database that tests share, and what tests do with them. Tests keep apart by tenant."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio
from pymongo import AsyncMongoClient

from tests.chaos import stored
from tests.chaos.ledger import Counts, Difference, Ledger, compare, listed
from tests.chaos.load import Plan, Sender, Series, in_turn, running
from tests.chaos.run import caught_up
from tests.chaos.system import Addresses, OwnServers, Services, connect
from tests.kit.wait import eventually, unique

DEADLINE_S = 60.0


@dataclass
class World:
    """Running servers, a database on them, and services started so far."""

    servers: OwnServers
    services: Services
    client: AsyncMongoClient[dict[str, Any]]
    database: stored.Database
    cache: redis.asyncio.Redis

    @property
    def addresses(self) -> Addresses:
        """Of the servers."""
        return self.services.addresses

    @asynccontextmanager
    async def sender(self, ledger: Ledger, seed: int = 0) -> AsyncIterator[Sender]:
        """Sends to all gateways."""
        sender = Sender(self.services.gateway_urls, ledger, seed)
        try:
            yield sender
        finally:
            await sender.aclose()

    def ledger(self, name: str) -> Ledger:
        """An empty ledger for series of a fresh name."""
        return Ledger(self.services.tenant, unique(name).replace("-", "_"))

    async def exact(self, ledger: Ledger, timeout: float = DEADLINE_S) -> Counts:
        """Wait until everything is counted and compare all of it; raises AssertionError with the differences."""
        await caught_up(self.database, self.addresses.kafka, timeout)
        found = await stored.counts(self.database, ledger)
        differences = compare(ledger, found, "MongoDB")
        assert not differences, f"{len(differences)} differences\n{listed(differences)}"
        return found

    async def differences(self, ledger: Ledger) -> list[Difference]:
        """What differs now."""
        return compare(ledger, await stored.counts(self.database, ledger), "MongoDB")

    async def cached(self, ledger: Ledger, timeout: float = DEADLINE_S) -> None:
        """Wait until Redis has exactly the running state."""

        async def same() -> bool:
            found = await stored.cached_running(self.cache, self.database, ledger)
            wrong = compare(ledger, Counts({}, found), "Redis", ())
            assert not wrong, listed(wrong)
            return True

        # A pooled connection of the test itself may still be one to a Redis that was killed meanwhile.
        gone = redis.exceptions.ConnectionError
        await eventually(same, timeout, retry_on=(AssertionError, gone))

    async def forget(self) -> None:
        """Empty this world's own Redis, key by key: the services' user may not do it at once."""
        async for key in self.cache.scan_iter(count=1_000):
            await self.cache.delete(key)

    def use(self, directory: Path, environment: Mapping[str, str]) -> Services:
        """Services of one test on these servers and this database."""
        self.services = Services(directory, self.addresses, self.database.name, unique("tenant"), environment)
        return self.services


@asynccontextmanager
async def world(directory: Path, *, brokers: int = 1, members: int = 1) -> AsyncIterator[World]:
    """Servers of its own, started; killed afterwards with all services."""
    servers = OwnServers(directory, brokers=brokers, members=members)
    try:
        addresses = await asyncio.to_thread(servers.start)
        client, database = connect(addresses, unique("world"))
        async with client:
            cache = redis.asyncio.Redis.from_url(addresses.redis)
            services = Services(directory, addresses, database.name, unique("tenant"))
            one = World(servers, services, client, database, cache)
            try:
                yield one
            finally:
                one.services.kill()
                await cache.aclose()
    finally:
        servers.kill()


@asynccontextmanager
async def load(
    one: World, ledger: Ledger, *, seed: int = 1, series: int = 120, rate: float = 25.0, batch: int = 60
) -> AsyncIterator[Sender]:
    """Load on all gateways while the block runs; at its end every request is delivered, and every answer was right."""
    plan = Plan(Series(ledger, series), seed, batch_size=batch)
    async with one.sender(ledger, seed) as sender, running(sender, plan, rate=rate, share=in_turn()):
        yield sender
    assert not sender.answers.wrong, sender.answers.wrong[:5]
    assert sender.answers.accepted > 0


async def more(ledger: Ledger, samples: int, timeout: float = DEADLINE_S) -> None:
    """Wait until so many more samples were accepted: progress, however fast the machine is."""
    goal = ledger.samples + samples
    await eventually(lambda: ledger.samples >= goal, timeout)
