"""Hands requests on to a service that is a process of its own: what comes seldom, and may fail alone."""

import http
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx2
from vigie_contracts.problems import ProblemKind, problem
from vigie_web.problems import response
from vigie_web.security import ALWAYS

from vigie_standalone.probes import trust

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TIMEOUT = httpx2.Timeout(60.0, connect=2.0)
LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=10)
RETRY_AFTER_S = 5
_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
_NOT_SENT = _HOP | {b"host", b"x-forwarded-for", b"expect"}
_NOT_PASSED = _HOP | {b"date", b"server", *(name for name, _ in ALWAYS)}
"""Of the answer: what this process writes itself."""


class Forwarded:
    """An ASGI application that is somewhere else on this machine."""

    def __init__(self, url: str, client: httpx2.AsyncClient | None = None) -> None:
        # One that passes on what it is told: it follows nothing, and believes no proxy settings of the environment.
        self._client = client or httpx2.AsyncClient(timeout=TIMEOUT, limits=LIMITS, trust_env=False, verify=trust(url))
        self._client.headers.clear()  # nor adds anything: whoever did not ask for gzip must not get it
        self._url = httpx2.URL(url)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body of a GET; 503 when nobody answers."""
        try:
            answer = await self._client.get(self._url.join(path))
        except httpx2.TransportError:
            return http.HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", b""
        return answer.status_code, answer.headers.get("content-type", "application/octet-stream"), answer.content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and its answer back, a piece at a time."""
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        headers = _request_headers(scope)
        has_body = any(name in _LENGTHS for name, _ in scope["headers"])
        request = self._client.build_request(
            scope["method"],
            self._url.copy_with(raw_path=target),
            headers=headers,
            content=_body(receive) if has_body else None,
        )
        request.headers["host"] = self._url.netloc.decode()
        try:
            answer = await self._client.send(request, stream=True)
        except httpx2.TransportError:
            await response(_away(scope["path"]))(scope, receive, send)
            return
        try:
            headers = [(name.lower(), value) for name, value in answer.headers.raw]
            passed = [(name, value) for name, value in headers if name not in _NOT_PASSED]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": passed})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()


def _request_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    headers = [(name, value) for name, value in scope["headers"] if name not in _NOT_SENT]
    said = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    client = scope.get("client")
    return [*headers, (b"x-forwarded-for", b", ".join([*said, str(client[0] if client else "").encode()]))]


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise httpx2.ReadError("the caller has gone")
        yield event.get("body", b"")
        if not event.get("more_body", False):
            return


def _away(path: str) -> Any:
    detail = "The service behind this path does not answer. The outcome is unknown."
    return problem(ProblemKind.BUSY, 503, detail, retry_after=RETRY_AFTER_S, instance=path)
