"""The agent put together: it asks for its configuration, collects, and sends, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import metadata
from typing import Final, TypeVar

from vigie_client.transport import HttpTransport
from vigie_contracts.hosts import HostReport, Unavailable

from vigie_agent.channel import CommandChannel
from vigie_agent.collection import Collection, encoded
from vigie_agent.collectors.registry import collectors
from vigie_agent.commander import Commander
from vigie_agent.configuration import ConfigurationClient
from vigie_agent.journal import Journal
from vigie_agent.sending import Sender
from vigie_agent.settings import AgentSettings
from vigie_agent.spool import Lost, Spool
from vigie_agent.state import StateDirectory, Status
from vigie_agent.systemd.bus import SystemdBus
from vigie_agent.trust import trust

log = logging.getLogger("vigie_agent")

T = TypeVar("T")
_COLLECTOR_THREADS: Final = 9
"""As many as there are collectors that can hang. Each is made when all before are busy: usually there are two."""


_REFRESH_S: Final = 1.0
"""So long a collection waits for the configuration: it is not made late by a network that is away."""

_BETWEEN_LOOKS_S: Final = 1.0


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Agent:
    """One run, on a state directory that it has claimed."""

    def __init__(self, settings: AgentSettings, key: str | None, state: StateDirectory) -> None:
        self._settings, self._state = settings, state
        verify = trust(settings.url, settings.ca_file)
        self._key, self._verify = key, verify
        asking, sending = (HttpTransport(settings.url, api_key=key, verify=verify) for _ in range(2))
        instance = state.instance()
        self._configuration = ConfigurationClient(
            asking, settings.host, state.configuration, settings.interval_s, instance
        )
        self._spool = Spool(state.spool, settings.spool_bytes)
        self._sender = Sender(self._spool, sending)
        self._io = ThreadPoolExecutor(1, "vigie-agent-io")
        """The only thread that touches spool and sender."""
        self._asking = ThreadPoolExecutor(1, "vigie-agent-ask")
        self._threads = ThreadPoolExecutor(_COLLECTOR_THREADS, "vigie-agent-look")
        self._walker = ThreadPoolExecutor(1, "vigie-agent-walk")
        self._bus = SystemdBus()
        found = collectors(settings, self._bus, self._threads, self._walker)
        self._collection = Collection(settings, found, instance)
        self._stopped = asyncio.Event()
        self._waiting = asyncio.Event()
        self._told: dict[Lost, int] = {}
        self._said: str | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._channel: CommandChannel | None = None
        self._status = Status(
            pid=os.getpid(),
            host=settings.host,
            url=settings.url,
            version=metadata.version("vigie-agent"),
            interval=settings.interval_s,
            started_at=now_ms(),
        )

    def stop(self) -> None:
        """End `run`, soon. What is not sent waits on the disk."""
        self._stopped.set()

    async def run(self) -> None:
        """Until `stop`."""
        log.info("the agent of %s reports to %s", self._settings.host, self._settings.url)
        work = [self._collect, self._send, *([self._command] if self._settings.allowed else [])]
        loops = [asyncio.create_task(one(), name=one.__name__) for one in work]
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopped, *loops):
                task.cancel()
            ended = await asyncio.gather(*loops, return_exceptions=True)
            self._end()
        for result in ended:
            if isinstance(result, Exception):
                raise result
        log.info("the agent has ended, %d reports wait to be sent", len(self._spool))

    async def once(self) -> HostReport:
        """One report; after two looks, as usage is that between them."""
        try:
            await self._refresh()
            await self._collection.report(now_ms(), self._configuration.current)
            await asyncio.sleep(_BETWEEN_LOOKS_S)
            return await self._collection.report(now_ms(), self._configuration.current)
        finally:
            self._end()

    def _end(self) -> None:
        self._bus.close()
        for pool in (self._io, self._asking, self._threads, self._walker):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _collect(self) -> None:
        at = time.monotonic()
        while True:
            await self._refresh()
            interval = self._configuration.current.interval_s
            report = await self._collection.report(
                now_ms(), self._configuration.current, buffered=len(self._spool), remarks=self._remarks()
            )
            await self._in_io(partial(self._spool.put, report.timestamp, encoded(report)))
            self._waiting.set()
            self._status.interval, self._status.collected_at = interval, now_ms()
            self._keep_status()
            at = max(at + interval, time.monotonic())
            await asyncio.sleep(max(0.0, at - time.monotonic()))

    async def _send(self) -> None:
        while True:
            wait = await self._in_io(self._sender.attempt)
            if (self._sender.problem, self._sender.sent) != (self._status.problem, self._status.sent):
                self._keep_status()
            if wait is None:
                self._waiting.clear()
                if len(self._spool):
                    continue
                await self._waiting.wait()
            elif wait > 0:
                await asyncio.sleep(wait)

    async def _command(self) -> None:
        """Take commands, as long as what is done can be noted: not noted it could be done twice."""
        try:
            journal = await asyncio.to_thread(Journal, self._state.journal)
        except OSError as e:
            self._status.commands = f"not taken: the journal cannot be written: {e.strerror or e}"
            log.error("commands are not taken: %s cannot be written: %s", self._state.journal, e)
            await self._stopped.wait()
            return
        commander = Commander(self._settings, self._bus, journal)
        self._channel = CommandChannel(self._settings, self._key, commander, journal, self._verify)
        await self._channel.run()

    async def _refresh(self) -> None:
        """Ask for the configuration, unless that is still under way."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._ask(), name="configuration")
        await asyncio.wait([self._refreshing], timeout=_REFRESH_S)

    async def _ask(self) -> None:
        refused = await asyncio.get_running_loop().run_in_executor(self._asking, self._configuration.refresh)
        reason = refused.reason if refused is not None else None
        if reason is not None and reason != self._said:
            log.warning("the configuration cannot be asked for, what is known goes on: %s", reason)
        self._said = reason

    def _remarks(self) -> list[Unavailable]:
        """What the next report has to say of those that do not arrive."""
        found: list[Unavailable] = []
        for why, count in self._spool.lost.items():
            if new := count - self._told.get(why, 0):
                self._told[why] = count
                found.append(Unavailable(what="reports", reason=f"{new} reports were given up ({why.value})"))
        if self._spool.problem is not None:
            found.append(Unavailable(what="agent.spool", reason=f"reports wait in memory: {self._spool.problem}"[:256]))
        return found

    async def _in_io(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._io, work)

    def _keep_status(self) -> None:
        status, sender, spool = self._status, self._sender, self._spool
        status.last_sent, status.sent, status.problem = sender.last_sent_ms, sender.sent, sender.problem
        status.waiting, status.waiting_bytes, status.spool_problem = len(spool), spool.bytes, spool.problem
        if self._channel is not None:
            status.commands = self._channel.state
        status.lost = {why.value: count for why, count in spool.lost.items()}
        self._state.keep(status)
