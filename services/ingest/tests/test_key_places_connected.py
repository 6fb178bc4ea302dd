"""A key that is used from elsewhere shows in the audit log, also when it only reports."""

from datetime import UTC, datetime

import pytest
from bson.codec_options import CodecOptions
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_identity.pages import PageRequest
from vigie_ingest.key_places import AGAIN_S, KNOWN_S, KeyPlaces
from vigie_runtime.clients import Database
from vigie_runtime.clock import ManualClock
from vigie_storage.hosts.agents import HostAgents, SeenAgent

pytestmark = pytest.mark.connected

ACME, HOST, ONE = TenantId("acme"), "web-1", "instance-of-one"


def caller(address: str) -> Actor:
    return Actor("key-1", "agent of web-1", address)


async def test_a_key_that_reports_from_elsewhere_is_told_once_an_hour(database: Database) -> None:
    database = database.with_options(CodecOptions(tz_aware=True))  # as services have it
    clock = ManualClock(4_102_444_800_000)
    audit, agents = Audit(database, clock), HostAgents(database)
    await audit.ensure_indexes()
    await agents.ensure_indexes()
    places = KeyPlaces(database, audit, clock)

    async def asked(address: str) -> None:
        at = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        await agents.seen(ACME, HOST, SeenAgent(ONE, at, "key-1", address, 0))

    async def told() -> list[tuple[str, str, str, str]]:
        entries = (await audit.page(ACME, PageRequest())).items
        assert {one.action for one in entries} <= {Action.AGENT_MOVED}
        return [(one.target, one.actor.address, one.changes["instance"], one.changes["before"]) for one in entries]

    await places.look(ACME, caller("10.6.6.6"), HOST, ONE)
    assert await told() == [], "its agent never asked: nobody knows where it is"
    await asked("10.0.0.1")
    clock.advance(KNOWN_S + 1)
    await places.look(ACME, caller("10.0.0.1"), HOST, ONE)
    assert await told() == []
    for _ in range(3):
        await places.look(ACME, caller("10.6.6.6"), HOST, ONE)
    assert await told() == [(HOST, "10.6.6.6", ONE, "10.0.0.1")]
    await places.look(ACME, caller("10.0.0.1"), HOST, "another-instance")
    assert (await told())[0] == (HOST, "10.0.0.1", "another-instance", "10.0.0.1")
    await asked("10.0.0.2")
    await places.look(ACME, caller("10.0.0.2"), HOST, ONE)
    assert len(await told()) == 2, "it has moved, and said so: also before what is known is looked up again"
    clock.advance(AGAIN_S + 1)
    await places.look(ACME, caller("10.6.6.6"), HOST, ONE)
    assert len(await told()) == 3
    await places.look(TenantId("rival"), caller("10.6.6.6"), HOST, ONE)
    assert len(await told()) == 3
