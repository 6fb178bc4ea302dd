"""/metrics with clients that do not read, and with too many of them."""

import asyncio
from typing import Any, cast

import httpx2
import pytest
from starlette.types import Message
from vigie_api.app import create_app
from vigie_api.resources import Resources
from vigie_api.settings import ApiSettings
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.principal import Principal
from vigie_runtime.clock import ManualClock
from vigie_summaries.families.families import FamilyIndex
from vigie_web.concurrency import ConcurrencyLimit
from vigie_web.state import AccessControl

from .free import Free


class Empty(Free):
    """Families and latest values of nothing."""

    catalogue_s = 0.0
    known = True

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.passed_s = 0.0
        """How far the time of the loop went on while the catalogue was read."""

    def knows(self, _tenant: str) -> bool:
        return self.known

    async def of(self, _tenant: str) -> FamilyIndex:
        self.passed_s += self.catalogue_s
        return FamilyIndex()

    async def at_hand(self, _tenant: str, _known: object, wait_s: float) -> tuple[dict[Any, Any], bool]:
        self.waits.append(wait_s)
        return {}, True

    async def authenticate(self, _headers: object, _asker: object) -> Principal:
        return AnonymousRule.parse("default:read").principal()


@pytest.fixture
def app() -> Any:
    app = create_app(
        ApiSettings(
            kafka_bootstrap_servers="nowhere:1",
            mongodb_uri="mongodb://127.0.0.1:1",
            redis_url="redis://127.0.0.1:1",
            api_scrape_timeout_s=0.2,
        ),
        clock=ManualClock(),
    )
    nothing = cast(Any, Empty())
    fields = dict.fromkeys(Resources.__dataclass_fields__, nothing)
    app.state.service.resources = Resources(
        **{
            **fields,
            "access": AccessControl(nothing, nothing, nothing, nothing),
            "scrapes": ConcurrencyLimit(1, "answers of /metrics"),
        }
    )
    return app


async def scrape_without_reading(app: Any) -> list[Message]:
    """What was sent until the answer ended: the client's socket never takes a byte of the body."""
    sent: list[Message] = []
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": "GET", "path": "/metrics",
             "raw_path": b"/metrics", "query_string": b"", "headers": [], "http_version": "1.1", "scheme": "http",
             "server": ("api", 80), "client": ("c", 1), "root_path": ""}  # fmt: skip

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("the client says nothing")

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await app(scope, receive, send)
    return sent


async def test_a_client_that_does_not_read_is_cut_off_and_its_place_is_free(app: Any) -> None:
    sent = await asyncio.wait_for(scrape_without_reading(app), 20)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http:
        assert (await http.get("/metrics")).status_code == 200


async def test_too_many_scrapes_are_refused_at_once(app: Any) -> None:
    scrapes = app.state.service.resources.scrapes
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http:
        scrapes._admitted = scrapes._most_admitted
        answer = await http.get("/metrics")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        scrapes._admitted = 0
        assert (await http.get("/metrics")).status_code == 200


@pytest.mark.parametrize(("known", "took_s", "left_s"), [(True, 0.5, 2.3), (True, 4.0, 1.0), (False, 4.0, 2.8)])
async def test_the_values_have_time_however_long_the_catalogue_took(
    app: Any, monkeypatch: pytest.MonkeyPatch, known: bool, took_s: float, left_s: float
) -> None:
    stores = app.state.service.resources.latest
    stores.known, stores.catalogue_s = known, took_s
    time = asyncio.get_running_loop().time
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: time() + stores.passed_s)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as http:
        assert (await http.get("/metrics")).status_code == 200
    assert stores.waits == [pytest.approx(left_s, abs=0.2)]
