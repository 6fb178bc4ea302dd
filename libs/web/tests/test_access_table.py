"""No route is served that no row of the access table speaks of: of whatever kind, however it was included."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute
from vigie_identity.permissions import Permission
from vigie_web.access import MOUNT, PUBLIC, WEBSOCKET, Access, AccessTable

READS = Access(Permission.METRICS_READ)


async def endpoint(_request: Any) -> None: ...


@pytest.mark.parametrize(
    ("route", "named"),
    [
        (Route("/new", endpoint, methods=["POST"]), "POST /new"),
        (WebSocketRoute("/live", endpoint), "WEBSOCKET /live"),
        (Mount("/inner", Starlette()), "MOUNT /inner"),
        (Host("inner.example", Starlette()), "HOST /"),
    ],
)
def test_a_route_that_is_not_in_the_table_is_refused(route: BaseRoute, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        AccessTable().check_complete([route])


def test_routes_of_included_routers_are_seen() -> None:
    inner, outer, app = APIRouter(prefix="/v1"), APIRouter(), FastAPI(openapi_url=None)
    inner.add_api_route("/newer", endpoint, methods=["GET"])
    inner.add_api_websocket_route("/live", endpoint)
    outer.include_router(inner)
    app.include_router(outer)
    with pytest.raises(ValueError, match="GET /v1/newer, WEBSOCKET /v1/live"):
        AccessTable().check_complete(app.routes)
    AccessTable({("GET", "/v1/newer"): READS}, {(WEBSOCKET, "/v1/live"): READS}).check_complete(app.routes)


def test_a_row_without_a_route_is_refused() -> None:
    with pytest.raises(ValueError, match="not there: GET /gone"):
        AccessTable({("GET", "/gone"): READS}).check_complete([])


def test_features_do_not_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="GET /a"):
        AccessTable({("GET", "/a"): READS}, {("GET", "/a"): PUBLIC})


def test_a_mounted_app_cannot_be_guarded_by_the_table() -> None:
    with pytest.raises(ValueError, match="MOUNT /inner"):
        AccessTable({(MOUNT, "/inner"): READS})
