"""Who a session is, while it is judged again and while it says so anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_web.close_codes import CloseCode

from services.push.tests.kit import RIVAL, ask, ended, person, serving, subscribed, told
from tests.kit import eventually


@pytest.mark.parametrize("old", ["has expired", "is somebody else's"])
async def test_a_token_that_is_renewed_while_the_old_one_is_judged_counts(old: str) -> None:
    async with serving(push_recheck_s=0.05) as service, service.client() as client:
        await told(client, "welcome")
        really, judging, go = service.callers.credential, asyncio.Event(), asyncio.Event()

        async def slowly(sent: bytes, quota: object = None) -> Any:
            if sent == b"alice":
                judging.set()
                await go.wait()
                if old == "has expired":
                    raise BadCredential(RefusalReason.EXPIRED)
            return await really(sent, quota)

        service.callers.credential = slowly  # type: ignore[method-assign]
        service.callers.known["anna"] = person("anna", tenant=RIVAL)
        await judging.wait()
        await ask(client, type="auth", token="anna")
        assert (await told(client, "welcome"))["user"] == "anna"
        go.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (session,) = service.sessions
        assert session.principal is not None
        assert session.principal.name == "anna"
        assert (await subscribed(client))["tenant"] == RIVAL


async def test_connections_of_an_address_that_do_not_say_who_they_are_are_few() -> None:
    stranger = {"X-Forwarded-For": "192.0.2.7"}
    bounds: dict[str, Any] = {"push_user_connections": 2, "trusted_proxies": "127.0.0.1", "push_auth_timeout_s": 5.0}
    async with (
        serving(**bounds) as service,
        service.client(None, additional_headers=stranger) as one,
        service.client(None, additional_headers=stranger),
    ):
        await eventually(lambda: len(service.sessions) == 2)
        async with service.client(None, additional_headers=stranger) as third:
            assert (await ended(third))[0] == CloseCode.TRY_LATER
        async with service.client(None, additional_headers={"X-Forwarded-For": "192.0.2.8"}) as other:
            await ask(other, type="auth", token="alice")
            assert (await told(other))["type"] == "welcome"
        await ask(one, type="auth", token="alice")
        assert (await told(one))["type"] == "welcome"
        async with service.client(None, additional_headers=stranger) as fourth:
            await ask(fourth, type="auth", token="alice")
            assert (await told(fourth))["type"] == "welcome"
