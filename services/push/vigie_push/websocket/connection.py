"""One WebSocket: reads what the client asks, and writes what its session gives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
from vigie_contracts.problems import shortened
from vigie_identity.errors import Unauthenticated
from vigie_runtime import logging, tasks
from vigie_runtime.errors import ProblemError
from vigie_web.close_codes import CloseCode, Closing
from vigie_web.websocket import WebSocket

from vigie_push.apps.intake import AppIntake
from vigie_push.errors import Code, Ended, error_of
from vigie_push.messages import (
    Auth,
    CommandResult,
    Error,
    Incoming,
    Metrics,
    Ping,
    Pong,
    Subscribe,
    Unsubscribe,
    Welcome,
    decode,
    encode,
    fields,
)
from vigie_push.results import ResultIntake
from vigie_push.sessions import Session
from vigie_push.subscriber import Delivery

log = logging.get(__name__)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_MAX_INTAKES: Final = 64
"""Messages `metrics` of one connection that wait for Kafka."""


class LiveSocket:
    """A connection that is accepted."""

    __slots__ = (
        "_app_metrics", "_auth_timer", "_heartbeat_ms", "_intakes", "_now_ms", "_receive", "_results", "_session",
        "_wire",
    )  # fmt: skip

    def __init__(
        self,
        wire: WebSocket,
        receive: Receive,
        session: Session,
        *,
        app_metrics: AppIntake,
        results: ResultIntake,
        now_ms: Callable[[], int],
        heartbeat_s: float,
    ) -> None:
        self._wire, self._receive, self._session = wire, receive, session
        self._app_metrics, self._results, self._now_ms = app_metrics, results, now_ms
        self._heartbeat_ms = int(heartbeat_s * 1000)
        self._intakes: set[asyncio.Task[None]] = set()
        self._auth_timer: asyncio.TimerHandle | None = None
        session.subscriber.on_close = self._wire.end

    async def run(self, credential: bytes | None, auth_timeout_s: float) -> None:
        """Until the client has gone, or has to."""
        writer = asyncio.create_task(self._write(), name="live writer")
        try:
            await self._enter(credential, auth_timeout_s)
            await self._read()
        except Ended as e:
            self._session.subscriber.close(e.closing)
        except Exception:  # a bug with one client is not the end of the others
            log.exception("a live connection failed", session=self._session.id)
            self._session.subscriber.close(Closing(CloseCode.INTERNAL, "the connection failed unexpectedly"))
        finally:
            if self._auth_timer is not None:
                self._auth_timer.cancel()
            writer.cancel()
            await asyncio.wait([writer])  # cheaper than `tasks.end`: thousands may go at once
            if self._intakes:
                await tasks.end(self._intakes)

    async def _enter(self, credential: bytes | None, auth_timeout_s: float) -> None:
        if credential is None and not await self._session.anonymous_may():
            late = Closing(CloseCode.UNAUTHENTICATED, "no credential: send one with the request, or in a first message")
            loop = asyncio.get_running_loop()
            self._auth_timer = loop.call_later(auth_timeout_s, self._session.subscriber.close, late)
            return
        await self._authenticate(credential)

    async def _authenticate(self, credential: bytes | None, id: Any = None) -> None:  # noqa: A002
        try:
            principal = await self._session.authenticate(credential)
        except Unauthenticated as e:
            raise Ended(Closing(CloseCode.UNAUTHENTICATED, e.detail)) from None
        except ProblemError as e:
            again = e.status == 429 or e.status >= 500
            raise Ended(Closing(CloseCode.TRY_LATER if again else CloseCode.NOT_ALLOWED, e.detail)) from None
        if self._auth_timer is not None:
            self._auth_timer.cancel()
            self._auth_timer = None
        welcome = Welcome(id=id, connection=self._session.id, user=principal.name, heartbeat_ms=self._heartbeat_ms)
        self._session.subscriber.tell(welcome)

    async def _write(self) -> None:
        try:
            while True:
                batch = await self._session.take()
                await self._wire.send_texts([one.text if isinstance(one, Delivery) else encode(one) for one in batch])
        except (Ended, OSError):
            return  # it is closed, or gone: the reader notices
        except Exception:  # a bug in one message is not the end of the others
            log.exception("a live message could not be written", session=self._session.id)
            self._session.subscriber.close(Closing(CloseCode.INTERNAL, "a message could not be written"))

    async def _read(self) -> None:
        session = self._session
        while True:
            received = await self._receive()
            if received["type"] == "websocket.disconnect":
                session.closed_with(received.get("code"))
                return
            text = received.get("text")
            if text is None:
                raise Ended(Closing(CloseCode.BINARY, "messages are JSON text, not binary"))
            await session.subscriber.room()
            if (message := self._decoded(text)) is None:
                continue
            try:
                await self._handle(message, text)
            except ProblemError as e:
                session.subscriber.tell(error_of(e, message.id))

    def _decoded(self, text: str) -> Incoming | None:
        try:
            return decode(text)
        except msgspec.ValidationError as e:
            code = Code.UNKNOWN_TYPE if "`$.type`" in str(e) or "`type`" in str(e) else Code.MALFORMED
            self._session.subscriber.tell(Error(code=code, message=shortened(str(e), 500)))
        except (msgspec.DecodeError, RecursionError):
            self._session.subscriber.tell(Error(code=Code.MALFORMED, message="the message is not JSON"))
        return None

    async def _handle(self, message: Incoming, text: str) -> None:
        session = self._session
        match message:
            case Subscribe():
                await session.subscribe(
                    message.channel, fields(text), after=message.after, tenant=message.tenant, id=message.id
                )
            case Unsubscribe():
                session.unsubscribe(message.subscription, message.channel, fields=fields(text), id=message.id)
            case Ping():
                session.subscriber.tell(Pong(id=message.id, timestamp=self._now_ms()))
            case Auth():
                await self._authenticate(message.token.encode(), message.id)
            case Metrics() | CommandResult():
                await self._take(message)

    async def _take(self, message: Metrics | CommandResult) -> None:
        """Beside the reader: what comes in a burst goes to Kafka together."""
        while len(self._intakes) >= _MAX_INTAKES:
            await asyncio.wait(self._intakes, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._answer(message), name="app metrics")
        self._intakes.add(task)
        task.add_done_callback(self._intakes.discard)

    async def _answer(self, message: Metrics | CommandResult) -> None:
        tell = self._session.subscriber.tell
        try:
            if isinstance(message, Metrics):
                tell(await self._app_metrics.take(self._session, message))
            else:
                tell(await self._results.take(self._session, message))
        except ProblemError as e:
            tell(error_of(e, message.id))
        except Exception:  # a bug with one message is not the end of the connection
            log.exception("a message of a client could not be taken", session=self._session.id)
            tell(Error(id=message.id, code=Code.INTERNAL, message="the message could not be taken"))
