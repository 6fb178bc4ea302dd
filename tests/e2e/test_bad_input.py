"""Bad input on every route of the front door: never a 500, always a problem document that says what is wrong."""

import gzip
import json
import socket
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest

from tests.e2e.up import Up

pytestmark = [pytest.mark.e2e, pytest.mark.connected, pytest.mark.timeout(300)]

METHODS = {"get", "post", "put", "patch", "delete"}
JSON = {"content-type": "application/json"}
PROMETHEUS, ALERTMANAGER = "/api/v1/", "/api/v2/"
HUGE = "9" * 400

BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "empty": (b"", JSON),
    "not JSON": (b"{", JSON),
    "a number": (b"5", JSON),
    "null": (b"null", JSON),
    "a string": (b'"x"', JSON),
    "an empty object": (b"{}", JSON),
    "an empty list": (b"[]", JSON),
    "wrong types": (b'{"name": 1, "value": "x", "labels": [], "type": {}, "metrics": 3}', JSON),
    "not UTF-8": (b'{"name": "\xff\xfe", "value": 1}', JSON),
    "lone surrogate": (b'{"name": "m", "type": "gauge", "value": 1, "labels": {"a": "\\ud800"}}', JSON),
    "NaN": (b'{"name": "m", "type": "gauge", "value": NaN}', JSON),
    "Infinity": (b'{"name": "m", "type": "gauge", "value": 1e999}', JSON),
    "a huge number": (b'{"name": "m", "type": "gauge", "value": ' + HUGE.encode() + b"}", JSON),
    "a huge timestamp": (b'{"name": "m", "type": "gauge", "value": 1, "timestamp": ' + HUGE.encode() + b"}", JSON),
    "a timestamp of the far future": (b'{"name": "m", "type": "gauge", "value": 1, "timestamp": 99999999999999}', JSON),
    "an ancient timestamp": (b'{"name": "m", "type": "gauge", "value": 1, "timestamp": 1}', JSON),
    "deep nesting": (b"[" * 100_000 + b"]" * 100_000, JSON),
    "65 labels": (
        json.dumps({"name": "m", "type": "gauge", "value": 1, "labels": {f"l{i}": "x" for i in range(65)}}).encode(),
        JSON,
    ),
    "10,001 items": (json.dumps({"metrics": [{"name": "m", "type": "gauge", "value": 1}] * 10_001}).encode(), JSON),
    "unknown content type": (b"<x/>", {"content-type": "application/xml"}),
    "a content type that is none": (b"{}", {"content-type": ";;;"}),
    "gzip that is none": (b"plainly not", {**JSON, "content-encoding": "gzip"}),
    "a gzip bomb": (gzip.compress(b" " * (64 << 20)), {**JSON, "content-encoding": "gzip"}),
    "zstd that is none": (b"plainly not", {**JSON, "content-encoding": "zstd"}),
    "an unknown encoding": (b"x", {**JSON, "content-encoding": "br"}),
    "an idempotency key that is none": (
        b'{"name": "m", "type": "gauge", "value": 1}',
        {**JSON, "idempotency-key": "a b"},
    ),
    "a CloudEvent without an id": (b'{"specversion": "1.0"}', {"content-type": "application/cloudevents+json"}),
}

VALUES = {
    "empty": "",
    "text": "x",
    "a negative number": "-1",
    "a huge number": HUGE,
    "NaN": "NaN",
    "control characters": "\x00\x01",
    "not UTF-8": b"\xff\xfe",
    "an operator": '{"$gt": ""}',
    "a bad regex": "l=~(((",
    "long": "a" * 5_000,
}


async def routes(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Path -> operations, as the OpenAPI document has them."""
    return (await client.get("/openapi.json")).json()["paths"]


def check(answer: httpx.Response, what: str, *, must_fail: bool = False) -> None:
    """Not a 500; a failure is a complete problem document, or an error as Prometheus' clients know it."""
    assert answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:300]}"
    if must_fail:
        assert answer.status_code >= 400, f"{what} was taken: {answer.text[:300]}"
    if answer.status_code < 400:
        return
    assert "Traceback" not in answer.text, what
    if answer.url.path.startswith(PROMETHEUS) and answer.headers["content-type"] == "application/json":
        error = answer.json()
        assert error["status"] == "error", what
        assert error["errorType"], what
        assert error["error"], what
    elif answer.url.path.startswith(ALERTMANAGER) and answer.headers["content-type"] == "application/json":
        error = answer.json()
        assert error, what
        if not isinstance(error, str):
            assert error["message"], what
            assert error["code"] == answer.status_code, what
    else:
        assert answer.headers["content-type"].startswith("application/problem+json"), f"{what}: {answer.headers}"
        problem = answer.json()
        assert problem["status"] == answer.status_code, what
        assert problem["title"], what
        assert problem["detail"], what
        assert problem["message"] == problem["detail"], what
        assert problem["type"].startswith("/problems/"), what


@pytest.mark.parametrize("body", BODIES)
async def test_bad_body_on_every_writing_route(client: httpx.AsyncClient, body: str) -> None:
    content, headers = BODIES[body]
    tried = 0
    for path, operations in (await routes(client)).items():
        for method in operations.keys() & {"post", "put", "patch"}:
            answer = await client.request(method, path, content=content, headers=headers)
            if (body, path) == ("an empty list", "/api/events"):
                check(answer, "a batch of no events, which CloudEvents allows", must_fail=False)
                assert answer.json()["accepted"] == 0
            elif path == "/api/health/check" and body in ("empty", "null", "an empty object"):
                check(answer, "a check of all services", must_fail=False)
            elif (body, path) == ("an empty list", "/api/v2/alerts"):
                check(answer, "no alerts, which Alertmanager takes", must_fail=False)
            elif (body, path) == ("empty", "/api/v1/labels"):
                check(answer, "a question for all labels", must_fail=False)
            else:
                check(answer, f"{body} to {method} {path}", must_fail=True)
            tried += 1
    assert tried >= 4


@pytest.mark.parametrize("value", VALUES)
async def test_bad_parameter_on_every_reading_route(client: httpx.AsyncClient, value: str) -> None:
    tried = 0
    for path, operations in (await routes(client)).items():
        if "get" not in operations:
            continue
        for parameter in operations["get"].get("parameters", []):
            text = quote(VALUES[value], safe="")
            url = path.replace("{" + parameter["name"] + "}", text or "%20") if parameter["in"] == "path" else path
            url = f"{url}?{parameter['name']}={text}" if parameter["in"] == "query" else url
            check(await client.get(url), f"{value} as {parameter['name']} of {path}")
            tried += 1
    assert tried >= 10


async def test_wrong_path_and_wrong_method_are_problems_too(client: httpx.AsyncClient) -> None:
    for path in ("/nowhere", "/api/nowhere", "/api/metrics/nowhere", "/api/dashboard/charts/%2e%2e", "/health/"):
        check(await client.get(path, follow_redirects=False), f"GET {path}")
    check(await client.post("/api/metrics/nowhere", content=b"{}", headers=JSON), "POST", must_fail=True)
    for path, operations in (await routes(client)).items():
        for method in METHODS - operations.keys() - {"get"}:
            answer = await client.request(method, path.replace("{", "").replace("}", ""))
            check(answer, f"{method} {path}", must_fail=True)
            if answer.status_code == 405:
                assert answer.headers["allow"]


async def test_good_neighbours_of_bad_items_are_kept(client: httpx.AsyncClient) -> None:
    good = {"name": "neighbour", "type": "gauge", "value": 1}
    bad = [
        {"name": "neighbour"},
        {"name": "", "type": "gauge", "value": 1},
        {"name": "neighbour", "type": "gauge", "value": "x"},
        5,
        None,
        [],
    ]
    answer = await client.post("/api/metrics/batch", json={"metrics": [good, *bad, good]})
    assert answer.status_code == 201
    verdict = answer.json()
    assert (verdict["accepted"], verdict["rejected"]) == (2, len(bad))
    assert [error["index"] for error in verdict["errors"]] == [1, 2, 3, 4, 5, 6]
    assert all(error["field"] and error["reason"] for error in verdict["errors"])


HALF = {
    "half a body": b"POST /api/metrics/custom HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Content-Length: 500\r\n\r\n{"name":',
    "half a header": b"POST /api/metrics/custom HTTP/1.1\r\nHost: localhost\r\nContent-Ty",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a wrong length": b"POST /api/metrics/custom HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    "chunks that are none": b"POST /api/metrics/custom HTTP/1.1\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("bytes_", HALF)
async def test_half_closed_connection_harms_nobody(vigie: Up, client: httpx.AsyncClient, bytes_: str) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", vigie.port), 5) as connection:
            connection.sendall(HALF[bytes_])
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(10)
            answer = b""
            while chunk := connection.recv(65_536):
                answer += chunk
        assert b" 500 " not in answer.split(b"\r\n", 1)[0], answer[:300]
    assert (await client.get("/health/live")).status_code == 200


async def test_half_closed_sender_gets_its_answer(vigie: Up) -> None:
    body = b'{"name": "half", "type": "gauge", "value": 1}'
    with socket.create_connection(("127.0.0.1", vigie.port), 5) as connection:
        connection.sendall(
            b"POST /api/metrics/custom HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(20)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 201 "), answer[:300]


async def test_after_all_of_it_vigie_still_takes_and_shows(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/ready")).status_code == 200
    assert (
        await client.post("/api/metrics/custom", json={"name": "after", "type": "gauge", "value": 1})
    ).status_code == 201
