"""The keys of an issuer: which are usable, when they are fetched, and that nobody can have them fetched at will."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st
from jwt import PyJWK
from vigie_identity import jwks as module
from vigie_identity.errors import BadCredential, IssuerUnavailable
from vigie_identity.jwks import (
    FRESH_S,
    MISS_INTERVAL_S,
    REFRESH_S,
    RETRY_S,
    STALE_S,
    Jwks,
    JwksError,
    http_client,
    usable_keys,
)
from vigie_runtime.clock import ManualClock
from vigie_runtime.errors import Busy

from tests.kit.wait import eventually

from .jwks_server import EC_KEY, OTHER_RSA_KEY, RSA_KEY, SMALL_RSA_KEY, IssuerServer, issuer_server, public

BOTH = frozenset({"RS256", "ES256"})


@pytest.fixture
async def issuer() -> AsyncIterator[IssuerServer]:
    async with issuer_server() as server:
        server.entries = [public(RSA_KEY, "r1"), public(EC_KEY, "e1")]
        yield server


@pytest.fixture
async def jwks(issuer: IssuerServer, clock: ManualClock) -> AsyncIterator[Jwks]:
    async with http_client() as client:
        made = Jwks(issuer.url, BOTH, client, clock)
        yield made
        await made.close()


def document(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"keys": entries}).encode()


def test_only_public_signing_keys_of_the_right_kind_are_usable() -> None:
    private = {**public(RSA_KEY, "private"), "d": "AQAB"}
    keys = usable_keys(
        document(
            public(RSA_KEY, "r1"),
            public(EC_KEY, "e1"),
            public(OTHER_RSA_KEY, "enc", use="enc"),
            public(OTHER_RSA_KEY, "rs512", alg="RS512"),
            public(SMALL_RSA_KEY, "small"),
            private,
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
            {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
            {"kid": "nothing"},
            {"kty": ["RSA"], "kid": {"a": 1}},
        ),
        BOTH,
    )
    assert set(keys) == {("r1", "RS256"), ("e1", "ES256"), (None, "RS256"), (None, "ES256")}
    assert set(usable_keys(document(public(RSA_KEY, "r1"), public(EC_KEY, "e1")), frozenset({"ES256"}))) == {
        ("e1", "ES256"), (None, "ES256"),
    }  # fmt: skip


def test_a_token_must_say_which_of_several_keys() -> None:
    keys = usable_keys(document(public(RSA_KEY, "r1"), public(OTHER_RSA_KEY, "r2")), BOTH)
    assert set(keys) == {("r1", "RS256"), ("r2", "RS256")}
    assert (None, "RS256") not in usable_keys(document(public(RSA_KEY, None), public(OTHER_RSA_KEY, "r2")), BOTH)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [1]}', b"[" * 50_000, b"\xff"])
def test_what_is_no_set_of_keys_is_refused(body: bytes) -> None:
    with pytest.raises(JwksError):
        usable_keys(body, BOTH)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["kty", "kid", "n", "e", "x", "y", "crv", "use", "alg"]),
            json_values | st.sampled_from(["RSA", "EC", "P-256", "sig", "AQAB"]),
            max_size=8,
        ),
        max_size=4,
    )
)
def test_odd_entries_are_passed_over(entries: list[dict[str, Any]]) -> None:
    usable_keys(json.dumps({"keys": entries}).encode(), BOTH)


async def test_keys_are_fetched_once_for_all_who_wait(jwks: Jwks, issuer: IssuerServer) -> None:
    issuer.open.clear()
    waiting = [asyncio.ensure_future(jwks.key(kid, alg)) for kid, alg in [("r1", "RS256"), ("e1", "ES256")] * 20]
    await eventually(lambda: issuer.asked == 1)
    waiting[0].cancel()  # the one who asked first goes away
    issuer.open.set()
    assert len(await asyncio.gather(*waiting[1:])) == 39
    await jwks.key("r1", "RS256")
    assert issuer.asked == 1


async def test_a_new_key_of_the_issuer_is_found_at_once_but_unknown_ids_do_not_ask_again_and_again(
    jwks: Jwks, issuer: IssuerServer, clock: ManualClock
) -> None:
    await jwks.key("r1", "RS256")
    clock.advance(MISS_INTERVAL_S)
    issuer.entries = [public(OTHER_RSA_KEY, "r2")]
    await jwks.key("r2", "RS256")
    assert issuer.asked == 2
    for i in range(50):
        with pytest.raises(BadCredential):
            await jwks.key(f"guess-{i}", "RS256")
    assert issuer.asked == 2
    with pytest.raises(BadCredential):  # withdrawn
        await jwks.key("r1", "RS256")
    clock.advance(MISS_INTERVAL_S)
    with pytest.raises(BadCredential):
        await jwks.key("guess", "RS256")
    assert issuer.asked == 3


async def test_a_key_serves_one_algorithm_only(jwks: Jwks) -> None:
    for kid, algorithm in (("r1", "ES256"), ("e1", "RS256"), ("r1", "HS256")):
        with pytest.raises(BadCredential):
            await jwks.key(kid, algorithm)


async def test_old_keys_serve_while_new_ones_are_fetched_beside(
    jwks: Jwks, issuer: IssuerServer, clock: ManualClock
) -> None:
    await jwks.key("r1", "RS256")
    clock.advance(REFRESH_S)
    issuer.entries = [public(OTHER_RSA_KEY, "r2")]
    issuer.open.clear()
    await jwks.key("r1", "RS256")
    await eventually(lambda: issuer.asked == 2)
    await jwks.key("r1", "RS256")
    issuer.open.set()

    async def withdrawn() -> bool:
        try:
            await jwks.key("r1", "RS256")
        except BadCredential:
            return True
        return False

    await eventually(withdrawn)
    assert issuer.asked == 2


async def test_after_a_pause_the_issuer_is_asked_before_its_keys_are_believed(
    jwks: Jwks, issuer: IssuerServer, clock: ManualClock
) -> None:
    await jwks.key("r1", "RS256")
    issuer.entries = [public(OTHER_RSA_KEY, "r2")]
    clock.advance(FRESH_S)
    with pytest.raises(BadCredential):
        await jwks.key("r1", "RS256")


async def test_an_issuer_that_fails_is_waited_for_once_and_then_asked_beside(
    jwks: Jwks, issuer: IssuerServer, clock: ManualClock
) -> None:
    await jwks.key("r1", "RS256")
    issuer.status = 500
    clock.advance(FRESH_S)
    await jwks.key("r1", "RS256")
    assert issuer.asked == 2
    issuer.open.clear()
    clock.advance(RETRY_S)
    await jwks.key("r1", "RS256")
    await eventually(lambda: issuer.asked == 3)
    issuer.open.set()


async def test_only_so_many_tokens_wait_for_the_issuer(
    jwks: Jwks, issuer: IssuerServer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await jwks.key("r1", "RS256")
    clock.advance(MISS_INTERVAL_S)
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    issuer.open.clear()
    waiting = [asyncio.ensure_future(jwks.key(f"guess-{i}", "RS256")) for i in range(5)]
    await eventually(lambda: sum(one.done() for one in waiting) == 3)
    await jwks.key("r1", "RS256")  # needs no answer of the issuer
    issuer.open.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [BadCredential] * 2 + [Busy] * 3
    assert jwks._waiting == 0


def test_a_key_that_this_machine_cannot_use_is_passed_over_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(entry: dict[str, Any], algorithm: str) -> PyJWK:
        if entry["kid"] == "odd":
            raise UnsupportedAlgorithm("not in this OpenSSL")
        return PyJWK(entry, algorithm)

    monkeypatch.setattr(module, "PyJWK", refusing)
    keys = usable_keys(document(public(OTHER_RSA_KEY, "odd"), public(RSA_KEY, "r1")), BOTH)
    assert set(keys) == {("r1", "RS256"), (None, "RS256")}


async def test_an_issuer_that_is_away_is_tolerated_for_an_hour_and_then_nothing_is_believed(
    jwks: Jwks, issuer: IssuerServer, clock: ManualClock
) -> None:
    await jwks.key("r1", "RS256")
    issuer.status = 500
    clock.advance(STALE_S - 1)
    await jwks.key("r1", "RS256")
    await eventually(lambda: issuer.asked == 2 and jwks._fetching is None)
    clock.advance(1)
    with pytest.raises(IssuerUnavailable) as caught:
        await jwks.key("r1", "RS256")
    assert (caught.value.status, caught.value.headers()) == (503, {"retry-after": "2"})
    with pytest.raises(IssuerUnavailable):
        await jwks.key("r1", "RS256")
    asked = issuer.asked
    issuer.status = 200
    clock.advance(RETRY_S)
    await jwks.key("r1", "RS256")
    assert issuer.asked == asked + 1


@pytest.mark.parametrize(
    ("status", "raw"), [(404, None), (302, None), (200, b"<html>"), (200, b'{"keys": [' + b" " * 600_000 + b"]}")]
)
async def test_an_answer_that_is_no_set_of_keys_is_no_answer(
    jwks: Jwks, issuer: IssuerServer, status: int, raw: bytes | None
) -> None:
    issuer.status, issuer.raw = status, raw
    with pytest.raises(IssuerUnavailable):
        await jwks.key("r1", "RS256")
    assert issuer.asked == 1, "no redirect is followed"


async def test_an_issuer_that_never_answers_is_given_up(
    jwks: Jwks, issuer: IssuerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_TIMEOUT_S", 0.2)
    issuer.open.clear()
    async with asyncio.timeout(5):
        with pytest.raises(IssuerUnavailable):
            await jwks.key("r1", "RS256")


async def test_an_issuer_nobody_listens_at_is_unavailable(clock: ManualClock) -> None:
    async with http_client() as client:
        with pytest.raises(IssuerUnavailable):
            await Jwks("http://127.0.0.1:1/jwks", BOTH, client, clock).key("r1", "RS256")
