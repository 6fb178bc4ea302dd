"""Fixtures over real servers. Loaded by the root conftest, so every test of the workspace has them."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from vigie_runtime import clients
from vigie_standalone.embedded.kafka import Kafka
from vigie_standalone.embedded.mongod import Mongo
from vigie_standalone.embedded.process import Process
from vigie_standalone.embedded.servers import Server, Servers
from vigie_standalone.errors import ServerNotFoundError
from vigie_storage import mongo

from tests.kit.kafka_login import PASSWORD, variables
from tests.kit.processes import Spawner
from tests.kit.sources import TestServers, plan
from tests.kit.wait import patience
from tests.kit.wait import unique as unique_name

_USED = pytest.StashKey[TestServers]()
_NOTES = pytest.StashKey[list[str]]()
# The first start may have to fetch Kafka; it must not count against the 60 s of the test that came first.
FIRST_START_TIMEOUT_S = 300
USERS = {"servers", "kafka", "mongo_uri", "mongo_client", "database", "redis_url"}
CLUSTERS = {"kafka_cluster", "mongo_cluster", "own_servers"}


def pytest_configure() -> None:
    """All that reads settings, here or in a process that a test starts, logs in at the embedded Kafka. How long an
    example of hypothesis takes says how busy the machine is, and no more."""
    os.environ.update(variables())
    settings.register_profile("vigie", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("vigie")


def pytest_report_header() -> str:
    """One line: where each server will come from."""
    return "vigie servers: " + ", ".join(f"{server}: {plan(server)}" for server in Server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use a server fixture are `connected`, said or not; and get time for a first start."""
    waiting: set[str] = set()
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if not names & (USERS | CLUSTERS):
            continue
        item.add_marker(pytest.mark.connected)
        # Only the first user of each fixture waits for its start; the others keep the strict limit.
        if names & CLUSTERS or not names & USERS <= waiting:
            given = item.get_closest_marker("timeout")
            seconds = float(given.args[0]) if given and given.args else 60.0
            item.add_marker(pytest.mark.timeout(seconds + FIRST_START_TIMEOUT_S * patience()), append=False)
        waiting |= names & USERS


_USUAL = clients.SERVER_SELECTION_MS, mongo.TIMEOUT_S


@contextmanager
def patient_setup() -> Iterator[None]:
    """Inside, MongoDB gets as much more time as the machine needs: to be found, and for each operation. What a fixture
    sets itself stays."""
    slower = patience()
    patient = clients.SERVER_SELECTION_MS, mongo.TIMEOUT_S = int(_USUAL[0] * slower), _USUAL[1] * slower
    try:
        yield
    finally:
        if patient[0] == clients.SERVER_SELECTION_MS:
            clients.SERVER_SELECTION_MS = _USUAL[0]
        if patient[1] == mongo.TIMEOUT_S:
            mongo.TIMEOUT_S = _USUAL[1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """Tests are set up patiently; what they promise has its own time."""
    with patient_setup():
        yield


def note(config: pytest.Config, line: str) -> None:
    """Say this at the end of the run, whether it passes or not."""
    config.stash.setdefault(_NOTES, []).append(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What was really used, and what its start cost."""
    for line in config.stash.get(_NOTES, []):
        terminalreporter.write_line(line)
    servers = config.stash.get(_USED, None)
    if servers is None or not servers.used:
        terminalreporter.write_line("vigie servers: none was needed")
        return
    for server, (address, seconds) in servers.used.items():
        terminalreporter.write_line(f"vigie servers: {server}: {address.source} (ready in {seconds:.1f} s)")


def _or_skip(start: Callable[[], Any]) -> Any:
    """A platform without the program skips, with the sentence that says so; every other failure fails."""
    try:
        return start()
    except ServerNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[TestServers]:
    """All servers, each started when first asked for: `servers.kafka`, `.mongo_uri`, `.redis_url`."""
    directory = tmp_path_factory.mktemp("servers")
    started = TestServers(directory)
    pytestconfig.stash[_USED] = started
    yield started
    started.stop()
    shutil.rmtree(directory, ignore_errors=True)  # hundreds of megabytes that pytest would keep


@pytest.fixture(scope="session")
def kafka(servers: TestServers) -> str:
    """Bootstrap servers of the session's Kafka."""
    return _or_skip(lambda: servers.kafka)


@pytest.fixture(scope="session")
def mongo_uri(servers: TestServers) -> str:
    """Connection string of the session's MongoDB, a replica set that allows failpoints when it is embedded."""
    return _or_skip(lambda: servers.mongo_uri)


@pytest.fixture(scope="session")
def redis_url(servers: TestServers) -> str:
    """URL of the session's Redis. Isolate tests by a unique tenant; never flush: it may be yours."""
    return _or_skip(lambda: servers.redis_url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mongo_client(mongo_uri: str) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    """One client for the session's loop."""
    async with AsyncMongoClient[dict[str, Any]](mongo_uri, serverSelectionTimeoutMS=int(20_000 * patience())) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def database(
    mongo_client: AsyncMongoClient[dict[str, Any]],
) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """A fresh, empty database, dropped after the test. `database.name` is for settings."""
    name = unique_name("test")
    yield mongo_client[name]
    await mongo_client.drop_database(name)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """`unique("topic")`: a name nobody else uses."""
    return unique_name


@pytest.fixture
def spawn(tmp_path: Path, servers: TestServers) -> Iterator[Spawner]:
    """`spawn.module("vigie_aggregator", env={...}, ready=http_ready(url))`; killed at the end of the test.

    The variables of every server started so far are set for it; ask for `kafka` etc. to have them started.
    """
    spawner = Spawner(tmp_path, servers.variables)
    yield spawner
    spawner.kill_all()


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[Servers]:
    """Embedded servers of this test alone, not started, free to be killed: `own_servers.start([Server.KAFKA])`."""
    private = Servers(tmp_path / "own-servers", environment={}, mongo_test_commands=True, kafka_password=PASSWORD)
    yield private
    private.stop()
    shutil.rmtree(tmp_path / "own-servers", ignore_errors=True)


@pytest.fixture(scope="session")
def _kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    directory = tmp_path_factory.mktemp("kafka-cluster")
    cluster = Kafka(directory, nodes=3, password=PASSWORD)
    cluster.start()
    yield cluster
    cluster.kill()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def _mongo_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    directory = tmp_path_factory.mktemp("mongo-cluster")
    cluster = Mongo(directory, members=3, test_commands=True)
    _or_skip(cluster.start)
    yield cluster
    cluster.kill()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def kafka_cluster(_kafka_cluster: Kafka) -> Iterator[Kafka]:
    """Three embedded brokers, replication 3, two in-sync: `.bootstrap`, `.brokers[i].kill()`. Healed afterwards."""
    yield _kafka_cluster
    _heal(_kafka_cluster.brokers)


@pytest.fixture
def mongo_cluster(_mongo_cluster: Mongo) -> Iterator[Mongo]:
    """Three embedded members: `.uri`, `.members[i].kill()`, `.wait_primary()`. Healed afterwards."""
    yield _mongo_cluster
    _heal(_mongo_cluster.members)
    _mongo_cluster.wait_primary()


def _heal(processes: list[Process]) -> None:
    dead = [process for process in processes if not process.alive]
    for process in processes:
        if process.alive:
            process.resume()
        else:
            process.launch()
    for process in dead:
        process.wait_ready()
