"""/api/health/heartbeat/{token}: who reports by itself says that it is there. The token is the credential."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response
from vigie_web.access import PUBLIC
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import READ_PROBLEMS, Responses, problem_response
from vigie_web.state import app_state

from vigie_healthcheck.heartbeats import Heartbeats

router = APIRouter(tags=["heartbeats"], route_class=AuthorizedRoute, responses=READ_PROBLEMS)
_BEAT: Final = "/api/health/heartbeat/{token}"
_ENDED: Final = f"{_BEAT}/{{outcome}}"
FEATURE = Feature(
    router,
    {(method, path): PUBLIC for method in ("GET", "POST") for path in (_BEAT, _ENDED)},
    "Services and jobs that report by themselves",
)
FAIL: Final = "fail"
_NOT_FOUND: Responses = {404: problem_response("There is no heartbeat with this token")}
Token = Annotated[str, Path(max_length=128, description="as it was shown when the heartbeat was made")]
Ended = Annotated[
    str, Path(pattern=r"^(fail|25[0-5]|2[0-4]\d|1?\d?\d)$", description="`fail`, or an exit code: 0 is good")
]


@router.get(_BEAT, status_code=204, response_class=Response, responses=_NOT_FOUND)
@router.post(_BEAT, status_code=204, response_class=Response, responses=_NOT_FOUND)
async def beat(request: Request, token: Token) -> Response:
    """It is there, and well. No credential is needed, and a body is not looked at; HEAD does the same."""
    await _heartbeats(request).hear(token)
    return Response(status_code=204)


@router.get(_ENDED, status_code=204, response_class=Response, responses=_NOT_FOUND)
@router.post(_ENDED, status_code=204, response_class=Response, responses=_NOT_FOUND)
async def ended(request: Request, token: Token, outcome: Ended) -> Response:
    """It has ended, and says how: `.../fail`, or with its exit code, `curl .../$?`. What fails is down at once."""
    code = None if outcome == FAIL else int(outcome)
    await _heartbeats(request).hear(token, failed=code != 0, code=code)
    return Response(status_code=204)


def _heartbeats(request: Request) -> Heartbeats:
    heartbeats: Heartbeats = app_state(request).connected().heartbeats
    return heartbeats
