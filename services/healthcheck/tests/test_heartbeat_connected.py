"""Heartbeats over HTTP: by their token, without a login."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from vigie_runtime.clients import Database
from vigie_storage.health.beats import Beats, new_token
from vigie_storage.health.states import HealthStates
from vigie_storage.mongo import transaction

from services.healthcheck.tests.desk import ACME, Desk, opened

pytestmark = pytest.mark.connected


@pytest_asyncio.fixture(loop_scope="session")
async def desk(database: Database, mongo_uri: str, redis_url: str) -> AsyncIterator[Desk]:
    async with opened(database, mongo_uri, redis_url) as made:
        yield made


async def test_a_beat_is_heard_and_its_target_checked_at_once(desk: Desk) -> None:
    beats, token = Beats(desk.database), new_token()
    target = await desk.watch("backup", None, kind="heartbeat", url="")
    await transaction(desk.database, lambda session: beats.expect(ACME, target.id, token, desk.now_ms, session))
    path = f"/api/health/heartbeat/{token}"

    async def sent(method: str, path: str, **more: bytes) -> tuple[int, bool | None, int | None]:
        answer = await desk.http.request(method, path, **more)
        last = await beats.last(target.id)
        assert last is not None
        return answer.status_code, last.failed if last.at_ms else None, last.code

    looked = len(desk.looked)
    assert await sent("POST", path, content=b"{" * 100_000) == (204, False, None), "a body is not looked at"
    asked = await HealthStates(desk.database).asked()
    assert set(asked) == {target.id}
    assert len(desk.looked) == looked + 1
    for method in ("GET", "HEAD", "POST"):
        assert await sent(method, f"{path}/fail") == (204, True, None)
        assert await sent(method, path) == (204, False, None)
    assert await sent("POST", f"{path}/3") == (204, True, 3)
    assert await sent("GET", f"{path}/0") == (204, False, 0)
    for nothing in ("256", "-1", "failed", "1e3", "0" * 20):
        status, failed, _ = await sent("POST", f"{path}/{nothing}")
        assert (status, failed) == (422, False)


async def test_who_has_no_token_learns_nothing_and_does_nothing(desk: Desk) -> None:
    told: set[tuple[int, str]] = set()
    for token in (new_token(), "x", "é", "%00", "a" * 128, "fail"):
        for method in ("POST", "GET"):
            answer = await desk.http.request(method, f"/api/health/heartbeat/{token}")
            told.add((answer.status_code, answer.json().get("detail", "")))
    assert {status for status, _ in told} == {404}
    assert {detail for _, detail in told} >= {"there is no heartbeat with this token"}
    assert await HealthStates(desk.database).asked() == {}
    assert desk.looked == []


async def test_a_target_that_is_gone_is_not_waited_for(desk: Desk) -> None:
    states = HealthStates(desk.database)
    target = await desk.watch("old")
    await states.remove([target.id])
    await states.ask(ACME, [target.id, "new"], desk.now_ms)
    assert set(await states.asked()) == {"new"}
    kept = await desk.database.health_states.find({}, {"expires": 1}).to_list()
    assert all("expires" in one for one in kept), "what nobody ever checks is forgotten"
