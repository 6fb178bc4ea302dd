"""Vigie as its users start it: `vigie up`, one for all tests that leave it whole."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import pytest_asyncio

from tests.e2e.up import Up


@pytest.fixture(scope="session")
def vigie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`vigie up --no-demo` on a free port, also under the name that the guide of telemetry prints."""
    directory = tmp_path_factory.mktemp("vigie")
    up = Up(directory, env={"VIGIE_ALLOWED_HOSTS": "central-backend.cybersensei.com"})
    try:
        up.start()
        yield up
    finally:
        up.kill()
        shutil.rmtree(directory, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(vigie: Up) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its front door."""
    async with httpx.AsyncClient(base_url=vigie.url, timeout=30, trust_env=False) as one:
        yield one


@pytest.fixture
def own_up(tmp_path: Path) -> Iterator[Up]:
    """A `vigie up` of this test alone, not started yet."""
    up = Up(tmp_path / "own")
    yield up
    up.kill()
    shutil.rmtree(tmp_path / "own", ignore_errors=True)
