"""Middleware for Flask and other WSGI applications: `app.wsgi_app = VigieWSGI(app.wsgi_app, client)`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from vigie_client.client import Client
from vigie_client.requests import UNMATCHED, Requests

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    _Endpoint = Callable[[WSGIEnvironment], str | None]


class VigieWSGI:
    """Counts requests, times them until the last byte of their answer, and counts errors. Exceptions go on as before.

    Requests are labelled with the rule of their route (`/users/<int:id>`).
    """

    def __init__(
        self,
        app: WSGIApplication,
        client: Client,
        *,
        endpoint: Callable[[WSGIEnvironment], str | None] | None = None,
    ) -> None:
        """`endpoint`: for frameworks without werkzeug: gives a template for an environment after the request, None for
        no route. Sending starts with the first request, if it was not started before."""
        self._app = app
        self._requests = Requests(client)
        self._endpoint = endpoint or flask_rule
        self._fallback = endpoint or partial(matched_rule, getattr(app, "__self__", None))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        self._requests.start()
        request = _Request(self._requests, environ, self._endpoint, self._fallback)
        try:
            body = self._app(environ, request.starting(start_response))
        except BaseException as error:
            request.end(error)
            raise
        return _Body(body, request)


def flask_rule(environ: WSGIEnvironment) -> str | None:
    """The rule that werkzeug's request, which Flask makes, was matched with."""
    rule = getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)
    return rule if isinstance(rule, str) else None


def matched_rule(application: Any, environ: WSGIEnvironment) -> str | None:
    """The rule that the application's map gives for the environment: for an exception that goes through Flask, which
    has forgotten its request by then."""
    if (url_map := getattr(application, "url_map", None)) is None:
        return None
    rule = getattr(url_map.bind_to_environ(environ).match(return_rule=True)[0], "rule", None)
    return rule if isinstance(rule, str) else None


class _Request:
    def __init__(self, requests: Requests, environ: WSGIEnvironment, endpoint: _Endpoint, fallback: _Endpoint) -> None:
        self._requests = requests
        self._environ = environ
        self._endpoint = endpoint
        self._fallback = fallback
        self._began = time.perf_counter()
        self._status = 500
        self._template: str | None = None
        self._ended = False

    def starting(self, start_response: StartResponse) -> StartResponse:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
            self._status = int(status[:3]) if status[:3].isdecimal() else 500
            self._template = self._found(self._endpoint)  # now: whoever reads the answer may put another request there
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        return start

    def end(self, error: BaseException | None = None) -> None:
        """Record, once."""
        if self._ended:
            return
        self._ended = True
        seconds = time.perf_counter() - self._began
        method = str(self._environ.get("REQUEST_METHOD", ""))
        template = self._template or (self._found(self._fallback) if error else None) or UNMATCHED
        self._requests.record(method, template, self._status, seconds, error)

    def _found(self, endpoint: _Endpoint) -> str | None:
        try:
            return endpoint(self._environ)
        except Exception:  # noqa: BLE001  # the application's own function, or no route for the path
            return None


class _Body:
    """The answer's body: the request ends with it."""

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body = body
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except BaseException as error:
            self._request.end(None if isinstance(error, GeneratorExit) else error)
            raise

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.end()
