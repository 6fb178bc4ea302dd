"""Security headers and CORS.

The headers that all answers share are written by `connection`, as part of the answers' first line: uvicorn looks at
every header it is given, 0.7 us apiece, and they never change.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from vigie_runtime.settings import HttpSettings

ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
"""On every answer. A page adds a second policy of its own, and browsers obey both."""

OVER_TLS: Final = (("strict-transport-security", "max-age=31536000"),)
"""On every answer too, when this process itself speaks TLS."""

CONTENT_SECURITY_POLICY: Final = "content-security-policy"
REFERENCE_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
"""What the pages of the API's reference need: they start their viewer with a few lines of script inside the page."""
REFERENCE_PAGES: Final = frozenset({"/docs", "/docs/oauth2-redirect", "/redoc"})

EXPOSED: Final = (
    "Idempotency-Replayed",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "WWW-Authenticate",
)
"""Headers of answers that a script of another origin may read, besides those that browsers always show."""
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_PREFLIGHT_S: Final = 600


def shared(app: Any, settings: HttpSettings) -> Any:
    """The app, readable from the origins of the settings; the app itself when there are none.

    Cookies are never allowed: whoever asks shows a credential in a header, so any header may be sent."""
    if not settings.origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=settings.origins,
        allow_methods=_METHODS,
        allow_headers=("*",),
        allow_credentials=False,
        expose_headers=EXPOSED,
        max_age=_PREFLIGHT_S,
    )


class ReferencePages:
    """ASGI middleware of an app that has a reference to look at: its pages load nothing from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in REFERENCE_PAGES:
            await self._app(scope, receive, send)
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append(CONTENT_SECURITY_POLICY, REFERENCE_POLICY)
            await send(message)

        await self._app(scope, receive, with_policy)
