"""What an agent is asked to do, over the real store: what waits, what is new, and for whom."""

from dataclasses import replace as changed
from typing import Any, cast

import msgspec
import pytest
from bson.codec_options import CodecOptions
from vigie_contracts.commands import LIFE_MS, Action, Command, CommandResult, Outcome
from vigie_contracts.payloads import payloads
from vigie_contracts.tenants import TenantId
from vigie_contracts.topics import COMMANDS
from vigie_identity.errors import HostForbidden, NotFound
from vigie_identity.permissions import Scope, of_scopes
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_push.channels.commands import CommandFeed
from vigie_push.messages import CommandResult as ResultMessage
from vigie_push.results import InvalidResult, ResultIntake
from vigie_runtime.clients import Database
from vigie_runtime.clock import ManualClock
from vigie_storage.commands import Commands, UnderWay
from vigie_storage.mongo import transaction

NOW = 1_800_000_000_000
ACME = TenantId("acme")


def command(number: int, tenant: TenantId = ACME, host: str = "web-1", **more: Any) -> Command:
    return Command(
        id=f"{number:032x}", tenant=tenant, host=host, site="shop", service=f"twoine-{number}", action=Action.RESTART,
        issued_at=NOW + number, expires_at=NOW + number + LIFE_MS, by="alice", **more,
    )  # fmt: skip


async def stored(database: Database, *commands: Command) -> Commands:
    zoned = database.with_options(CodecOptions(tz_aware=True))  # as services have it
    store = Commands(zoned)
    await store.ensure_indexes()
    for one in commands:
        await transaction(database, lambda session, one=one: store.add(one, session))
    return store


async def test_an_agent_is_told_what_waits_for_its_host_and_nothing_else(database: Database) -> None:
    mine, done, others, foreign = command(1), command(2), command(3, host="web-2"), command(4, TenantId("rival"))
    store = await stored(database, mine, done, others, foreign)
    assert await store.end(ACME, done.id, "web-1", CommandResult(Outcome.DONE, at=NOW))
    now = NOW + 20_000
    feed = CommandFeed(ACME, "web-1", store, lambda: now)
    snapshot = await feed.snapshot(None)
    [told] = snapshot.updates
    assert (told.key, told.message.data.service, told.message.data.expires_in_ms) == (mine.id, "twoine-1", 100_001)  # type: ignore[attr-defined]
    [new] = feed.updates(command(5))
    assert new.key == command(5).id
    assert not snapshot.holds(new)
    assert snapshot.holds(told)
    assert feed.updates(others) == []
    assert feed.updates(msgspec.structs.replace(mine, result=CommandResult(Outcome.DONE))) == []
    assert [one.key for one in await feed.poll()] == [mine.id], "again, until it has ended"
    late = CommandFeed(ACME, "web-1", store, lambda: NOW + 10 * LIFE_MS)
    assert list((await late.snapshot(None)).updates) == []
    assert late.updates(mine) == []


async def test_of_a_service_one_command_is_under_way_at_a_time(database: Database) -> None:
    first = command(1)
    store = await stored(database, first)
    second = msgspec.structs.replace(first, id=f"{99:032x}")
    with pytest.raises(UnderWay):
        await stored(database, second)
    later = msgspec.structs.replace(second, issued_at=first.expires_at, expires_at=first.expires_at + LIFE_MS)
    await stored(database, later)
    found = await store.get(ACME, first.id)
    assert found is not None
    assert found.state == "expired"


async def test_the_first_word_of_the_agent_stays(database: Database) -> None:
    one = command(1)
    store = await stored(database, one)
    assert not await store.end(ACME, one.id, "web-2", CommandResult(Outcome.DONE, at=NOW)), "another host's"
    assert not await store.end(TenantId("rival"), one.id, "web-1", CommandResult(Outcome.DONE, at=NOW))
    assert await store.end(ACME, one.id, "web-1", CommandResult(Outcome.FAILED, "no", NOW))
    assert not await store.end(ACME, one.id, "web-1", CommandResult(Outcome.DONE, at=NOW + 1))
    found = await store.get(ACME, one.id)
    assert found is not None
    assert (found.state, found.message, found.state_at(NOW + LIFE_MS * 2)) == ("failed", "no", "failed")
    assert await store.get(TenantId("rival"), one.id) is None


class Asking:
    def __init__(self, host: str | None, *scopes: Scope) -> None:
        assignment = Assignment(ACME, of_scopes(frozenset(scopes)))
        self.principal = changed(
            Principal(PrincipalKind.KEY, "vk_1", "k", assignments=assigned(assignment)), host=host
        )  # fmt: skip

    def tenant(self, permission: Any, asked: str | None) -> TenantId:
        return self.principal.tenant(permission, asked, TenantId("default"))


def message(**more: Any) -> ResultMessage:
    said = {"id": f"{1:032x}", "host": "web-1", "outcome": Outcome.DONE} | more
    return ResultMessage(**cast(Any, said))


async def test_a_result_is_taken_of_the_agent_of_the_host_only() -> None:
    published: list[tuple[bytes, Command]] = []

    async def publish(key: bytes, value: bytes, _id: str) -> None:
        published.append((key, msgspec.json.decode(value, type=Command)))

    intake = ResultIntake(publish, ManualClock(NOW))
    agent = cast(Any, Asking("web-1", Scope.AGENT))
    assert (await intake.take(agent, message(text="fine"))).id == f"{1:032x}"
    [(key, said)] = published
    assert key == b"acme/web-1"
    assert (said.result, said.host, said.tenant) == (CommandResult(Outcome.DONE, "fine", NOW), "web-1", ACME)
    for wrong, error in (
        (message(host="web-2"), HostForbidden), (message(host="a/b"), InvalidResult), (message(id="x"), InvalidResult),
        (message(tenant="rival"), NotFound),
    ):  # fmt: skip
        with pytest.raises(error):
            await intake.take(agent, wrong)
    with pytest.raises(Exception, match="permission"):
        await intake.take(cast(Any, Asking(None, Scope.READ)), message())
    assert len(published) == 1


@pytest.mark.parametrize("payload", payloads(COMMANDS.name), ids=lambda one: one.name)
def test_every_command_ever_written_can_be_told(payload: Any) -> None:
    if not payload.good:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(payload.data, type=Command)
        return
    said = msgspec.json.decode(payload.data, type=Command)
    feed = CommandFeed(TenantId(said.tenant), said.host, cast(Any, None), lambda: said.issued_at)
    assert len(feed.updates(said)) == (said.result is None)
