"""/auth: log in, stay logged in, log out, and who am I.

Login and refresh carry their credential in the body, and look at no other: a client that sends its expired access token
along with a refresh must not be refused for it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from vigie_identity.identity import Identity
from vigie_identity.sessions import ClientInfo, Sessions
from vigie_web.access import PUBLIC, SIGNED_IN
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.context import agent_of, origin_of
from vigie_web.feature import Feature
from vigie_web.problem_schema import Responses, problem_response
from vigie_web.state import app_state

from vigie_api.auth.errors import NobodyLogsIn, NoSession
from vigie_api.auth.schemas import Login, LoginTokens, Me, OwnPassword, Refresh
from vigie_api.context import Context, Ctx

router = APIRouter(tags=["auth"], route_class=AuthorizedRoute)
FEATURE = Feature(
    router,
    {
        ("POST", "/auth/login"): PUBLIC,
        ("POST", "/auth/refresh"): PUBLIC,
        ("POST", "/auth/logout"): SIGNED_IN,
        ("GET", "/auth/me"): SIGNED_IN,
        ("PUT", "/auth/password"): SIGNED_IN,
    },
    "Logging in, and who one is",
)

NO_SESSION: Responses = {
    409: problem_response("The credential belongs to no session: a key, or another issuer's token")
}
REFUSED: Responses = {401: problem_response("The name or the password is not right, or the account is not active")}
USED_UP: Responses = {
    401: problem_response("The refresh token is not valid, was used before, or its session has ended")
}
THROTTLED: Responses = {429: problem_response("Too many failed logins for this account or address; see Retry-After")}


def _client(request: Request) -> ClientInfo:
    return ClientInfo(origin_of(request).address, agent_of(request))


def _sessions(request: Request) -> Sessions:
    return sessions_in(app_state(request).connected().identity)


def sessions_in(identity: Identity) -> Sessions:
    """Raises NobodyLogsIn when there is no VIGIE_JWT_SECRET."""
    if identity.sessions is None:
        raise NobodyLogsIn
    return identity.sessions


From = Annotated[ClientInfo, Depends(_client)]
Open = Annotated[Sessions, Depends(_sessions)]


@router.post("/auth/login", response_model=LoginTokens, responses={**REFUSED, **THROTTLED})
async def log_in(sessions: Open, client: From, body: Login) -> Any:
    """A session, for a name and a password. Failed logins are counted: beyond a few, 429."""
    return LoginTokens.of(await sessions.login(body.username, body.password, client, body.tenant))


@router.post("/auth/refresh", response_model=LoginTokens, responses=USED_UP)
async def refresh(sessions: Open, client: From, body: Refresh) -> Any:
    """New tokens for a refresh token, which is used up by it. One that comes a second time ends the session."""
    return LoginTokens.of(await sessions.refresh(body.refresh_token, client))


@router.post("/auth/logout", status_code=204, responses=NO_SESSION)
async def log_out(context: Ctx, client: From) -> None:
    """End the session of the access token that is sent."""
    session = _session(context)
    await sessions_in(context.resources.identity).logout(session, context.principal.id, client)


@router.get("/auth/me", response_model=Me)
async def me(context: Ctx) -> Any:
    """Who I am, and what I may do where."""
    return Me.of(context.principal)


@router.put("/auth/password", response_model=LoginTokens, responses={**NO_SESSION, **THROTTLED})
async def change_password(context: Ctx, client: From, body: OwnPassword) -> Any:
    """Another password for me, who knows the old one; wrong ones are counted as failed logins. All my sessions end, and
    the tokens are those of a new one."""
    _session(context)
    sessions = sessions_in(context.resources.identity)
    user = context.principal.id
    return LoginTokens.of(await sessions.change_password(user, body.old_password, body.new_password, client))


def _session(context: Context) -> str:
    if context.principal.session is None:
        raise NoSession
    return context.principal.session
