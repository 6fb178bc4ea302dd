"""Headers to principals: what is sent must be good, what is known is quick, and what was revoked stops in time."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vigie_contracts.tenants import PLATFORM, TenantId
from vigie_identity import credential_cache as module
from vigie_identity.authenticator import sent_credential
from vigie_identity.credential_cache import MAX_REJECTED, MAX_STALE_S, TTL_S
from vigie_identity.errors import (
    BadCredential,
    CredentialMissing,
    NotFound,
    RefusalReason,
    TenantInactive,
    TwoCredentials,
    WrongLogin,
)
from vigie_identity.identity import Identity
from vigie_identity.metrics import IDENTITY_METRICS, STALE, CacheName
from vigie_identity.permissions import ROLES, SCOPES, Permission, Role, Scope
from vigie_identity.principal import PrincipalKind
from vigie_identity.sessions import ClientInfo
from vigie_identity.tenants import Status
from vigie_runtime.errors import Busy, StoreUnavailable
from vigie_runtime.metrics import MetricSet

from tests.kit.wait import eventually

from .conftest import (
    ACME,
    BY,
    NOW_MS,
    PASSWORD,
    RIVAL,
    SHARED,
    World,
    bearer,
    key_of,
    partner,
    refusal,
    running,
    sessions_of,
    who,
)
from .jwks_server import RSA_KEY, issuer_server, public

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


@pytest.fixture
def metrics() -> MetricSet:
    return MetricSet(IDENTITY_METRICS)


@pytest.fixture
async def made(world: World, redis_url: str, metrics: MetricSet) -> AsyncIterator[Identity]:
    shared = {"jwt_shared_secret": SHARED, "jwt_shared_issuer": "partner"}
    async with running(world, redis_url, metrics, anonymous="default:read,telemetry", **shared) as identity:
        yield identity


async def test_a_key_is_taken_from_either_header(made: Identity, world: World) -> None:
    secret = await key_of(world, ACME, Scope.WRITE)
    for header in [
        ("x-api-key", secret),
        ("authorization", f"Bearer {secret}"),
        ("authorization", f" bearer  {secret} "),
    ]:
        principal = await who(made, ("accept", "*/*"), header)
        assert principal.kind is PrincipalKind.KEY
        assert principal.tenant(Permission.DATA_WRITE) == ACME
        assert principal.permissions(ACME) == SCOPES[Scope.WRITE]
        assert secret not in repr(principal)
        assert principal.id == secret[:19]


async def test_without_a_credential_one_is_anonymous_and_may_what_the_setting_says(
    made: Identity, world: World
) -> None:
    await world.tenants.ensure(TenantId("default"))
    nobody = await who(made, ("accept", "*/*"))
    assert nobody.kind is PrincipalKind.ANONYMOUS
    assert nobody.tenant(Permission.METRICS_READ) == "default"
    assert nobody.may(Permission.TELEMETRY_SEND, ACME)
    assert not nobody.may(Permission.DATA_WRITE, "default")


async def test_anonymous_callers_may_nothing_in_a_tenant_that_is_not_active(made: Identity, world: World) -> None:
    default = TenantId("default")

    async def reads() -> bool:
        nobody = await who(made)
        assert nobody.may(Permission.TELEMETRY_SEND, ACME)
        return nobody.may(Permission.METRICS_READ, default)

    assert not await reads(), "there is no such tenant"
    await world.tenants.ensure(default)
    world.clock.advance(TTL_S)
    assert await reads()
    await world.tenants.change(default, BY, status=Status.INACTIVE)
    world.clock.advance(TTL_S)
    assert not await reads()
    with pytest.raises(CredentialMissing):
        (await who(made)).tenant(Permission.METRICS_READ)
    await world.tenants.change(default, BY, status=Status.ACTIVE)
    world.clock.advance(TTL_S)
    assert await reads()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", ""),
        ("authorization", "Bearer"),
        ("authorization", "Bearer "),
        ("authorization", "Basic YWRtaW46YWRtaW4="),
        ("authorization", "Bearer vk_0123456789abcdef_" + "A" * 43),
        ("authorization", "Bearer x.y.z"),
        ("authorization", "Bearer " + "x" * 10_000),
        ("authorization", "Bearer \u00e9"),
        ("x-api-key", ""),
        ("x-api-key", "vk_"),
        ("x-api-key", "secret"),
        ("x-api-key", partner()),
    ],
)
async def test_a_credential_that_is_sent_must_be_good_also_where_none_is_needed(
    made: Identity, name: str, value: str
) -> None:
    error = await refusal(who(made, (name, value)))
    assert isinstance(error, BadCredential)
    assert error.headers() == {"www-authenticate": 'Bearer realm="vigie", error="invalid_token"'}


async def test_two_credentials_are_refused_even_when_both_are_good(made: Identity, world: World) -> None:
    secret = await key_of(world)
    for headers in (
        [("x-api-key", secret), ("authorization", f"Bearer {secret}")],
        [("authorization", f"Bearer {secret}"), ("authorization", f"Bearer {secret}")],
        [("x-api-key", secret), ("x-api-key", secret)],
    ):
        assert isinstance(await refusal(who(made, *headers)), TwoCredentials)


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"host"]), st.binary(max_size=40))))
def test_no_headers_break_the_reading(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        sent = sent_credential(headers)
    except (BadCredential, TwoCredentials):
        return
    assert (sent is None) == all(name == b"host" for name, _ in headers)


async def test_whatever_is_wrong_with_a_credential_the_answer_is_the_same(made: Identity, world: World) -> None:
    revoked, expired = await key_of(world), await key_of(world, expires=NOW + timedelta(seconds=1))
    await world.keys.revoke(ACME, revoked[3:19], BY)
    await world.keys.revoke(RIVAL, (await key_of(world, RIVAL))[3:19], BY)
    world.clock.advance(1)
    unknown = "vk_0123456789abcdef_" + "A" * 43
    other_secret = revoked[:19] + "_" + "A" * 43
    old = partner(exp=NOW_MS // 1000 - 60)
    answers = [await refusal(bearer(made, sent)) for sent in (revoked, expired, unknown, other_secret, old, "x.y.z")]
    assert len({(error.problem("/").detail, str(error.headers())) for error in answers}) == 1
    reasons = [error.reason for error in answers if isinstance(error, BadCredential)]
    assert reasons == [
        RefusalReason.REVOKED, RefusalReason.EXPIRED, RefusalReason.KEY_UNKNOWN, RefusalReason.KEY_UNKNOWN,
        RefusalReason.EXPIRED, RefusalReason.MALFORMED,
    ]  # fmt: skip


async def test_a_key_of_one_tenant_sees_nothing_of_another(made: Identity, world: World) -> None:
    principal = await bearer(made, await key_of(world, ACME, Scope.READ, Scope.WRITE))
    for tenant in (RIVAL, "no-such-tenant"):
        for permission in Permission:
            with pytest.raises(NotFound) as caught:
                principal.tenant(permission, tenant)
            assert caught.value.problem("/") == NotFound("tenant").problem("/")


async def test_a_token_of_another_issuer_holds_in_its_active_tenants(made: Identity, world: World) -> None:
    await world.tenants.change(RIVAL, BY, status=Status.INACTIVE)
    token = partner(roles=["ADMIN", "SUPERADMIN"], tenants=["acme", "rival", "no-such-tenant"])
    principal = await bearer(made, token)
    assert principal.kind is PrincipalKind.EXTERNAL
    assert principal.roles == {Role.ADMIN}
    assert [tenant for tenant in ("acme", "rival", "no-such-tenant") if principal.belongs_to(tenant)] == ["acme"]


async def test_keys_of_an_identity_provider_are_fetched_and_used(world: World) -> None:
    async with issuer_server() as server:
        server.entries = [public(RSA_KEY, "r1")]
        async with running(world, jwt_jwks_url=server.url, jwt_jwks_issuer="https://idp") as made:
            claims = {
                "iss": "https://idp",
                "aud": "vigie",
                "sub": "eve",
                "iat": NOW_MS // 1000,
                "exp": NOW_MS // 1000 + 9,
            }
            token = jwt.encode({**claims, "tenants": "acme", "roles": "USER"}, RSA_KEY, "RS256", {"kid": "r1"})
            assert (await bearer(made, token)).belongs_to(ACME)
            confused = jwt.encode({**claims, "tenants": "acme"}, "x" * 40, "HS256", {"kid": "r1"})
            assert isinstance(await refusal(bearer(made, confused)), BadCredential)


async def test_a_revoked_key_stops_within_the_stated_time(made: Identity, world: World) -> None:
    secret = await key_of(world)
    await bearer(made, secret)
    await world.keys.revoke(ACME, secret[3:19], BY)
    world.clock.advance(TTL_S - 0.01)
    await bearer(made, secret)
    world.clock.advance(0.01)
    assert isinstance(await refusal(bearer(made, secret)), BadCredential)
    assert isinstance(await refusal(bearer(made, secret)), BadCredential)


async def test_a_key_and_a_token_stop_at_the_instant_they_expire_although_they_are_known(
    made: Identity, world: World
) -> None:
    secret = await key_of(world, expires=NOW + timedelta(seconds=2))
    await bearer(made, secret)
    world.clock.advance(1.99)
    await bearer(made, secret)
    world.clock.advance(0.01)
    assert isinstance(await refusal(bearer(made, secret)), BadCredential)


async def test_a_tenant_that_is_switched_off_is_shut_out_and_let_in_again(made: Identity, world: World) -> None:
    secret = await key_of(world)
    await bearer(made, secret)
    await world.tenants.change(ACME, BY, status=Status.INACTIVE)
    world.clock.advance(TTL_S)
    assert isinstance(await refusal(bearer(made, secret)), TenantInactive)
    assert isinstance(await refusal(bearer(made, secret)), TenantInactive)
    await world.tenants.change(ACME, BY, status=Status.ACTIVE)
    world.clock.advance(TTL_S)
    await bearer(made, secret)


async def test_a_changed_role_holds_within_the_stated_time(made: Identity, world: World) -> None:
    user = await world.user()
    token = (await sessions_of(made).login("alice", PASSWORD, ClientInfo(), ACME)).access
    assert not (await bearer(made, token)).may(Permission.USERS_MANAGE, ACME)
    await world.users.change(ACME, user.id, BY, role=Role.ADMIN)
    await world.users.assign(ACME, user.id, RIVAL, Role.READONLY, BY)
    world.clock.advance(TTL_S)
    principal = await bearer(made, token)
    assert principal.may(Permission.USERS_MANAGE, ACME)
    assert principal.permissions(RIVAL) == ROLES[Role.READONLY]


async def test_a_home_that_is_switched_off_shuts_its_users_out_of_further_tenants_too(
    made: Identity, world: World
) -> None:
    user = await world.user()
    await world.users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY)
    token = (await sessions_of(made).login("alice", PASSWORD, ClientInfo(), ACME)).access
    assert (await bearer(made, token)).belongs_to(RIVAL)
    await world.tenants.change(RIVAL, BY, status=Status.INACTIVE)
    world.clock.advance(TTL_S)
    assert not (await bearer(made, token)).belongs_to(RIVAL)
    await world.tenants.change(RIVAL, BY, status=Status.ACTIVE)
    await world.tenants.change(ACME, BY, status=Status.INACTIVE)
    world.clock.advance(TTL_S)
    assert isinstance(await refusal(bearer(made, token)), TenantInactive)


async def test_keys_and_users_of_a_deleted_tenant_are_nobodys(made: Identity, world: World) -> None:
    secret, user = await key_of(world), await world.user()
    await world.users.assign(ACME, user.id, RIVAL, Role.ADMIN, BY)
    token = (await sessions_of(made).login("alice", PASSWORD, ClientInfo(), ACME)).access
    await world.tenants.change(ACME, BY, status=Status.INACTIVE)
    await world.tenants.delete(ACME, BY)
    for sent in (secret, token):
        assert isinstance(await refusal(bearer(made, sent)), BadCredential)
    with pytest.raises(NotFound):
        await made.known_tenants.require(ACME)
    with pytest.raises(WrongLogin):
        await sessions_of(made).login("alice", PASSWORD, ClientInfo(), ACME)


async def test_the_use_of_a_key_is_noted_beside_the_request(made: Identity, world: World) -> None:
    secret = await key_of(world)
    await bearer(made, secret)

    async def noted() -> bool:
        return (await world.keys.get(ACME, secret[3:19])).last_used == NOW

    await eventually(noted)


async def test_one_look_up_serves_all_who_ask_at_once(made: Identity, world: World, monkeypatch: Any) -> None:
    secret = await key_of(world)
    looked = 0
    find = world.keys.find

    async def counting(sent: str) -> Any:
        nonlocal looked
        looked += 1
        return await find(sent)

    monkeypatch.setattr(made.keys, "find", counting)
    asking = [asyncio.ensure_future(bearer(made, secret)) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    assert len(await asyncio.gather(*asking[1:])) == 49
    assert looked == 1


async def test_guesses_are_bounded_in_memory_and_at_a_time(made: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    guesses = (f"vk_{i:016d}_{'A' * 43}" for i in range(10_000))
    monkeypatch.setattr(module, "MAX_FIRST_LOOKUPS", 4)
    answers = [await refusal(asking) for asking in [bearer(made, next(guesses)) for _ in range(3)]]
    assert all(isinstance(answer, BadCredential) for answer in answers)
    many = await asyncio.gather(*(bearer(made, next(guesses)) for _ in range(40)), return_exceptions=True)
    assert {type(answer) for answer in many} == {BadCredential, Busy}
    monkeypatch.setattr(module, "MAX_REJECTED", 5)
    for _ in range(10):
        await refusal(bearer(made, next(guesses)))
    assert len(made.authenticator._cache._rejected) == 5
    assert MAX_REJECTED > 5


async def test_who_is_known_stays_known_while_the_store_is_away_but_not_for_ever(
    made: Identity, metrics: MetricSet, world: World, mongo_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigie_storage.mongo.TIMEOUT_S", 0.5)
    known, expiring = await key_of(world), await key_of(world, expires=NOW + timedelta(seconds=60))
    new = await key_of(world)
    for secret in (known, expiring):
        await bearer(made, secret)
    data = {"failCommands": ["find"], "closeConnection": True, "appName": "vigie"}
    try:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
        world.clock.advance(TTL_S)
        begin = time.perf_counter()
        for _ in range(20):
            assert (await bearer(made, known)).belongs_to(ACME)
        assert time.perf_counter() - begin < 2, "one request waits a moment, the others do not"
        assert metrics.counter(STALE, what=CacheName.CREDENTIALS)._value.get() == 20
        assert isinstance(await refusal(bearer(made, new)), StoreUnavailable)
        world.clock.advance(60)
        assert isinstance(await refusal(bearer(made, expiring)), StoreUnavailable)
        world.clock.advance(MAX_STALE_S - 60 - TTL_S)
        assert isinstance(await refusal(bearer(made, known)), StoreUnavailable)
    finally:
        await mongo_client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    await eventually(lambda: not made.authenticator._cache._first)
    await bearer(made, known)


async def test_a_logout_that_redis_missed_is_heard_when_redis_forgets(world: World, redis_url: str) -> None:
    await world.user(PLATFORM, Role.SUPPORT, "support-of-this-test")
    async with running(world, redis_url) as made, running(world) as without_redis:
        tokens = await sessions_of(made).login("support-of-this-test", PASSWORD, ClientInfo())
        principal = await bearer(made, tokens.access)
        assert principal.session is not None
        await sessions_of(without_redis).logout(principal.session, principal.id, ClientInfo())
        world.clock.advance(TTL_S)
        await bearer(made, tokens.access)  # Redis still says so, for 30 seconds at most
        await made._stored_sessions._redis.delete(f"vigie:_identity:session:{principal.session}")
        world.clock.advance(TTL_S)
        assert isinstance(await refusal(bearer(made, tokens.access)), BadCredential)


async def test_without_a_secret_nobody_logs_in_and_keys_work(world: World) -> None:
    async with running(world, jwt_secret=None) as made:
        assert made.sessions is None
        await bearer(made, await key_of(world))
        forged = jwt.encode({"iss": "vigie", "aud": "vigie", "sub": "u", "iat": 1, "exp": 2**40}, "x" * 40, "HS256")
        assert isinstance(await refusal(bearer(made, forged)), BadCredential)


async def test_a_known_key_costs_microseconds(made: Identity, world: World) -> None:
    secret = await key_of(world)
    headers = [(b"host", b"vigie"), (b"content-type", b"application/json"), (b"x-api-key", secret.encode())]
    await made.authenticator.authenticate(headers)
    best = float("inf")
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(500):
            await made.authenticator.authenticate(headers)
        best = min(best, (time.perf_counter() - begin) / 500)
    assert best < 50e-6, f"{best * 1e6:.1f} us"
