"""Runs an HTTP service with uvicorn, with one set of limits for all services."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvicorn
from vigie_runtime.settings import HttpSettings

from vigie_web.connection import connection
from vigie_web.process import connections, tune_garbage_collection
from vigie_web.security import OVER_TLS, shared
from vigie_web.websocket import WebSocketLimits, websocket

MAX_CONNECTIONS: Final = 10_000
_KEEP_ALIVE_S: Final = 75
"""Longer than the minute that load balancers keep an idle connection, so that it is they who close it."""


def serve(
    app: Any,
    settings: HttpSettings,
    host: str,
    port: int,
    max_connections: int = MAX_CONNECTIONS,
    *,
    websockets: WebSocketLimits | None = None,
) -> None:
    """Serve an ASGI app until SIGTERM or SIGINT; ends the process with 1 if it could not start. Without `websockets`
    there are none: who asks for one is answered as if it had not."""
    tune_garbage_collection()
    server = uvicorn.Server(config(app, settings, host, port, connections(max_connections), websockets=websockets))
    with suppress(KeyboardInterrupt):  # uvicorn has stopped in good order, and then raises the signal again
        server.run()
    if not server.started:
        sys.exit(1)


def config(
    app: Any,
    settings: HttpSettings,
    host: str,
    port: int,
    max_connections: int,
    *,
    websockets: WebSocketLimits | None = None,
) -> uvicorn.Config:
    """The configuration of uvicorn that `serve` uses."""
    limits = websockets or WebSocketLimits()
    return uvicorn.Config(
        shared(app, settings),
        host=host,
        port=port,
        loop="auto",
        http=connection(settings, host),
        ws="none" if websockets is None else websocket(limits),
        ws_max_size=limits.message_bytes,
        ws_ping_interval=limits.heartbeat_s,
        ws_ping_timeout=limits.heartbeat_s,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `addresses` says whose the address is, by our own setting, and uvicorn must not disagree
        limit_concurrency=max_connections,
        backlog=4096,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_timeout_s)),
        ssl_certfile=settings.tls_cert_file,
        ssl_keyfile=settings.tls_key_file,
        ssl_context_factory=_no_old_tls if settings.tls_cert_file else None,
        headers=list(OVER_TLS) if settings.tls_cert_file else [],
    )


def _no_old_tls(_config: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Said here, because some systems' Pythons leave it to the configuration of OpenSSL."""
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
