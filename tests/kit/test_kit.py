"""The kit itself: what other tests build on."""

import os
import urllib.request
from collections.abc import Callable

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from vigie_runtime import clients
from vigie_storage import mongo

from tests.kit import Spawner, eventually, free_port, http_ready
from tests.kit.plugin import patient_setup

seen: list[str] = []


async def test_eventually_returns_what_an_async_predicate_gives() -> None:
    calls = iter([0, None, "there"])

    async def predicate() -> str | int | None:
        return next(calls)

    assert await eventually(predicate) == "there"


async def test_eventually_takes_a_failed_assertion_for_not_yet_and_reports_the_last() -> None:
    def predicate() -> bool:
        raise AssertionError("only 3 of 4")

    with pytest.raises(AssertionError, match="only 3 of 4"):
        await eventually(predicate, 0.2)


async def test_eventually_says_that_a_predicate_gave_nothing() -> None:
    async def asserts() -> None:
        assert True

    with pytest.raises(AssertionError, match="asserts; last seen: None, which counts as not yet"):
        await eventually(asserts, 0.2)


async def test_eventually_does_not_hide_other_errors() -> None:
    def predicate() -> bool:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await eventually(predicate)


def test_setups_have_more_time_on_a_machine_that_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = clients.SERVER_SELECTION_MS, mongo.TIMEOUT_S
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for load, slower in ((0.5, 1), (16.0, 8), (500.0, 10)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        with patient_setup():
            assert (usual[0] * slower, usual[1] * slower) == (clients.SERVER_SELECTION_MS, mongo.TIMEOUT_S)
        assert usual == (clients.SERVER_SELECTION_MS, mongo.TIMEOUT_S)


def test_what_a_fixture_sets_outlives_the_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (500.0, 0.0, 0.0))
    usual = clients.SERVER_SELECTION_MS
    for _ in range(2):
        with pytest.MonkeyPatch.context() as fixture:
            with patient_setup():
                fixture.setattr(clients, "SERVER_SELECTION_MS", 7)
            assert clients.SERVER_SELECTION_MS == 7
        assert usual * 10 >= clients.SERVER_SELECTION_MS
    with patient_setup():
        pass
    assert usual == clients.SERVER_SELECTION_MS


def test_unique_names_differ_and_keep_their_prefix(unique: Callable[[str], str]) -> None:
    names = {unique("topic") for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("topic-") for name in names)


@pytest.mark.parametrize("run", [1, 2])
async def test_database_is_fresh_for_every_test(run: int, database: AsyncDatabase) -> None:
    assert database.name not in seen
    seen.append(database.name)
    assert await database.things.count_documents({}) == 0
    await database.things.insert_one({"run": run})


def test_spawned_module_knows_the_servers_and_is_killed(spawn: Spawner, redis_url: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    process = spawn.module("http.server", str(port), "--bind", "127.0.0.1", ready=http_ready(url))
    with open(f"/proc/{process.pid}/environ", "rb") as environ:
        assert f"REDIS_URL={redis_url}".encode() in environ.read().split(b"\0")
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200
    process.kill()
    assert not process.alive
