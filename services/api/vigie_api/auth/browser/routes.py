"""/auth/session: the session of a browser.

The refresh token is in a cookie that no script can read and that no other site can send; the page holds the access
token in memory alone. All is at one path, so that the cookie, which names no path, is sent there and beside it and
nowhere else, also below the prefix of a proxy.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Cookie, Response
from pydantic import Field
from starlette.requests import Request
from vigie_identity.errors import BadCredential, RefusalReason
from vigie_identity.sessions import Tokens
from vigie_web.access import PUBLIC
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature
from vigie_web.problem_schema import problem_response
from vigie_web.state import app_state

from vigie_api.auth.errors import NoSession
from vigie_api.auth.routes import NO_SESSION, REFUSED, THROTTLED, USED_UP, From, Open
from vigie_api.auth.schemas import Login, LoginTokens, Me
from vigie_api.schemas import Model

COOKIE: Final = "vigie_session"
_ATTRIBUTES: Final = "HttpOnly; SameSite=Strict"

router = APIRouter(tags=["auth"], route_class=AuthorizedRoute)
FEATURE = Feature(
    router,
    {
        ("GET", "/auth/session"): PUBLIC,
        ("POST", "/auth/session"): PUBLIC,
        ("PUT", "/auth/session"): PUBLIC,
        ("DELETE", "/auth/session"): PUBLIC,
    },
)

Token = Annotated[str | None, Cookie(alias=COOKIE, max_length=1_024)]


class BrowserTokens(Model):
    """An access token, for `Authorization: Bearer`; the refresh token is in the cookie."""

    access_token: str
    expires_in: int = Field(description="seconds for which the access token is good")
    name: str


class BrowserSession(Model):
    """What a page has to know before it asks for anything."""

    session: bool = Field(description="whether the request carried the cookie of a session, which may have ended")
    anonymous: Me = Field(description="who callers without a credential are, and what they may do where")


class SessionEnded(BadCredential):
    """The cookie is good for nothing any more, and the browser drops it."""

    def __init__(self, reason: RefusalReason, cookie: str) -> None:
        super().__init__(reason)
        self._cookie = cookie

    def headers(self) -> dict[str, str]:
        """With the order to drop it."""
        return {**super().headers(), "set-cookie": self._cookie}


@router.get("/auth/session", response_model=BrowserSession)
async def look(request: Request, token: Token = None) -> Any:
    """Whether there is a session to go on with, and what may be done without one."""
    access = app_state(request).connected().access
    return BrowserSession(session=bool(token), anonymous=Me.of(await access.authenticator.anonymous()))


@router.post("/auth/session", response_model=BrowserTokens, responses={**REFUSED, **THROTTLED})
async def open_(request: Request, response: Response, sessions: Open, client: From, body: Login) -> Any:
    """A session for a name and a password, as `POST /auth/login`: the refresh token comes as a cookie."""
    tokens = await sessions.login(body.username, body.password, client, body.tenant)
    return _given(request, response, tokens)


@router.put("/auth/session", response_model=BrowserTokens, responses={**NO_SESSION, **USED_UP})
async def go_on(request: Request, response: Response, sessions: Open, client: From, token: Token = None) -> Any:
    """Another access token, and another cookie, for the cookie, which is used up by it."""
    if not token:
        raise NoSession
    try:
        return _given(request, response, await sessions.refresh(token, client))
    except BadCredential as e:
        raise SessionEnded(e.reason, _cookie(request, "", 0)) from None


@router.delete("/auth/session", status_code=204, responses={503: problem_response("The session may go on: try again")})
async def end(request: Request, response: Response, sessions: Open, client: From, token: Token = None) -> None:
    """End the session of the cookie, whether or not its access token is still good, and drop the cookie. While the
    store does not answer the cookie stays, for another try."""
    if token:
        await sessions.end(token, client)
    response.headers["set-cookie"] = _cookie(request, "", 0)


def _given(request: Request, response: Response, tokens: Tokens) -> BrowserTokens:
    whole = LoginTokens.of(tokens)
    response.headers["set-cookie"] = _cookie(request, tokens.refresh, tokens.refresh_expires_in_s)
    return BrowserTokens(access_token=whole.access_token, expires_in=whole.expires_in, name=whole.user.name)


def _cookie(request: Request, value: str, age_s: int) -> str:
    """A browser names its own origin, so it is known also behind a proxy whether it speaks TLS."""
    tls = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
    return f"{COOKIE}={value}; Max-Age={age_s}; {_ATTRIBUTES}{'; Secure' if tls else ''}"
