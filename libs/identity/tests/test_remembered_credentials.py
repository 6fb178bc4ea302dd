"""What the authenticator keeps of credentials that it has seen: nothing of them, and not too much of who has them."""

import gc
from collections.abc import AsyncIterator
from types import FrameType, ModuleType, TracebackType
from typing import Any

import pytest
from vigie_contracts.tenants import TenantId
from vigie_identity.authenticator import _bytes_of
from vigie_identity.identity import Identity
from vigie_identity.permissions import Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind, assigned
from vigie_identity.sessions import ClientInfo

from .conftest import ACME, BY, PASSWORD, SHARED, World, bearer, key_of, partner, refusal, running, sessions_of


@pytest.fixture
async def made(world: World, redis_url: str) -> AsyncIterator[Identity]:
    async with running(world, redis_url, jwt_shared_secret=SHARED, jwt_shared_issuer="partner") as identity:
        yield identity


async def test_what_is_remembered_holds_no_credential(made: Identity, world: World) -> None:
    good = await key_of(world)
    bad = [good[:-1] + "!", partner(exp=1), partner() + "x", "vk_0123456789abcdef_" + "A" * 43]
    await bearer(made, good)
    for sent in bad:
        await refusal(bearer(made, sent))
    cache = made.authenticator._cache
    assert (len(cache._known), len(cache._rejected)) == (1, 4)
    kept = reachable([cache._known, cache._rejected])
    assert not [one for one in kept if isinstance(one, BaseException | FrameType | TracebackType)]
    texts = [one.encode() if isinstance(one, str) else one for one in kept if isinstance(one, str | bytes)]
    assert not [text for text in texts for sent in (good, *bad) if sent[20:].encode() in text]


def reachable(roots: list[Any]) -> list[Any]:
    """Everything that is kept alive by these, except what classes and modules hold."""
    seen: dict[int, Any] = {}
    todo = list(roots)
    while todo:
        one = todo.pop()
        if id(one) not in seen and not isinstance(one, type | ModuleType):
            seen[id(one)] = one
            todo += gc.get_referents(one)
    return list(seen.values())


async def test_who_has_many_places_takes_more_of_the_cache(made: Identity, world: World) -> None:
    places = [f"{'site':s<100}{i}" for i in range(1_000)]
    user = await world.users.create(ACME, "many", PASSWORD, Role.USER, BY, apps=places, sites=places)
    await world.user()
    for name in ("many", "alice"):
        await bearer(made, (await sessions_of(made).login(name, PASSWORD, ClientInfo(), ACME)).access)
    sizes = {known.value.id == user.id: known.weight for known in made.authenticator._cache._known.values()}
    assert sizes[True] > 200_000
    assert sizes[False] < 10_000
    assert made.authenticator._cache._weight == sum(sizes.values())


def test_places_that_tenants_share_are_weighed_once() -> None:
    sites = frozenset(f"site{i}" for i in range(1_000))
    several = [Assignment.of(TenantId(f"t{i}"), Role.USER, sites=sites) for i in range(100)]
    one = Principal(PrincipalKind.EXTERNAL, "e", "e", assignments=assigned(several[0]))
    many = Principal(PrincipalKind.EXTERNAL, "e", "e", assignments=assigned(*several))
    assert _bytes_of(one) < _bytes_of(many) < 2 * _bytes_of(one)
