"""What every HTTP service measures of its requests, and the part of its start that all share."""

from dataclasses import dataclass, field

import httpx2
import pytest
from fastapi import FastAPI
from starlette.responses import Response
from vigie_identity.errors import RefusalReason
from vigie_runtime.clock import ManualClock
from vigie_runtime.lifespan import Lifespan
from vigie_runtime.metrics import MetricSet, exposition
from vigie_web import access_control
from vigie_web.access_control import AccessSettings
from vigie_web.health import Check
from vigie_web.metrics import ACCESS_METRICS, Outcome, RequestMetrics
from vigie_web.state import AccessControl, AppState

REQUESTS = RequestMetrics("test", {"/things/old": "past", "/things": "things", "/before": "past"})


@pytest.mark.parametrize(
    ("path", "area"),
    [("/things/old/1", "past"), ("/things/1", "things"), ("/before", "past"), ("/elsewhere", "other"), ("", "other")],
)
def test_the_first_beginning_that_fits_names_the_area(path: str, area: str) -> None:
    assert REQUESTS.area_of(path).value == area


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "ok"), (304, "ok"), (404, "refused"), (429, "refused"), (500, "failed"), (503, "unavailable")],
)
def test_an_outcome_is_told_by_the_status(status: int, outcome: str) -> None:
    assert Outcome.of(status).value == outcome


async def test_requests_to_an_app_are_counted_by_area_and_outcome() -> None:
    app, metrics = FastAPI(), MetricSet(REQUESTS.all)
    app.add_api_route("/things", lambda: Response(status_code=204))
    REQUESTS.install(app, metrics)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as http:
        await http.get("/things")
        await http.get("/things/none")
    text = exposition(metrics.registry)[0].decode()
    assert 'vigie_test_requests_total{area="things",outcome="ok"} 1.0' in text
    assert 'vigie_test_requests_total{area="things",outcome="refused"} 1.0' in text
    assert 'vigie_test_request_duration_seconds_count{area="things"} 2.0' in text
    assert "vigie_test_requests_in_flight 0.0" in text
    for reason in RefusalReason:
        assert f'vigie_test_refused_credentials_total{{reason="{reason.value}"}} 0.0' in text


@dataclass(frozen=True)
class Resources:
    access: AccessControl
    checks: tuple[Check, ...] = field(default=())


@pytest.mark.parametrize("count_usage", [False, True])
async def test_a_service_gets_callers_and_limits_without_any_server(count_usage: bool) -> None:
    settings = AccessSettings(
        kafka_bootstrap_servers="none:9092",
        mongodb_uri="mongodb://none:27017",
        redis_url="redis://none:6379",
        rate_key_per_minute=7,
    )
    state = AppState[AccessSettings, Resources](settings, MetricSet(ACCESS_METRICS), ManualClock())
    async with Lifespan(5) as life:
        shared = await access_control.connect(state, life, count_usage=count_usage)
        assert shared.access.tenants is shared.identity.tenants
        limit = shared.access.rates.key.limit
        assert limit is not None
        assert limit.amount == 7
        assert (shared.access.rates.usage is not None) is count_usage
