"""Worlds for the integration tests, each started once: a calm one that nobody breaks, a rough one, one of clusters."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from vigie_standalone.embedded.process import Process

from tests.integration.world import World, world

SESSION = "session"


@pytest_asyncio.fixture(scope=SESSION, loop_scope=SESSION)
async def calm(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A gateway, an aggregator and an api that run all the time. Break nothing here."""
    directory = tmp_path_factory.mktemp("calm")
    async with world(directory) as one:
        await asyncio.to_thread(one.services.start, gateways=1, aggregators=1, apis=1)
        yield one
    shutil.rmtree(directory, ignore_errors=True)


@pytest_asyncio.fixture(scope=SESSION, loop_scope=SESSION)
async def _rough(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("rough")
    async with world(directory) as one:
        yield one
    shutil.rmtree(directory, ignore_errors=True)


@pytest_asyncio.fixture(scope=SESSION, loop_scope=SESSION)
async def _clusters(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("clusters")
    async with world(directory, brokers=3, members=3) as one:
        yield one
    shutil.rmtree(directory, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope=SESSION)
async def rough(_rough: World, tmp_path: Path) -> AsyncIterator[World]:
    """Single servers that may be killed, and no services yet. Whatever was broken is healed afterwards."""
    _rough.use(tmp_path, {})
    yield _rough
    await asyncio.to_thread(_heal, _rough)


@pytest_asyncio.fixture(loop_scope=SESSION)
async def clusters(_clusters: World, tmp_path: Path) -> AsyncIterator[World]:
    """Three brokers and three members that may be killed, and no services yet."""
    _clusters.use(tmp_path, {})
    yield _clusters
    await asyncio.to_thread(_heal, _clusters)


def _heal(one: World) -> None:
    one.services.kill()
    redis = [one.servers.redis.process] if one.servers.redis.process else []
    servers: list[Process] = [*one.servers.kafka.brokers, *one.servers.mongo.members, *redis]
    for process in servers:
        process.resume() if process.alive else process.launch()
    for process in servers:
        process.wait_ready(90)
    one.servers.mongo.wait_primary()
