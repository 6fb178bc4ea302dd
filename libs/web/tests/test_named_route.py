"""A name in a path may have slashes, and is never taken for the rest of the path."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from vigie_web.named_route import NamedRoute


def app() -> FastAPI:
    router = APIRouter(route_class=NamedRoute)

    @router.get("/things/{name}/checks")
    async def checks(name: str) -> Any:
        return {"checks": name}

    @router.get("/things/{name}")
    async def thing(name: str) -> Any:
        return {"thing": name}

    made = FastAPI()
    made.include_router(router)
    return made


@pytest.mark.parametrize("name", ["a", "a/b", "a/checks", "/", "é/ü", "50%", "%2F", "a%00b", "..", "a b?c#d"])
async def test_a_name_arrives_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(_request: Any) -> None: ...

    monkeypatch.setattr("vigie_web.authorized_route.context_of", nobody)
    monkeypatch.setattr("vigie_web.authorized_route.app_state", lambda _: _Tables())
    transport = httpx2.ASGITransport(app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://vigie") as http:
        written = "%2e%2e" if name == ".." else quote(name, safe="")
        assert (await http.get(f"/things/{written}")).json() == {"thing": name}
        assert (await http.get(f"/things/{written}/checks")).json() == {"checks": name}
        assert (await http.get("/things/a/b")).status_code == 404, "a slash that is not encoded ends the name"


class _Tables:
    table: Any

    def __init__(self) -> None:
        self.table = self

    def of(self, _request: Any) -> Any:
        return type("Access", (), {"public": False})
