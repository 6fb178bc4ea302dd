"""Where a credential stands in a request, and when it is looked at again."""

import base64
import json
import time

import pytest
from vigie_identity.errors import BadCredential, RefusalReason, TwoCredentials
from vigie_push.credentials import expires_of, of_request
from vigie_web.close_codes import CloseCode

from services.push.tests.kit import ended, serving, subscribed, told


def token(**claims: object) -> bytes:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return b"e30." + body + b".c2ln"


@pytest.mark.parametrize(
    ("query", "headers", "subprotocols", "found"),
    [
        (b"", [], [], None),
        (b"token=abc", [], [], b"abc"),
        (b"a=b&token=a%2Eb&c", [], ["chat"], b"a.b"),
        (b"", [(b"authorization", b"Bearer abc")], [], b"abc"),
        (b"", [(b"x-api-key", b"vk_abc")], [], b"vk_abc"),
        (b"", [], ["bearer", "abc"], b"abc"),
        (b"", [], ["abc", "bearer"], b"abc"),
        (b"", [], ["bearer"], None),
    ],
)
def test_a_credential_is_found_wherever_it_stands(
    query: bytes, headers: list[tuple[bytes, bytes]], subprotocols: list[str], found: bytes | None
) -> None:
    assert of_request(query, headers, subprotocols) == found


@pytest.mark.parametrize(
    ("query", "headers", "subprotocols"),
    [
        (b"token=a&token=b", [], []),
        (b"token=a", [(b"authorization", b"Bearer a")], []),
        (b"token=a", [], ["bearer", "a"]),
        (b"", [], ["bearer", "a", "b"]),
    ],
)
def test_two_credentials_are_one_too_many(
    query: bytes, headers: list[tuple[bytes, bytes]], subprotocols: list[str]
) -> None:
    with pytest.raises(TwoCredentials):
        of_request(query, headers, subprotocols)


@pytest.mark.parametrize("query", [b"token=", b"&".join([b"a=b"] * 200)])
def test_what_is_no_credential_is_refused(query: bytes) -> None:
    with pytest.raises(BadCredential):
        of_request(query, [], [])


@pytest.mark.parametrize(
    ("credential", "expires"),
    [
        (None, None), (b"", None), (b"vk_abc", None), (b"a.b.c", None), (b"..", None), (token(), None),
        (token(exp=12.5), 12.5), (token(exp="soon"), None), (b"a.\xff.c", None),
    ],
)  # fmt: skip
def test_when_a_token_says_that_it_expires(credential: bytes | None, expires: float | None) -> None:
    assert expires_of(credential) == expires


async def test_a_token_that_expires_ends_its_connection_at_once() -> None:
    async with serving(push_recheck_s=300, jwt_skew_s=0) as service:
        short = token(exp=time.time() + 0.5).decode()
        service.callers.known[short] = service.callers.known["alice"]
        async with service.client(short) as client:
            await told(client)
            await subscribed(client)
            service.callers.known[short] = BadCredential(RefusalReason.EXPIRED)
            assert (await ended(client))[0] == CloseCode.UNAUTHENTICATED
