"""The app without its stores: errors, health, documentation."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
from vigie_api.app import create_app
from vigie_api.settings import ApiSettings
from vigie_identity.anonymous import AnonymousRule
from vigie_identity.principal import Principal
from vigie_runtime import clients
from vigie_runtime.clock import ManualClock

from .free import as_caller

SETTINGS = ApiSettings(
    kafka_bootstrap_servers="nowhere:1",
    mongodb_uri="mongodb://127.0.0.1:1",
    redis_url="redis://127.0.0.1:1",
)


@pytest.fixture(autouse=True)
def soon_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver gives up after 50 ms, not after 5 s."""
    monkeypatch.setattr(clients, "SERVER_SELECTION_MS", 50)


class Everybody:
    """No store is needed to know who asks."""

    async def authenticate(self, headers: list[tuple[bytes, bytes]], asker: object = None) -> Principal:
        return AnonymousRule.parse("default:read").principal()


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(SETTINGS, clock=ManualClock())
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client,
    ):
        as_caller(app, Everybody())
        yield client


def is_problem(answer: httpx2.Response, status: int, kind: str) -> dict[str, object]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == f"/problems/{kind}"
    assert body["message"] == body["detail"]
    return body


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/query_range?metric=m&function=median", "function"),
        ("/api/query_range", "metric"),
        ("/api/query_range?metric=m&from=later", "from"),
        ("/api/query_range?metric=m&match=service", "match"),
        ("/api/query_range?metric=m&match=service=~(", "match"),
        ("/api/metrics/system?from=9999-12-31T00:00:00Z&to=9999-12-31T23:59:59Z", "to"),
        ("/api/dashboard/charts/cpu?to=253402300799999&step=1d&timezone=America/New_York", "to"),
        ("/api/query_range?metric=m&from=1969-12-31T00:00:00Z", "from"),
        ("/api/query_range?metric=m&limit=0", "limit"),
        ("/api/query_range?metric=m&limit=x", "limit"),
        ("/api/query_range?metric=m&by=*,a", "by"),
        ("/api/query_range?metric=m&by=" + ",".join(f"l{i}" for i in range(17)), "by"),
        ("/api/query_range?metric=m&from=now-1h&to=now-2h", "from"),
        ("/api/metrics/business?period=2h", "period"),
        ("/api/metrics/system?period=1h&from=now-1h", "period"),
        ("/api/dashboard/charts/cpu?timezone=Mars", "timezone"),
        ("/api/series?cursor=x", "cursor"),
        ("/api/series?cursor=%2B%2B%2B", "cursor"),
        ("/api/series?limit=1001", "limit"),
        ("/api/series?name=a&nameRegex=b", "nameRegex"),
        ("/api/series?type=summary", "type.0"),
        ("/metrics?stale=perhaps", "stale"),
    ],
)
async def test_a_wrong_parameter_is_named(http: httpx2.AsyncClient, path: str, field: str) -> None:
    body = is_problem(await http.get(path), 422, "invalid-request")
    assert body["errors"][0]["field"] == field  # type: ignore[index]


async def test_unknown_paths_and_methods_are_problems(http: httpx2.AsyncClient) -> None:
    is_problem(await http.get("/api/nothing"), 404, "not-found")
    answer = await http.delete("/api/series")
    is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await http.put("/admin/tenants/acme")).headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"
    body = is_problem(await http.get("/api/dashboard/charts/pie"), 404, "not-found")
    assert "bookings" in str(body["detail"])


@pytest.mark.parametrize(
    "path",
    [
        "/metrics", "/api/series", "/api/metrics/summary", "/api/metrics/business", "/api/dashboard/realtime",
        "/api/query_range?metric=m", "/api/dashboard/charts/cpu",
    ],
)  # fmt: skip
async def test_without_mongodb_reads_are_unavailable_for_now(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    body = is_problem(answer, 503, "store-unavailable")
    assert answer.headers["retry-after"] == str(body["retry_after"]) == "2"


async def test_health_tells_what_is_away(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/health/live")).json() == {"status": "live"}
    answer = await http.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready", "not_ready": ["mongodb", "whole", "start"], "degraded": ["redis"],
        "checks": {"mongodb": False, "whole": False, "start": False, "redis": False},
        "mongodb": "away", "whole": "away", "start": "away", "redis": "away",
    }  # fmt: skip
    assert answer.headers["retry-after"] == "2"


async def test_a_bug_is_a_problem_that_says_nothing_of_itself() -> None:
    app = create_app(SETTINGS)

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("secret")

    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/boom")
        is_problem(answer, 500, "internal-error")
        assert "secret" not in answer.text
        # Not connected yet: the same as a store that is away.
        is_problem(await client.get("/api/series"), 503, "store-unavailable")


async def test_the_documentation_is_offline_and_true(http: httpx2.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "https://" not in page.text.replace("https://fastapi", "")
    redirect = await http.get("/api-docs")
    assert redirect.status_code == 307
    assert redirect.headers["location"] == "/docs"
    messages = await http.get("/docs/async")
    assert (messages.status_code, messages.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert messages.headers["content-security-policy"].startswith("default-src 'none'")
    assert "/api/stream" in messages.text
    document = (await http.get("/openapi.json")).json()
    assert set(document["paths"]) >= {"/metrics", "/api/series", "/api/query_range", "/api/dashboard/charts/{type}"}
    names = {p["name"] for p in document["paths"]["/api/query_range"]["get"]["parameters"]}
    assert names == {
        "metric",
        "function",
        "match",
        "type",
        "temporality",
        "from",
        "to",
        "step",
        "by",
        "limit",
        "X-Scope-OrgID",
    }
    assert "Problem" in document["components"]["schemas"]


async def test_own_metrics_are_apart_from_the_data(http: httpx2.AsyncClient) -> None:
    await http.get("/api/nothing")
    text = (await http.get("/internal/metrics")).text
    assert 'vigie_api_requests_total{area="other",outcome="refused"}' in text
    assert (await http.get("/health/live")).headers["cache-control"] == "no-store"
