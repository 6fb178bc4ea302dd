"""Bearer tokens: the good one passes, and each way to forge or stretch one is refused for the reason it deserves."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from vigie_contracts.tenants import TenantId
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.foreign import ForeignClaims
from vigie_identity.jwks import Jwks, http_client
from vigie_identity.permissions import ROLES, Permission, Role
from vigie_identity.tokens import LONGEST_S, OWN_TYPE, Issuer, SharedSecret, Signer, Verified, Verifier
from vigie_runtime.clock import ManualClock

from .conftest import NOW_MS
from .jwks_server import EC_KEY, OTHER_RSA_KEY, RSA_KEY, issuer_server, public

NOW = NOW_MS // 1000
SECRET, SHARED, WRONG = b"own" * 16, b"shared" * 8, b"wrong" * 10
SKEW = 30
HS = frozenset({"HS256"})


def own_verifier(clock: ManualClock) -> Verifier:
    own = Issuer("vigie", HS, SharedSecret(SECRET), own=True)
    return Verifier([own, Issuer("partner", HS, SharedSecret(SHARED))], "vigie", SKEW, clock)


@pytest.fixture
async def verifier(clock: ManualClock) -> AsyncIterator[Verifier]:
    """Believes ourselves, a partner with a shared secret, and an identity provider with keys at a URL."""
    async with issuer_server() as server, http_client() as client:
        server.entries = [public(RSA_KEY, "r1"), public(EC_KEY, "e1")]
        jwks = Jwks(server.url, ["RS256", "ES256"], client, clock)
        issuers = [
            Issuer("vigie", HS, SharedSecret(SECRET), own=True),
            Issuer("partner", HS, SharedSecret(SHARED)),
            Issuer("https://idp", frozenset({"RS256", "ES256"}), jwks),
        ]
        yield Verifier(issuers, "vigie", SKEW, clock)
        await jwks.close()


def claims(issuer: str = "https://idp", **more: Any) -> dict[str, Any]:
    all_ = {"iss": issuer, "aud": "vigie", "sub": "alice", "iat": NOW, "exp": NOW + 600, **more}
    return {name: value for name, value in all_.items() if value is not None}


def signed(content: dict[str, Any], key: Any = RSA_KEY, algorithm: str = "RS256", **header: Any) -> str:
    return jwt.encode(content, key, algorithm, {"kid": "e1" if algorithm == "ES256" else "r1", **header})


def raw(header: object, payload: object, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def refused(verifier: Verifier, token: str) -> RefusalReason | None:
    with pytest.raises(BadCredential) as caught:
        await verifier.verify(token)
    assert caught.value.status == 401
    assert caught.value.detail == BadCredential(RefusalReason.EXPIRED).detail, "the answer tells no reason"
    return caught.value.reason


async def test_tokens_of_every_issuer_we_believe_are_good(verifier: Verifier, clock: ManualClock) -> None:
    own = await verifier.verify(Signer(SECRET, "vigie", "vigie", 600, clock).sign("u-1", "s-1", 3).token)
    assert (own.own, own.claims["sub"], own.claims["sid"], own.claims["epoch"]) == (True, "u-1", "s-1", 3)
    assert own.expires == NOW + 600
    for token, issuer in (
        (signed(claims("partner"), SHARED, "HS256"), "partner"),
        (signed(claims()), "https://idp"),
        (signed(claims(), EC_KEY, "ES256"), "https://idp"),
        (jwt.encode(claims(), RSA_KEY, "RS256"), "https://idp"),
        (signed(claims(aud=["other", "vigie"])), "https://idp"),
    ):
        verified = await verifier.verify(token)
        assert (verified.own, verified.issuer, verified.claims["sub"]) == (False, issuer, "alice")


async def test_a_public_key_is_never_a_secret(verifier: Verifier) -> None:
    for pem in (
        RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(public(RSA_KEY, "r1")).encode(),
    ):
        head = raw({"alg": "HS256", "typ": "JWT", "kid": "r1"}, claims()).rpartition(".")[0]
        forged = head + "." + base64.urlsafe_b64encode(_hmac(pem, head.encode())).rstrip(b"=").decode()
        assert await refused(verifier, forged) is RefusalReason.ALGORITHM


async def test_an_issuer_signs_only_with_its_own_algorithms_and_keys(verifier: Verifier) -> None:
    assert await refused(verifier, signed(claims("vigie"), RSA_KEY, "RS256")) is RefusalReason.ALGORITHM
    assert await refused(verifier, signed(claims("partner"), EC_KEY, "ES256")) is RefusalReason.ALGORITHM
    assert await refused(verifier, signed(claims("vigie"), SHARED, "HS256", typ=OWN_TYPE)) is RefusalReason.SIGNATURE
    assert await refused(verifier, signed(claims("partner"), SECRET, "HS256")) is RefusalReason.SIGNATURE
    assert await refused(verifier, signed(claims(), OTHER_RSA_KEY)) is RefusalReason.SIGNATURE
    assert await refused(verifier, signed(claims(), OTHER_RSA_KEY, kid="r2")) is RefusalReason.KEY_UNKNOWN
    assert await refused(verifier, signed(claims(), RSA_KEY, "RS512")) is RefusalReason.ALGORITHM
    assert await refused(verifier, signed(claims(), RSA_KEY, "PS256")) is RefusalReason.ALGORITHM
    embedded = signed(claims(), OTHER_RSA_KEY, jwk=public(OTHER_RSA_KEY, "r1"), jku="http://evil", x5u="http://evil")
    assert await refused(verifier, embedded) is RefusalReason.SIGNATURE


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 1, ["HS256"], {"a": 1}])
@pytest.mark.parametrize("issuer", ["vigie", "partner", "https://idp"])
async def test_a_token_without_a_signature_is_refused(verifier: Verifier, issuer: str, algorithm: object) -> None:
    forged = raw({"alg": algorithm, "typ": OWN_TYPE}, claims(issuer))
    assert await refused(verifier, forged) in {RefusalReason.ALGORITHM, RefusalReason.MALFORMED}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"aud": "other"}, RefusalReason.AUDIENCE),
        ({"aud": ["a", "b"]}, RefusalReason.AUDIENCE),
        ({"aud": None}, RefusalReason.CLAIMS),
        ({"aud": 1}, RefusalReason.AUDIENCE),
        ({"iss": "https://evil"}, RefusalReason.ISSUER),
        ({"iss": None}, RefusalReason.ISSUER),
        ({"iss": ["https://idp"]}, RefusalReason.MALFORMED),
        ({"sub": None}, RefusalReason.CLAIMS),
        ({"sub": 7}, RefusalReason.CLAIMS),
        ({"exp": None}, RefusalReason.CLAIMS),
        ({"exp": "tomorrow"}, RefusalReason.CLAIMS),
        ({"exp": str(NOW + 600)}, RefusalReason.CLAIMS),
        ({"exp": True}, RefusalReason.CLAIMS),
        ({"exp": float("inf")}, RefusalReason.MALFORMED),
        ({"exp": -1}, RefusalReason.CLAIMS),
        ({"exp": NOW - SKEW}, RefusalReason.EXPIRED),
        ({"exp": 0}, RefusalReason.EXPIRED),
        ({"exp": -(10**400)}, RefusalReason.CLAIMS),
        ({"iat": 10**400}, RefusalReason.NOT_YET),
        ({"exp": 10**400, "iat": NOW - 86_400 - SKEW}, RefusalReason.EXPIRED),
        ({"iat": None}, RefusalReason.CLAIMS),
        ({"iat": NOW + SKEW + 1}, RefusalReason.NOT_YET),
        ({"nbf": NOW + SKEW + 1}, RefusalReason.NOT_YET),
        ({"nbf": "now"}, RefusalReason.CLAIMS),
        ({"nbf": float("nan")}, RefusalReason.MALFORMED),
    ],
)
async def test_a_claim_that_is_wrong_or_missing_is_refused(
    verifier: Verifier, changed: dict[str, Any], reason: RefusalReason
) -> None:
    assert await refused(verifier, raw_signed(claims(**changed))) is reason


@pytest.mark.parametrize(
    "changed", [{"exp": NOW - SKEW + 1}, {"nbf": NOW + SKEW}, {"iat": NOW + SKEW}, {"exp": 10**300}, {"exp": 10**400}]
)
async def test_clocks_may_differ_by_the_skew(verifier: Verifier, changed: dict[str, Any]) -> None:
    assert (await verifier.verify(raw_signed(claims(**changed)))).claims["sub"] == "alice"


async def test_a_token_stops_working_when_its_time_is_over(verifier: Verifier, clock: ManualClock) -> None:
    token = Signer(SECRET, "vigie", "vigie", 600, clock).sign("u-1", "s-1", 0).token
    clock.advance(600 + SKEW - 1)
    await verifier.verify(token)
    clock.advance(1)
    assert await refused(verifier, token) is RefusalReason.EXPIRED


async def test_a_token_of_another_type_is_not_one_of_our_access_tokens(verifier: Verifier) -> None:
    assert await refused(verifier, signed(claims("vigie"), SECRET, "HS256", typ="JWT")) is RefusalReason.TYPE


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+JWT", None])
async def test_an_access_token_of_another_issuer_may_say_its_type(verifier: Verifier, typ: str | None) -> None:
    await verifier.verify(signed(claims(), typ=typ))


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "secevent+jwt", "", 1, ["JWT"]])
async def test_what_another_issuer_signed_for_another_use_is_no_access_token(verifier: Verifier, typ: object) -> None:
    assert await refused(verifier, raw_signed(claims(), typ=typ)) is RefusalReason.TYPE


async def test_no_token_is_believed_for_longer_than_a_day_after_it_was_issued(
    verifier: Verifier, clock: ManualClock
) -> None:
    token = signed(claims(exp=NOW + 10 * 86_400))
    assert (await verifier.verify(token)).expires == NOW + LONGEST_S
    clock.advance(LONGEST_S + SKEW - 1)
    await verifier.verify(token)
    clock.advance(1)
    assert await refused(verifier, token) is RefusalReason.EXPIRED


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "...", "a.b.c", "\udc80.\udc80.\udc80", "é.é.é", "x" * 9_000, raw([], claims()), raw({}, []),
        raw({"alg": "HS256"}, "text"), raw({"alg": "HS256", "kid": 1}, claims()), raw(None, None),
        raw({"alg": "RS256", "crit": ["exp"], "exp": 1}, claims()),
        raw({"alg": "RS256", "crit": ["b64"], "b64": False}, claims()),
        ".".join([base64.urlsafe_b64encode(b"[" * 2_000).decode()] * 3),
        ".".join([base64.urlsafe_b64encode(b'{"alg":"HS256","a":' + b"[" * 2_000).decode(), "e30", ""]),
    ],
)  # fmt: skip
async def test_what_is_no_token_is_refused(verifier: Verifier, token: str) -> None:
    assert await refused(verifier, token) is not None


TOKEN = Signer(SECRET, "vigie", "vigie", 600, ManualClock(NOW_MS)).sign("u-1", "s-1", 0).token


@given(place=st.integers(0, len(TOKEN) - 1), other=st.sampled_from("ABCDEFGHabcdefgh0123-_."))
@settings(max_examples=200, deadline=None)
async def test_a_token_with_one_other_character_is_refused(place: int, other: str) -> None:
    # The last character of a part holds bits that mean nothing; changing those gives the same token in other letters.
    assume(not _same_bytes(TOKEN, place, other))
    with pytest.raises(BadCredential):
        await own_verifier(ManualClock(NOW_MS)).verify(TOKEN[:place] + other + TOKEN[place + 1 :])


@given(st.text(max_size=200) | st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(
    lambda parts: ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)))  # fmt: skip
@settings(max_examples=200)
async def test_no_text_breaks_the_verification(token: str) -> None:
    with pytest.raises(BadCredential):
        await own_verifier(ManualClock(NOW_MS)).verify(token)


def test_secrets_and_tokens_are_not_shown(clock: ManualClock) -> None:
    token = Signer(SECRET, "vigie", "vigie", 600, clock).sign("u-1", "s-1", 0)
    assert token.token not in repr(token)
    assert "own" * 16 not in repr(SharedSecret(SECRET)) + repr(Issuer("vigie", HS, SharedSecret(SECRET)))


ACME, RIVAL = TenantId("acme"), TenantId("rival")


def foreign(**more: Any) -> Verified:
    return Verified(own=False, issuer="https://idp", claims=claims(**more), expires=NOW + 600)


def test_a_foreign_token_gives_its_roles_in_its_active_tenants_only() -> None:
    verified = foreign(
        roles=["user", "baker"], tenants=["acme", "rival", "no such!", 7], sites=["s1", "a b"], apps="x y"
    )
    principal = ForeignClaims().principal(verified, {ACME})
    assert (principal.roles, principal.permissions(ACME)) == ({Role.USER}, ROLES[Role.USER])
    assert principal.belongs_to(ACME)
    assert not principal.belongs_to(RIVAL)
    assert principal.sites(ACME) == {"s1"}
    assert principal.apps(ACME) == {"x", "y"}
    assert principal.id == "https://idp|alice"
    assert ForeignClaims().tenants_of(verified) == {ACME, RIVAL}


def test_platform_wide_roles_of_foreign_tokens_are_believed_only_when_the_operator_says_so() -> None:
    verified = foreign(roles=["SUPERADMIN", "READONLY"], tenants="acme")
    careful = ForeignClaims().principal(verified, {ACME})
    assert (careful.roles, careful.everywhere) == ({Role.READONLY}, False)
    trusting = ForeignClaims(platform_roles=True).principal(verified, {ACME})
    assert (trusting.roles, trusting.everywhere) == ({Role.SUPERADMIN}, True)


def test_a_role_bound_to_tenants_does_not_hold_everywhere_beside_a_platform_wide_one() -> None:
    both = ForeignClaims(platform_roles=True).principal(foreign(roles=["SUPPORT", "ADMIN"], tenants=["acme"]), {ACME})
    assert both.permissions(RIVAL) == both.permissions(ACME) == ROLES[Role.SUPPORT]
    assert not both.may(Permission.USERS_MANAGE, RIVAL)


def test_a_foreign_token_may_carry_a_role_for_each_tenant() -> None:
    beta, gamma = TenantId("beta"), TenantId("gamma")
    tenants = {
        "acme": "ADMIN",
        "beta": ["readonly", "USER"],
        "gamma": "SUPERADMIN",
        "rival": "ADMIN",
        "no such!": "USER",
    }
    verified = foreign(tenants=tenants, roles=["ADMIN"], sites=["s1"])
    assert ForeignClaims().tenants_of(verified) == {ACME, beta, gamma, RIVAL}
    principal = ForeignClaims(platform_roles=True).principal(verified, {ACME, beta, gamma})
    assert principal.permissions(ACME) == ROLES[Role.ADMIN]
    assert principal.permissions(beta) == ROLES[Role.USER]
    assert principal.sites(beta) == {"s1"}
    assert (principal.belongs_to(gamma), principal.permissions(gamma)) == (True, frozenset())
    assert not principal.belongs_to(RIVAL)
    assert not principal.everywhere


texts = st.recursive(
    st.none() | st.text(max_size=9) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["roles", "tenants", "apps", "sites", "name"]), texts))
def test_odd_claims_give_no_permission(more: dict[str, Any]) -> None:
    principal = ForeignClaims().principal(foreign(**more), {ACME})
    assert not principal.everywhere
    assert all(principal.belongs_to(tenant) is False for tenant in (RIVAL, "x"))


def raw_signed(content: dict[str, Any], **header: object) -> str:
    """Signed by the identity provider, whatever the claims are: PyJWT itself refuses to make some of them."""
    head = raw({"alg": "RS256", "kid": "r1", **header}, content).rpartition(".")[0]
    signature = jwt.get_algorithm_by_name("RS256").sign(head.encode(), RSA_KEY)
    return head + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def _hmac(key: bytes, message: bytes) -> bytes:
    import hashlib
    import hmac

    return hmac.new(key, message, hashlib.sha256).digest()


def _same_bytes(token: str, i: int, other: str) -> bool:
    changed = token[:i] + other + token[i + 1 :]
    if changed.count(".") != 2:
        return False
    return [_decoded(part) for part in changed.split(".")] == [_decoded(part) for part in token.split(".")]


def _decoded(part: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return None
