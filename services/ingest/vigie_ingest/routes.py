"""Which requests are for intakes: those that go straight to their frames, and the rest, which is FastAPI's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import Route
from vigie_contracts import paths
from vigie_web.access import Access, RouteKey
from vigie_web.connection import Receive, Scope, Send
from vigie_web.feature import Feature

from vigie_ingest.frame import Frame, IntakeRoute
from vigie_ingest.intake import Intake
from vigie_ingest.metrics import RouteCollector


def intake_routes(frame: Frame, intakes: Iterable[Intake[Any, Any]]) -> list[IntakeRoute]:
    """The routes of the intakes, and their metrics. Raises ValueError for a path that is there twice, or is not
    served by ingest."""
    routes = [IntakeRoute(frame, intake) for intake in intakes]
    if len({(route.intake.method, route.intake.path) for route in routes}) < len(routes):
        raise ValueError("two intakes have the same method and path")
    for intake in (route.intake for route in routes):
        if paths.service_of(intake.method, intake.path) is not paths.Service.INGEST:
            raise ValueError(
                f"{intake.method} {intake.path} is not ingest's in vigie_contracts/paths.py: add a row for it there"
            )
    frame.state.metrics.registry.register(RouteCollector([route.metrics for route in routes]))
    return routes


def feature(routes: Iterable[IntakeRoute]) -> Feature:
    """The routes as FastAPI knows them: to refuse other methods on their paths."""
    router = APIRouter()
    rows: dict[RouteKey, Access] = {}
    for route in routes:
        intake, admission = route.intake, route.intake.admission
        path = intake.path.replace("}", ":path}") if "{" in intake.path else intake.path
        path = f"{path[:-1]}{{rest:path}}" if path.endswith("/*") else path
        router.routes.append(Route(path, route, methods=[intake.method], include_in_schema=False))
        rows[intake.method, path] = Access(admission.permission, platform=admission.needs_credential)
    return Feature(router, rows)


class IngestApp:
    """The ASGI app. Intake requests go straight to their routes, all else to FastAPI."""

    def __init__(self, frame: Frame, routes: Sequence[IntakeRoute], rest: FastAPI) -> None:
        intakes = [(route.intake.method, route.intake.path, route) for route in routes]
        self._exact = {(method, path): route for method, path, route in intakes if _ends(path) is None}
        below = [(method, *ends, route) for method, path, route in intakes if (ends := _ends(path)) is not None]
        self._below = sorted(below, key=lambda one: -len(one[1] + one[2]))  # the longest that fits is the one meant
        self._rest = rest
        self.frame = frame
        self.openapi: Callable[[], dict[str, Any]] = rest.openapi
        """The OpenAPI document."""
        self.routes = rest.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (route := self._exact.get((scope["method"], scope["path"]))) is not None:
            await route(scope, receive, send)
        else:
            await (self._found_below(scope) or self._rest)(scope, receive, send)

    def _found_below(self, scope: Scope) -> IntakeRoute | None:
        if scope["type"] != "http":
            return None
        asked, path = scope["method"], scope["path"]
        for method, before, after, route in self._below:
            long_enough = len(path) > len(before) + len(after)
            if asked == method and long_enough and path.startswith(before) and path.endswith(after):
                return route
        return None


def _ends(path: str) -> tuple[str, str] | None:
    """What stands before and after the part of an intake's path that may be anything; None without one."""
    if path.endswith("/*"):
        return path[:-1], ""
    before, opening, rest = path.partition("{")
    return (before, rest.partition("}")[2]) if opening else None
