"""What one address can do to all others, and what it is charged for."""

from __future__ import annotations

import asyncio
import random
import secrets
import string
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from vigie_api.settings import ApiSettings
from vigie_identity.passwords import HashCost, Passwords
from vigie_identity.permissions import Scope

from .conftest import Office, opened

pytestmark = [pytest.mark.connected]

READ = "/api/series"
LIMIT = 50
MANY = 300


@pytest_asyncio.fixture(loop_scope="session")
async def strict(office_settings: ApiSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """An office that allows an address little."""
    cheap = HashCost(memory_kib=64, passes=1, lanes=1)
    monkeypatch.setattr("vigie_identity.identity.Passwords", lambda _cost: Passwords(cheap))
    async with opened(office_settings.model_copy(update={"rate_ip_per_minute": LIMIT})) as made:
        yield made


def somewhere(office: Office) -> httpx2.AsyncClient:
    """A client at an address that no test before used: what Redis counts outlives a test."""
    address = f"2001:db8:{random.getrandbits(16):x}:{random.getrandbits(16):x}::1"
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(office.app, client=(address, 1)), base_url="http://api")


def made_up() -> dict[str, str]:
    visible = "".join(random.choices(string.ascii_lowercase + string.digits, k=16))
    return {"x-api-key": f"vk_{visible}_{secrets.token_urlsafe(32)}"}


async def test_an_address_over_its_limit_keeps_no_new_credential_out(
    strict: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await strict.tenant("acme")
    old, *new = [await strict.key("acme", Scope.READ) for _ in range(4)]
    asked: list[str] = []
    find = type(strict.identity.keys).find

    async def counted(keys: Any, secret: str) -> Any:
        asked.append(secret)
        return await find(keys, secret)

    monkeypatch.setattr(type(strict.identity.keys), "find", counted)
    async with somewhere(strict) as flood, somewhere(strict) as elsewhere:

        async def guesses() -> list[int]:
            answers = await asyncio.gather(*(flood.get(READ, headers=made_up()) for _ in range(MANY)))
            return [answer.status_code for answer in answers]

        assert (await flood.get(READ, headers=old)).status_code == 200
        first = await guesses()
        assert set(first) == {429, 503} | ({401} & set(first)), "each guess is charged, also one that found no place"
        assert len(asked) <= LIMIT + 1
        asked.clear()
        for good in new:
            flooding = asyncio.create_task(guesses())
            await asyncio.sleep(0)
            assert (await elsewhere.get(READ, headers=good)).status_code == 200
            assert set(await flooding) == {429}
        assert asked == [good["x-api-key"] for good in new], "nothing is looked up for who is over the limit"
        strict.clock.advance(6)
        assert (await flood.get(READ, headers=old)).status_code == 200, "who is known counts for itself"


BODIES: dict[str, dict[str, Any]] = {
    "good": {"json": {"username": "nobody", "password": "a wrong password", "refreshToken": "x" * 40}},
    "not JSON": {"content": b"{", "headers": {"content-type": "application/json"}},
    "wrong media type": {"content": b"x", "headers": {"content-type": "text/plain"}},
    "a field is missing": {"json": {}},
    "no body": {},
}


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh"])
@pytest.mark.parametrize("body", BODIES)
async def test_a_login_is_charged_once_whatever_its_body_is(strict: Office, path: str, body: str) -> None:
    async with somewhere(strict) as http:
        for spent in range(1, 4):
            answer = await http.post(path, **BODIES[body])
            assert answer.status_code in {400, 401, 415, 422}, answer.text
            assert answer.headers["ratelimit-policy"] == f'"address";q={LIMIT};w=60'
            assert int(answer.headers["ratelimit-remaining"]) == LIMIT - spent
