"""Socket.IO clients as sessions of the hub. See docs/decisions/0013-socketio-without-redis.md."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send
from vigie_identity.errors import CredentialMissing
from vigie_runtime import logging, tasks
from vigie_runtime.addresses import Origin
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError
from vigie_web.close_codes import CloseCode, Closing
from vigie_web.connection import STREAM
from vigie_web.context import origin_of
from vigie_web.websocket import WebSocket, wire_of

from vigie_push.errors import Ended, error_of
from vigie_push.messages import Closed, Error, encode, type_of
from vigie_push.metrics import Transport
from vigie_push.sessions import Session, Sessions
from vigie_push.socketio.asked import NoScripts, asked, shown
from vigie_push.socketio.engine import Engine
from vigie_push.socketio.events import Packets, packet
from vigie_push.subscriber import MAX_ANSWERS, Delivery, Outgoing

log = logging.get(__name__)

_SECOND: Final = 1.0
_GONE: Final = Closing(CloseCode.NORMAL, "the client has gone")
_SILENT: Final = Closing(CloseCode.UNAUTHENTICATED, "the client did not connect in time")
_FAULT: Final = Closing(CloseCode.INTERNAL, "this is a fault of the server")
_BYE_S: Final = 1.0
"""For the last packet of a session that is ended."""


@dataclass(slots=True)
class _Socket:
    """A WebSocket, and whose it is."""

    engine_id: str
    wire: WebSocket


@dataclass(slots=True, eq=False)
class _Client:
    """A connected client; `engine_id` names its Engine.IO session, `id` its connection to the namespace."""

    engine_id: str
    id: str
    origin: Origin
    credential: bytes | None
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    session: Session | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of its events: requests of one that polls may come side by side."""
    task: asyncio.Task[None] | None = None
    own: set[str] = field(default_factory=set[str])
    """Channels whose messages go as events of their own, and as `kpi_event`s."""
    kpi: set[str] = field(default_factory=set[str])


class SocketTransport:
    """An ASGI app for the path of Socket.IO; owner of the library's sessions."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions, self._clock = sessions, clock
        self._packets = Packets(clock)
        self._engine = Engine(self, sessions.settings.push_message_bytes)
        self._clients: dict[str, _Client] = {}
        """By the id of the engine's session."""
        self._taken: dict[str, tuple[float, int]] = {}
        """By the same: the second that runs, and the packets in it."""
        self._sockets: dict[asyncio.Task[Any], _Socket] = {}
        """By the task that serves one."""
        self._silent: dict[str, str] = {}
        """Sessions that have not said who they are, and of which address they are."""
        self._expelled: set[str] = set()
        self._ends: set[asyncio.Task[None]] = set()
        self._engine.on("connect", self._connect)
        self._engine.on("disconnect", self._disconnect)
        self._engine.on("subscribe", self._subscribe)
        self._engine.on("unsubscribe", self._unsubscribe)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] != "websocket" or task is None:
            await self._poll(scope, receive, send)
            return
        self._sockets[task] = _Socket(_asked_for(scope, "sid"), wire_of(scope))
        try:
            await self._engine.handle_request(scope, receive, send)
        except ValueError as e:  # the library's, for frames that are no packets
            log.debug("a WebSocket of Socket.IO sent what is no packet", reason=type(e).__name__)
        finally:
            engine_id = self._sockets.pop(task).engine_id
            if engine_id in self._engine.eio.sockets:
                self._later(self._drop(engine_id, _GONE))

    async def _poll(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request by HTTP. One that waits for news ends when its client goes, and with it the session."""
        if _asked_for(scope, "j"):
            raise NoScripts
        if scope["method"] != "GET":
            if self._is_full(engine_id := _asked_for(scope, "sid")):
                await self.expel(engine_id, Closing(CloseCode.TRY_LATER, "the client does not read what it is sent"))
            await self._engine.handle_request(scope, receive, send)
            return
        first: Message = await receive()
        scope[STREAM] = True

        async def again() -> Message:
            return first

        answering = asyncio.create_task(self._engine.handle_request(scope, again, send), name="socket.io poll")
        gone = asyncio.create_task(_disconnected(receive), name="socket.io poller")
        try:
            await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.end([gone] if answering.done() else [answering, gone])
        if not answering.cancelled():
            await answering  # raises what went wrong

    def _is_full(self, engine_id: str) -> bool:
        """Whether more waits for the session's next poll than events, and answers to those who read."""
        socket = self._engine.eio.sockets.get(engine_id)
        return socket is not None and socket.queue.qsize() > 2 * self._sessions.settings.push_buffer + MAX_ANSWERS

    async def close(self) -> None:
        """End all clients."""
        await tasks.end([client.task for client in self._clients.values() if client.task])
        await tasks.end(self._ends)
        await self._engine.shutdown()

    def opened(self, engine_id: str, scope: Scope) -> str | None:
        """A session begins that has not said who it is; a sentence when it may not."""
        settings, task = self._sessions.settings, asyncio.current_task()
        if len(self._engine.eio.sockets) > settings.push_connections:
            return "too many connections are open; try again later"
        origin = origin_of(HTTPConnection(scope))
        if not origin.local:
            if list(self._silent.values()).count(origin.place) >= settings.push_user_connections:
                return "too many connections of this address have not said who they are; try again later"
            self._silent[engine_id] = origin.place
        if task in self._sockets:
            self._sockets[task].engine_id = engine_id
        asyncio.get_running_loop().call_later(settings.push_auth_timeout_s, self._late, engine_id)
        return None

    def admits(self, engine_id: str) -> bool:
        """Whether one more packet of the session is taken."""
        now = self._clock.monotonic()
        since, count = self._taken.get(engine_id, (now, 0))
        if now - since >= _SECOND:
            since, count = now, 0
        self._taken[engine_id] = since, count + 1
        return count < self._sessions.settings.push_messages_per_s

    def joined(self, engine_id: str) -> None:
        """The client knows that it is connected: it may be sent events."""
        if (client := self._clients.get(engine_id)) is not None:
            client.joined.set()

    def closed(self, engine_id: str) -> None:
        """A session has ended."""
        self._taken.pop(engine_id, None)
        self._silent.pop(engine_id, None)
        self._expelled.discard(engine_id)
        self._leave(engine_id)

    async def expel(self, engine_id: str, closing: Closing) -> None:
        """End a session because of what it sends."""
        if engine_id not in self._expelled and engine_id in self._engine.eio.sockets:
            self._expelled.add(engine_id)
            self._sessions.metrics.closed(closing.code)
            self._later(self._drop(engine_id, closing))

    async def _connect(self, id_: str, environ: Mapping[str, Any], auth: Any) -> None:
        scope: Scope = environ["asgi.scope"]
        engine_id = self._engine.manager.eio_sid_from_sid(id_, "/") or ""
        self._silent.pop(engine_id, None)
        socket = self._engine.eio.sockets.get(engine_id)
        if socket is None or socket.closing or socket.closed:
            raise Refused(_GONE.reason)
        opening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            credential = shown(scope["query_string"], scope["headers"], auth)
            client = _Client(engine_id, id_, origin_of(HTTPConnection(scope)), credential)
            self._clients[engine_id] = client
            client.task = asyncio.create_task(self._run(client, opening), name="socket.io client")
            await asyncio.wait([opening])
            if opening.cancelled():
                raise Refused(_GONE.reason)
            opening.result()
        except ProblemError as e:
            self._forget(engine_id)
            raise Refused(e.detail, {"code": e.kind.value, "message": e.detail}) from None
        except Ended as e:
            self._forget(engine_id)
            raise Refused(e.closing.reason, {"code": int(e.closing.code), "message": e.closing.reason}) from None

    async def _disconnect(self, id_: str, _reason: str) -> None:
        engine_id = self._engine.manager.eio_sid_from_sid(id_, "/") or ""
        self._leave(engine_id)
        asyncio.get_running_loop().call_later(self._sessions.settings.push_auth_timeout_s, self._late, engine_id)

    async def _subscribe(self, id_: str, argument: Any = None) -> dict[str, Any]:
        return await self._answered(id_, "subscribe", argument)

    async def _unsubscribe(self, id_: str, argument: Any = None) -> dict[str, Any]:
        return await self._answered(id_, "unsubscribe", argument)

    async def _answered(self, id_: str, event: str, argument: Any) -> dict[str, Any]:
        """What the client's callback is given; an error is also an event, for those without a callback."""
        engine_id = self._engine.manager.eio_sid_from_sid(id_, "/") or ""
        client = self._clients.get(engine_id)
        if client is None or client.session is None:
            return {"ok": False}
        try:
            async with client.turn:
                await client.session.subscriber.room()
                done = await (self._begin if event == "subscribe" else self._end)(client, client.session, argument)
        except ProblemError as e:
            error = error_of(e)
            client.session.subscriber.tell(error)
            return {"ok": False, "code": error.code, "message": error.message, "field": error.field}
        except Exception:  # the library would log it and tell nobody
            log.exception("a message of a Socket.IO client failed", message=event)
            client.session.subscriber.tell(Error(code="internal-error", message="this is a fault of the server"))
            return {"ok": False, "code": "internal-error"}
        return {"ok": True, "subscriptions": done}

    async def _begin(self, client: _Client, session: Session, argument: Any) -> list[str]:
        wanted = asked("subscribe", argument)
        for channel in wanted.channels:
            self._sessions.channel(channel)  # one that is none is refused before anything is kept of it
        (client.kpi if wanted.kpi else client.own).update(wanted.channels)
        begun: list[str] = []
        for channel in wanted.channels:
            try:
                subscription = await session.subscribe(channel, wanted.fields, after=wanted.after, tenant=wanted.tenant)
            except ProblemError:
                if channel == wanted.channels[-1] and not begun:
                    raise
                continue  # of several channels those that the client may see
            begun.append(subscription.id)
        return begun

    async def _end(self, client: _Client, session: Session, argument: Any) -> list[str]:
        """A subscription ends when its messages go as events of neither kind."""
        wanted = asked("unsubscribe", argument)
        mine, other = (client.kpi, client.own) if wanted.kpi else (client.own, client.kpi)
        before = list(session.subscriptions)
        for channel in wanted.channels:
            if channel not in other:
                session.unsubscribe(channel=channel, fields=wanted.fields)
            if channel in other or all(one.topic.channel != channel for one in session.subscriptions.values()):
                mine.discard(channel)
        return [one for one in before if one not in session.subscriptions]

    async def _run(self, client: _Client, opening: asyncio.Future[None]) -> None:
        """The client's session, from its first packet to its end."""
        try:
            async with self._sessions.opened(client.origin, Transport.SOCKETIO) as session:
                client.session = session
                if client.credential is None and not await session.anonymous_may():
                    raise CredentialMissing
                await session.authenticate(client.credential)
                opening.set_result(None)
                await client.joined.wait()
                await self._greet(client, session)
                await self._write(client, session)
        except (ProblemError, Ended) as e:
            if not opening.done():
                opening.set_exception(e)
            elif isinstance(e, Ended):
                self._sessions.metrics.closed(e.closing.code)
                self._later(self._drop(client.engine_id, e.closing))
        except Exception:  # a bug: else the client would wait for ever
            log.exception("the session of a Socket.IO client failed")
            self._later(self._drop(client.engine_id, _FAULT))
        finally:
            opening.cancel()

    async def _greet(self, client: _Client, session: Session) -> None:
        """Alerts come without asking: so clients of the replaced service have them."""
        client.own.add("alerts")
        try:
            await session.subscribe("alerts", {})
        except ProblemError as e:
            log.debug("no alerts for this client", session=session.id, reason=e.detail)

    async def _write(self, client: _Client, session: Session) -> None:
        """Raises Ended."""
        while True:
            batch = await session.take()
            socket = self._engine.eio.sockets.get(client.engine_id)
            if socket is None or socket.closed:
                return
            for one in batch:
                for text in self._texts(client, one):
                    await self._engine.eio.send(client.engine_id, text)
            try:
                async with asyncio.timeout(self._sessions.settings.push_write_timeout_s):
                    await socket.queue.join()  # meanwhile the subscriber keeps only the newest
            except TimeoutError:
                raise Ended(Closing(CloseCode.TRY_LATER, "the client does not read what it is sent")) from None

    def _texts(self, client: _Client, one: Outgoing) -> list[str]:
        if not isinstance(one, Delivery):
            return [packet(type_of(one), encode(one))]
        texts: list[str] = []
        channel = one.event.topic.channel
        if channel in client.own:
            texts += self._packets.of(one.event, kpi=False)
        if channel in client.kpi:
            texts += self._packets.of(one.event, kpi=True)
        return texts

    async def _drop(self, engine_id: str, closing: Closing) -> None:
        """End the engine's session: a WebSocket with its code, and before that with an event that says why."""
        eio = self._engine.eio
        await eio.send(engine_id, packet("closed", encode(Closed(code=int(closing.code), reason=closing.reason))))
        with suppress(TimeoutError):
            async with asyncio.timeout(_BYE_S):
                await eio.disconnect(engine_id)
        for socket in list(self._sockets.values()):
            if socket.engine_id == engine_id:
                socket.wire.end(closing)
        eio.sockets.pop(engine_id, None)
        self.closed(engine_id)

    def _late(self, engine_id: str) -> None:
        if engine_id in self._engine.eio.sockets and engine_id not in self._clients:
            self._later(self._drop(engine_id, _SILENT))

    def _leave(self, engine_id: str) -> None:
        """The client has gone, maybe before it was connected."""
        client = self._forget(engine_id)
        if client is not None and client.task is not None and client.task is not asyncio.current_task():
            client.task.cancel()

    def _forget(self, engine_id: str) -> _Client | None:
        self._taken.pop(engine_id, None)
        return self._clients.pop(engine_id, None)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="socket.io end")
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)


def _asked_for(scope: Scope, name: str) -> str:
    """A parameter of the address. `sid` is the session that a request is about; empty when it begins one."""
    return parse_qs(scope["query_string"].decode("latin-1")).get(name, [""])[0]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
