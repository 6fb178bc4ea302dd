"""The agent's own connection to push, by which commands come and results go: outgoing, so no port is open."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import OrderedDict
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
from vigie_client.backoff import Backoff
from vigie_contracts.commands import CommandResult
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from vigie_agent.commander import Commander, Order
from vigie_agent.journal import Journal
from vigie_agent.settings import AgentSettings

log = logging.getLogger("vigie_agent")

CHANNEL: Final = "commands"
OPEN_S: Final = 10.0
SLOWLY_S: Final = 60.0
"""Before the next attempt after one that was refused: somebody has to put it right."""
RETELL_S: Final = 15.0
"""Between two times that a result is told that was not acknowledged."""
MAX_UNDER_WAY: Final = 100
MAX_DECLINED: Final = 1_000
_MAX_BYTES: Final = 1024 * 1024


class _RefusedError(Exception):
    """The other side does not want us."""


class CommandChannel:
    """Stays connected, does what comes, and tells what came of it until it is acknowledged."""

    def __init__(
        self, settings: AgentSettings, key: str | None, commander: Commander, journal: Journal, verify: ssl.SSLContext
    ) -> None:
        url, host = settings.url, settings.host
        scheme, netloc, path, _, _ = urlsplit(url)
        self._url = urlunsplit(("wss" if scheme == "https" else "ws", netloc, f"{path.rstrip('/')}/ws", "", ""))
        self._ssl = verify if scheme == "https" else None
        self._host, self._key = host, key
        self._commander, self._journal = commander, journal
        self._refused: dict[str, CommandResult] = {}
        """Results of what was not begun: nothing of them is in the journal."""
        self._declined: OrderedDict[str, None] = OrderedDict()
        """What was refused is not begun later, however often it comes: somebody was told that nothing was done."""
        self._asked: dict[str, tuple[float, Order]] = {}
        """Commands that wait until Vigie has said what time it is, and when it was asked for each."""
        self._said_that_they_wait = False
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._backoff = Backoff()
        self.state = "not connected yet"
        """For `status`."""

    async def run(self) -> None:
        """Until it is cancelled. What is under way then ends as `unknown`, unless it ends in time."""
        try:
            while True:
                wait = await self._once()
                await asyncio.sleep(wait)
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _once(self) -> float:
        """One connection; seconds until the next."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            async with connect(
                self._url,
                additional_headers=headers,
                ssl=self._ssl,
                open_timeout=OPEN_S,
                max_size=_MAX_BYTES,
                compression=None,
            ) as socket:
                await self._serve(socket)
        except _RefusedError as e:
            return self._away(str(e), SLOWLY_S)
        except ConnectionClosed as e:
            closed = e.rcvd
            return self._away(f"closed: {closed.code} {closed.reason}" if closed else "the connection broke")
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as e:
            return self._away(f"{type(e).__name__}: {e}")
        except Exception as e:  # noqa: BLE001 - whatever a proxy of the environment does, reports go on
            return self._away(f"{type(e).__name__}: {e}", SLOWLY_S)
        return self._away("closed")

    async def _serve(self, socket: ClientConnection) -> None:
        telling = asyncio.create_task(self._tell_again(socket))
        self._asked.clear()
        try:
            async for text in socket:
                message = _decoded(text)
                match message.get("type"):
                    case "welcome":
                        await _send(socket, type="subscribe", channel=CHANNEL, host=self._host)
                    case "subscribed":
                        self._backoff.reset()
                        self.state = "connected"
                        log.info("commands are taken: %s", ", ".join(sorted(self._commander.allowed)))
                        await self._tell_all(socket)
                    case "command":
                        await self._ask_time(socket, message)
                    case "pong":
                        self._begin(socket, message)
                    case "ack":
                        await self._acknowledged(str(message.get("id")))
                    case "error" if message.get("id") is None:
                        raise _RefusedError(str(message.get("message")))
                    case "error":
                        log.warning("a result was not taken, and is told again: %s", message.get("message"))
                    case _:
                        pass
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _ask_time(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        """A command is begun when Vigie has said what time it is since it came. It is asked on the connection that
        commands come by: the header `Date` may be of a proxy, and one that is left out would stop everything."""
        try:
            order = msgspec.convert(message.get("data"), Order)
        except msgspec.ValidationError as e:
            log.warning("a command cannot be understood, and is left to expire: %s", e)
            return
        if order.id in self._asked and not self._said_that_they_wait:
            self._said_that_they_wait = True
            log.warning("a command came again and is not begun: Vigie does not say what time it is")
        known = order.id in self._asked or order.id in self._under_way or order.id in self._declined
        if known or len(self._under_way) + len(self._asked) >= MAX_UNDER_WAY:
            return  # it comes again as long as it is good
        self._asked[order.id] = (self._commander.vigie.clock(), order)
        await _send(socket, type="ping", id=order.id)

    def _begin(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        id_, told_ms = message.get("id"), message.get("timestamp")
        if not isinstance(id_, str) or not isinstance(told_ms, int) or (asked := self._asked.pop(id_, None)) is None:
            return
        self._said_that_they_wait = False
        asked_at, order = asked
        self._commander.vigie.learn(told_ms, asked_at)
        task = asyncio.create_task(self._do(socket, order), name=f"command {order.id}")
        self._under_way[order.id] = task
        task.add_done_callback(lambda _: self._under_way.pop(order.id, None))

    async def _do(self, socket: ClientConnection, order: Order) -> None:
        try:
            result = await self._commander.do(order)
        except Exception:  # a bug with one command is not the end of the others; begun, it is unknown at the next start
            log.exception("a command failed unexpectedly")
            return
        if result is None:
            return
        if self._journal.result(order.id) is None:
            self._refused[order.id] = result
            self._declined[order.id] = None
            while len(self._declined) > MAX_DECLINED:
                self._declined.popitem(last=False)
            while len(self._refused) > MAX_UNDER_WAY:
                del self._refused[next(iter(self._refused))]
        await self._tell(socket, order.id, result)

    async def _tell_again(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(RETELL_S)
            await self._tell_all(socket)

    async def _tell_all(self, socket: ClientConnection) -> None:
        for id_, result in [*self._journal.untold(), *self._refused.items()]:
            await self._tell(socket, id_, result)

    async def _tell(self, socket: ClientConnection, id_: str, result: CommandResult) -> None:
        try:
            await _send(
                socket, type="commandResult", id=id_, host=self._host, outcome=result.outcome, text=result.message
            )
        except ConnectionClosed:
            log.info("the result of a command is told when the connection is back")

    async def _acknowledged(self, id_: str) -> None:
        self._refused.pop(id_, None)
        try:
            await asyncio.to_thread(self._journal.told, id_)
        except OSError as e:
            log.warning("the journal of commands cannot be written: %s", e)

    def _away(self, why: str, wait: float | None = None) -> float:
        if self.state != why:
            log.warning("commands cannot be taken: %s", why)
        self.state = why
        return self._backoff.after(None) if wait is None else wait


async def _send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(msgspec.json.encode(message).decode())


def _decoded(text: str | bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
