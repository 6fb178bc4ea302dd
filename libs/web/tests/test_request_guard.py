"""Which hosts a server is asked as, and which pages may write: as a table, and over a real socket."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from vigie_contracts.problems import ProblemKind
from vigie_runtime.settings import HttpSettings
from vigie_web.connection import connection
from vigie_web.request_guard import RequestGuard, trusted_hosts

from .test_connection import exchange

PAGE = "https://app.example.com"
MISDIRECTED, CROSS_SITE, MALFORMED = ProblemKind.MISDIRECTED, ProblemKind.CROSS_SITE, ProblemKind.MALFORMED


def judged(guard: RequestGuard, method: str = "POST", version: str = "1.1", **headers: str) -> ProblemKind | None:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    found = guard.refusal(method.encode(), version, given)
    return None if found is None else ProblemKind(found.type.rpartition("/")[2])


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("localhost:3000", True), ("localhost", True), ("LOCALHOST:1", True), ("localhost.:3000", True),
        ("127.0.0.1:3000", True), ("[::1]:3000", True), ("vigie.localhost:3000", True),
        ("evil.example.com", False), ("evil.example.com:3000", False), ("localhost.example.com", False),
        ("evillocalhost", False), ("127.0.0.1.nip.io:3000", False), ("192.0.2.7:3000", False), ("0.0.0.0:3000", False),
        ("", False), (":3000", False), ("localhost:", False), ("localhost:port", False), ("user@localhost", False),
        ("localhost/x", False), ("localhost, evil.example.com", False), ("[::2]:3000", False), ("\u00e9", False),
    ],
)  # fmt: skip
def test_who_listens_on_loopback_is_asked_by_its_names(host: str, good: bool) -> None:
    guard = RequestGuard(hosts=trusted_hosts((), "127.0.0.1"))
    for method in ("GET", "POST", "OPTIONS"):
        for version in ("1.0", "1.1"):
            assert judged(guard, method, version, host=host) == (None if good else MISDIRECTED)


@pytest.mark.parametrize(
    ("named", "listening", "host", "good"),
    [
        ((), "0.0.0.0", "anything.example.com", True),
        ((), "::1", "evil.example.com", False),
        ((), "localhost", "evil.example.com", False),
        ((), "127.0.0.2", "127.0.0.2:3000", True),
        (("vigie.example.com",), "127.0.0.1", "vigie.example.com", True),
        (("vigie.example.com",), "127.0.0.1", "localhost:3000", True),
        (("vigie.example.com",), "0.0.0.0", "evil.example.com", False),
        (("*.example.com",), "0.0.0.0", "a.b.example.com:8080", True),
        (("*.example.com",), "0.0.0.0", "example.com", False),
        (("2001:db8::7",), "0.0.0.0", "[2001:db8::7]:3000", True),
        (("*",), "127.0.0.1", "evil.example.com", True),
    ],
)  # fmt: skip
def test_names_of_the_setting_are_good_too(named: tuple[str, ...], listening: str, host: str, good: bool) -> None:
    guard = RequestGuard(hosts=trusted_hosts(named, listening))
    assert judged(guard, host=host) == (None if good else MISDIRECTED)


def test_a_request_is_for_one_host() -> None:
    for hosts in (None, trusted_hosts((), "127.0.0.1")):
        guard = RequestGuard(hosts=hosts)
        assert judged(guard, "GET") == MALFORMED
        assert judged(guard, "GET", "1.0") is None, "HTTP/1.0 knows no Host"
        twice = [(b"host", b"localhost"), (b"accept", b"*/*"), (b"host", b"localhost")]
        found = guard.refusal(b"GET", "1.1", twice)
        assert found is not None
        assert found.status == 400
        assert guard.refusal(b"GET", "1.1", [*twice[:2], (b"accept", b"text/html")]) is None


REFUSED: list[dict[str, str]] = [
    {"sec_fetch_site": "cross-site", "origin": "https://evil.example.com"},
    {"sec_fetch_site": "cross-site", "origin": "null"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site", "origin": "http://localhost:8000"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "anything"},
    {"origin": "https://evil.example.com"},
    {"origin": "http://localhost:8000"},
    {"origin": "http://localhost"},
    {"origin": "null"},
    {"origin": ""},
]
TAKEN: list[dict[str, str]] = [
    {},
    {"sec_fetch_site": "same-origin", "origin": "http://localhost:3000"},
    {"sec_fetch_site": "same-origin"},
    {"sec_fetch_site": "none"},
    {"origin": "http://localhost:3000"},
    {"origin": "https://localhost:3000"},
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
def test_pages_of_other_origins_write_with_a_credential_or_not_at_all(method: str) -> None:
    guard = RequestGuard(hosts=trusted_hosts((), "127.0.0.1"))
    for headers in REFUSED:
        assert judged(guard, method, host="localhost:3000", **headers) == CROSS_SITE, headers
        for name in ("authorization", "x_api_key"):
            assert judged(guard, method, host="localhost:3000", **headers, **{name: "x"}) is None
        for safe in ("GET", "HEAD", "OPTIONS"):
            assert judged(guard, safe, host="localhost:3000", **headers) is None
    for headers in TAKEN:
        assert judged(guard, method, host="localhost:3000", **headers) is None, headers


def test_pages_of_named_origins_write() -> None:
    headers = {"host": "localhost:3000", "sec_fetch_site": "cross-site", "origin": PAGE}
    assert judged(RequestGuard([PAGE]), **headers) is None  # type: ignore[arg-type]
    assert judged(RequestGuard(["*"]), **headers) is None  # type: ignore[arg-type]
    assert judged(RequestGuard(["https://other.example.com"]), **headers) == CROSS_SITE  # type: ignore[arg-type]


async def test_what_is_refused_gets_a_problem_and_reaches_no_app() -> None:
    settings = HttpSettings(kafka_bootstrap_servers="a:1", mongodb_uri="mongodb://m", redis_url="redis://r")
    reached: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        reached.append(scope["path"])

    how = {"kind": connection(settings, "127.0.0.1"), "served": app}
    body = b"content-length: 2\r\n\r\n{}"
    for head, status, kind in (
        (b"POST /a HTTP/1.1\r\n", 400, "malformed-body"),
        (b"POST /a HTTP/1.1\r\nhost: localhost\r\nHOST: localhost\r\n", 400, "malformed-body"),
        (b"POST /a HTTP/1.1\r\nhost: evil.example.com\r\n", 421, "misdirected-request"),
        (b"POST /a HTTP/1.1\r\nhost: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403, "cross-site-request"),
    ):
        head_, _, answer = (await exchange(head + body, **how)).partition(b"\r\n\r\n")
        assert head_.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close" in head_
        assert json.loads(answer)["type"] == f"/problems/{kind}"
    without_body = await exchange(b"HEAD /a HTTP/1.1\r\nhost: evil.example.com\r\n\r\n", **how)
    assert without_body.startswith(b"HTTP/1.1 421 ")
    assert without_body.endswith(b"\r\n\r\n")
    assert reached == []


@pytest.mark.parametrize("text", ["https://vigie.example.com", "vigie.example.com:3000", "a b", "a/b", "*.*"])
def test_what_is_no_name_of_a_host_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="is no name of a host"):
        HttpSettings(
            kafka_bootstrap_servers="a:1", mongodb_uri="mongodb://m", redis_url="redis://r", allowed_hosts=text
        )
