"""The simulator as a client: compressed, idempotent, patient."""

import gzip
import json
import ssl
from collections.abc import Callable

import httpx2
import pytest
from vigie_standalone.demo.sender import LONGEST_WAIT_S, Sender, retry_after
from vigie_standalone.probes import trust

Answer = Callable[[httpx2.Request], httpx2.Response]


def sender(answer: Answer) -> Sender:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://vigie")
    return Sender("http://vigie", client=client)


async def test_metrics_are_gzipped_and_keyed_by_their_content() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"accepted": 1, "rejected": []})

    client = sender(answer)
    for value in (1, 1, 2):
        await client.metrics([{"name": "a", "value": value}])
    keys = [request.headers["idempotency-key"] for request in seen]
    assert keys[0] == keys[1] != keys[2]
    assert json.loads(gzip.decompress(seen[0].content)) == {"metrics": [{"name": "a", "value": 1}]}
    assert client.sent.accepted == 3


@pytest.mark.parametrize(("token", "header"), [("vk_1_s", "Bearer vk_1_s"), (None, None)])
async def test_credential_that_was_given_goes_with_every_request(token: str | None, header: str | None) -> None:
    client = Sender("http://vigie", token=token)
    request = client._client.build_request("POST", "/api/events")
    assert request.headers.get("authorization") == header
    await client.close()


@pytest.mark.parametrize(
    ("url", "verified"), [("https://127.0.0.1:3000", False), ("https://[::1]", False), ("https://vigie.test", True)]
)
def test_certificates_are_verified_unless_nobody_can_stand_in_between(url: str, *, verified: bool) -> None:
    trusted = trust(url)
    assert (trusted.verify_mode == ssl.CERT_REQUIRED, trusted.check_hostname) == (verified, verified)


async def test_busy_server_is_asked_again_when_it_says_and_with_the_same_body() -> None:
    bodies: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        if len(bodies) < 3:
            return httpx2.Response(503, headers={"retry-after": "0.05"})
        return httpx2.Response(200, json={"accepted": 1, "rejected": []})

    client = sender(answer)
    await client.events([{"id": "1"}])
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    assert client.sent.retries == 2


async def test_wrong_request_is_not_repeated_and_is_reported() -> None:
    client = sender(lambda _: httpx2.Response(400, text="no such thing"))
    await client.events([{"id": "1"}])
    assert client.sent.refused == 1
    assert "no such thing" in client.sent.problems[0]


async def test_rejected_items_are_counted_with_the_first_reason() -> None:
    verdict = {"accepted": 1, "rejected": [{"index": 1, "field": "value", "reason": "not a number"}]}
    client = sender(lambda _: httpx2.Response(207, json=verdict))
    await client.metrics([{}, {}])
    assert (client.sent.accepted, client.sent.rejected) == (1, 1)
    assert "not a number" in client.sent.problems[0]


@pytest.mark.parametrize(
    ("header", "wait"), [("2", 2.0), (None, 0.7), ("soon", 0.7), ("99999", LONGEST_WAIT_S), ("0", 0.05)]
)
def test_retry_after_is_followed_within_bounds(header: str | None, wait: float) -> None:
    assert retry_after(header, 0.7) == wait


@pytest.mark.parametrize(("status", "taken"), [(201, True), (404, False), (403, False)])
async def test_telemetry_is_taken_or_not_and_has_a_key(status: int, taken: bool) -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(status, json={"message": "there is no such tenant"})

    assert await sender(answer).telemetry({"tenantId": "x"}, "demo-node-1") is taken
    assert (seen[0].url.path, seen[0].headers["idempotency-key"], len(seen)) == ("/telemetry", "demo-node-1", 1)
