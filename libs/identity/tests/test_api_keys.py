"""API keys on a real MongoDB: shown once, stored as a hash, rotated with an overlap, never seen by another tenant."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts.tenants import TenantId
from vigie_identity.api_keys import LAST_USED_STEP, NewKey, well_formed
from vigie_identity.audit import Action
from vigie_identity.errors import Conflict, InvalidField, LimitReached, NotFound
from vigie_identity.pages import PageRequest
from vigie_identity.permissions import Scope

from .conftest import ACME, BY, NOW_MS, RIVAL, World

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
HOUR = timedelta(hours=1)


async def made(world: World, tenant: TenantId = ACME, expires: datetime | None = None) -> NewKey:
    return await world.keys.create(tenant, "sender", [Scope.WRITE], BY, expires)


def later(world: World) -> datetime:
    return datetime.fromtimestamp(world.clock.now_ms() / 1000, UTC)


async def test_a_key_is_found_by_its_secret_and_only_its_hash_is_stored(world: World) -> None:
    new = await made(world)
    assert well_formed(new.secret)
    assert await world.keys.find(new.secret) == new.key == await world.keys.get(ACME, new.key.id)
    assert new.secret.startswith(new.key.visible + "_")
    assert new.secret not in repr(new)
    stored = repr(await world.db["api_keys"].find_one({"_id": new.key.id}))
    audited = repr((await world.audit.page(ACME, PageRequest())).items)
    assert new.secret[20:] not in stored + audited


async def test_a_secret_with_one_other_character_is_nobodys(world: World) -> None:
    secret = (await made(world)).secret
    for i in (3, 19, 20, len(secret) - 1):
        other = "2" if secret[i] != "2" else "3"
        assert await world.keys.find(secret[:i] + other + secret[i + 1 :]) is None


@given(st.text(max_size=80))
def test_a_text_that_no_key_looks_like_is_told_without_asking_the_store(text: str) -> None:
    assert not well_formed(text)
    assert not well_formed("vk_0123456789abcdef_" + "A" * 43 + text + "\n")


async def test_the_keys_of_another_tenant_are_not_there(world: World) -> None:
    theirs = (await made(world, RIVAL)).key
    keys = world.keys
    for question in (keys.get(ACME, theirs.id), keys.revoke(ACME, theirs.id, BY), keys.rotate(ACME, theirs.id, BY)):
        with pytest.raises(NotFound) as caught:
            await question
        assert caught.value.problem("/") == NotFound("API key").problem("/")
    assert (await keys.page(ACME, PageRequest())).items == []
    assert (await keys.get(RIVAL, theirs.id)) == theirs


async def test_rotation_leaves_both_good_for_the_overlap(world: World) -> None:
    old = await made(world)
    new = await world.keys.rotate(ACME, old.key.id, BY, overlap=HOUR)
    assert (new.key.name, new.key.scopes, new.key.expires) == ("sender", {Scope.WRITE}, None)
    retiring = await world.keys.get(ACME, old.key.id)
    assert (retiring.replaced_by, retiring.expires) == (new.key.id, NOW + HOUR)
    assert retiring.good(NOW)
    world.clock.advance(3_600)
    assert not retiring.good(later(world))
    assert new.key.good(later(world))
    with pytest.raises(Conflict):
        await world.keys.rotate(ACME, old.key.id, BY)
    actions = [entry.action for entry in (await world.audit.page(ACME, PageRequest())).items]
    assert actions[:2] == [Action.KEY_ROTATED, Action.KEY_CREATED]


async def test_rotation_never_makes_a_key_live_longer(world: World) -> None:
    old = await made(world, expires=NOW + HOUR)
    new = await world.keys.rotate(ACME, old.key.id, BY, overlap=24 * HOUR)
    assert new.key.expires == NOW + HOUR
    assert (await world.keys.get(ACME, old.key.id)).expires == NOW + HOUR
    for overlap in (timedelta(seconds=-1), timedelta(days=91)):
        with pytest.raises(InvalidField):
            await world.keys.rotate(ACME, new.key.id, BY, overlap=overlap)


async def test_a_revoked_key_stays_revoked(world: World) -> None:
    new = await made(world)
    revoked = await world.keys.revoke(ACME, new.key.id, BY)
    assert not revoked.good(NOW)
    world.clock.advance(60)
    assert await world.keys.revoke(ACME, new.key.id, BY) == revoked
    with pytest.raises(Conflict):
        await world.keys.rotate(ACME, new.key.id, BY)
    actions = [entry.action for entry in (await world.audit.page(ACME, PageRequest())).items]
    assert actions.count(Action.KEY_REVOKED) == 1


async def test_last_used_is_written_once_a_minute_at_most(world: World) -> None:
    new = await made(world)
    await world.keys.used(new.key)
    first = await world.keys.get(ACME, new.key.id)
    assert first.last_used == NOW
    world.clock.advance(LAST_USED_STEP.total_seconds() - 1)
    await world.keys.used(first)
    assert await world.keys.get(ACME, new.key.id) == first
    world.clock.advance(1)
    await world.keys.used(first)
    assert (await world.keys.get(ACME, new.key.id)).last_used == NOW + LAST_USED_STEP


async def test_keys_that_have_ended_leave_room_for_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigie_identity.api_keys.MAX_PER_TENANT", 2)
    first, _ = await made(world), await made(world, expires=NOW + HOUR)
    with pytest.raises(LimitReached) as caught:
        await made(world)
    assert caught.value.status == 403
    await world.keys.revoke(ACME, first.key.id, BY)
    await made(world)
    world.clock.advance(3_600)
    await made(world)
    await made(world, RIVAL)


async def test_a_key_that_could_do_nothing_is_not_made(world: World) -> None:
    with pytest.raises(InvalidField):
        await world.keys.create(ACME, "k", [], BY)
    with pytest.raises(InvalidField):
        await made(world, expires=NOW)
    with pytest.raises(InvalidField):
        await made(world, expires=(NOW + HOUR).replace(tzinfo=None))
    with pytest.raises(NotFound):
        await made(world, TenantId("nobody"))


async def test_only_the_key_of_an_agent_is_bound_to_a_host_and_its_successor_is_too(world: World) -> None:
    for scopes in ([Scope.WRITE], [Scope.AGENT, Scope.READ]):
        with pytest.raises(InvalidField) as caught:
            await world.keys.create(ACME, "agent", scopes, BY, host="web-1")
        assert caught.value.field == "host"
    for host in ("", "../web", "web 1", "-"):
        with pytest.raises(InvalidField, match="host"):
            await world.keys.create(ACME, "agent", [Scope.AGENT], BY, host=host)
    old = await world.keys.create(ACME, "agent", [Scope.AGENT], BY, host="web-1")
    new = await world.keys.rotate(ACME, old.key.id, BY)
    assert (old.key.host, new.key.host) == ("web-1", "web-1")
    assert (await world.keys.find(new.secret)) == new.key
    free = await world.keys.create(ACME, "agent", [Scope.AGENT], BY)
    assert free.key.host is None
