"""`vigie up`: servers, services and the simulator, from start to stop. The composition root of the command."""

import asyncio
import os
import shlex
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Set
from dataclasses import asdict, replace
from typing import Any

from rich.markup import escape
from vigie_identity.anonymous import AnonymousAccess, AnonymousRule
from vigie_identity.errors import InvalidField

from vigie_standalone.address import usable
from vigie_standalone.arguments import DEFAULT_HOME
from vigie_standalone.embedded.servers import Servers
from vigie_standalone.errors import StandaloneError
from vigie_standalone.home import Home, this_process, without_password
from vigie_standalone.preparation import DEMO_TENANT, DEMO_TENANT_NAME, Prepared, ensure_own_key, prepare
from vigie_standalone.services import (
    Context,
    Options,
    anonymous,
    caught,
    host_name,
    in_words,
    needs_own_key,
    partitions,
    services,
)
from vigie_standalone.supervisor import Supervisor, Unit
from vigie_standalone.terminal import RichProgress, Terminal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED_EXIT = 130
SAME_SIGNAL_S = 1.0
"""One Ctrl-C can arrive twice: from the terminal, and from a launcher (make, uv, timeout) that passes it on."""


def run(options: Options, stages: Callable[[Context], list[list[Unit]]] = services) -> int:
    """Run until stopped; gives the exit code. Raises StandaloneError when it cannot start.

    `stages` says what to run on top of the servers: the units of a stage start side by side, when all before are ready.
    """
    home = Home(options.home)
    home.claim()
    try:
        _refuse_unknown_rights()
        options = usable(options)
        with home.usable():
            return asyncio.run(_Up(options, home, stages).run())
    finally:
        home.release()


def _refuse_unknown_rights() -> None:
    try:
        AnonymousRule.parse(anonymous())
    except InvalidField as error:
        raise StandaloneError(f"VIGIE_ANONYMOUS {error.detail.removeprefix('anonymous: ')}.") from None


class _Up:
    """One run of `vigie up`."""

    def __init__(self, options: Options, home: Home, stages: Callable[[Context], list[list[Unit]]]) -> None:
        self._stages = stages
        self._options = options
        self._home = home
        self._terminal = Terminal(json_logs=options.json_logs)
        self._stopping = threading.Event()  # for threads that start something: they cannot be interrupted
        self._servers = Servers(home.servers, progress=RichProgress(self._terminal), stopping=self._stopping)
        self._starting: asyncio.Future[Any] | None = None
        self._supervisor = Supervisor(self._terminal.say, changed=self._record)
        self._stop = asyncio.Event()
        self._stop_asked = 0.0
        self._run = replace(this_process(options.url), anonymous=anonymous())
        self._prepared = Prepared(None)
        """Its administrator was made by this run, and is not shown yet."""

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled)
        self._home.write(self._run)
        try:
            if await self._until_stopped(self._start):
                await self._until_stopped(self._supervisor.failed)
        finally:
            self._terminal.banner(self._first_login())  # if it did not get that far: nobody else has the password
            await self._shut_down()
            for number in SIGNALS:  # everything has ended: an impatient Ctrl-C must not turn success into failure
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
        return 0

    def _signalled(self) -> None:
        now = time.monotonic()
        if self._stop.is_set():
            if now - self._stop_asked < SAME_SIGNAL_S:
                return
            self._terminal.say("killing everything now", level="warning")
            self._kill()
            self._home.release()
            os._exit(INTERRUPTED_EXIT)
        self._stop_asked = now
        self._stop.set()
        self._terminal.say("stopping; press Ctrl-C again to kill")

    async def _until_stopped(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do the work, but not beyond a stop signal. False when it was cut short; its errors are raised."""
        task = asyncio.ensure_future(work())
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            task.result()
            return True
        task.cancel()
        self._stopping.set()
        if not self._supervisor.units:  # servers are being started in a thread: without them it ends at once
            self._kill()
        await asyncio.gather(task, return_exceptions=True)
        return False

    async def _start(self) -> None:
        begin = time.monotonic()
        self._terminal.say("starting Kafka, MongoDB and Redis")
        self._starting = asyncio.ensure_future(asyncio.to_thread(self._servers.start))
        await asyncio.shield(self._starting)
        for server, address in self._servers.addresses.items():
            self._terminal.say(f"{server}: {without_password(address.url)} ({address.source})")
        for process in self._servers.processes():
            self._supervisor.watch(Unit(process))
        await asyncio.to_thread(self._prepare)
        for stage in self._stages(self._context(self._prepared.partitions)):
            await self._supervisor.start(*stage)
        self._record()
        shown = banner(self._options, time.monotonic() - begin, self._run.anonymous)
        self._terminal.banner(shown + self._first_login())

    def _prepare(self) -> None:
        # Before any service could do it: so the password comes to this process, and goes through no log and no file.
        variables = self._servers.variables()
        agent = (self._home, host_name()) if self._options.self_monitoring else None
        self._prepared = prepare(variables, self._stopping, demo=self._options.demo, agent=agent)
        if self._options.self_monitoring and needs_own_key():
            ensure_own_key(variables, self._stopping, self._home)

    def _first_login(self) -> str:
        """Said once: empty when there is nothing to say, or it was said."""
        name, password = self._prepared.administrator, self._prepared.password
        self._prepared = Prepared(self._prepared.partitions)
        if name is None:
            return ""
        if self._terminal.kept and password is not None:
            self._terminal.say(f"the administrator {name} was made; `vigie admin reset-password` shows you a password")
            return ""
        return "\n" + first_login(name, password)

    def _context(self, recorded: int | None) -> Context:
        variables = self._servers.variables() | partitions(recorded)
        return Context(self._options, self._home, variables, self._terminal.line_printer, self._stopping)

    def _record(self) -> None:
        self._run = replace(
            self._run,
            servers={s: asdict(a) for s, a in self._servers.addresses.items()},
            processes={unit.process.name: unit.process.pid for unit in self._supervisor.units},
        )
        self._home.write(self._run)

    async def _shut_down(self) -> None:
        self._stopping.set()  # a start or restart in progress brings nothing back from here on
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._supervisor.stop()
        await asyncio.to_thread(self._servers.stop)
        self._terminal.say("stopped; the data is kept, `vigie up` goes on with it")

    def _kill(self) -> None:
        self._supervisor.kill()
        for process in self._servers.processes():
            process.kill()


def banner(options: Options, seconds: float, anonymous: str) -> str:
    """What is shown when everything runs; `anonymous` is the setting of that name."""
    rights = AnonymousRule.parse(anonymous).rights
    credential = "" if {AnonymousAccess.READ, AnonymousAccess.WRITE} <= rights else ' -H "X-API-Key: $KEY"'
    demo = simulator(rights) if options.demo else "No simulator runs;"
    tenant = f" Tenant of the examples: {DEMO_TENANT} ({DEMO_TENANT_NAME})." if options.demo else ""
    at = "" if options.home == DEFAULT_HOME else escape(f" --data-dir {shlex.quote(str(options.home.absolute()))}")
    health = f"  health      {options.url}/api/health\n" if options.healthcheck else ""
    commands = ["status", *(["incident payment-outage"] if options.demo else []), "down"]
    elsewhere = ", ".join(f"[bold]vigie {command}{at}[/bold]" for command in commands)
    return f"""
[bold]Vigie is up[/bold] after {seconds:.0f} s. {demo} Ctrl-C stops everything, the data stays in {options.home}.

  overview    {options.url}/
  dashboard   {options.url}/api/dashboard/summary
  latest      {options.url}/metrics
  reference   {options.url}/docs
  log in      POST {options.url}/auth/login
{health}{alerts(options, at)}
{callers(anonymous)}{tenant}

Send a metric of your own, and see it within two seconds:

  curl -X POST {options.url}/api/metrics/custom{credential} -H 'Content-Type: application/json' \\
    -d '{{"name": "custom_counter", "type": "counter", "value": 1, "labels": {{"service": "booking"}}}}'
  curl '{options.url}/api/series?name=custom_counter'{credential}

In another terminal: {elsewhere}.
"""


def alerts(options: Options, at: str) -> str:
    """Where notifications go, and how to see one; `at` is how commands name the data directory."""
    if not options.alerting:
        return ""
    listed = f"  alerts      {options.url}/api/alerts\n"
    names = " and ".join(caught(options))
    if not names:
        return f"{listed}\nNotifications go where the settings say, and to nobody where they say nothing.\n"
    make = f"; [bold]vigie incident service-down{at}[/bold] makes one" if options.demo else ""
    return (
        f"{listed}  inbox       {options.url}/inbox\n\n"
        f"Notifications by {names} are caught on this machine: [bold]vigie inbox --follow{at}[/bold] shows "
        f"them{make}.\n"
    )


def simulator(rights: Set[AnonymousAccess]) -> str:
    """Whether it can send, being a caller like any other."""
    if os.environ.get("VIGIE_TOKEN") or AnonymousAccess.WRITE in rights:
        return "A simulator of five booking services sends live data;"
    return (
        "The simulator may not send: start again with an API key in VIGIE_TOKEN, which "
        "`vigie key create --tenant default --scope write` makes;"
    )


def callers(anonymous: str) -> str:
    """What the setting allows, as a sentence."""
    return f"Without a credential callers may {in_words(AnonymousRule.parse(anonymous))} (VIGIE_ANONYMOUS)."


def first_login(name: str, password: str | None) -> str:
    """How to log in as the administrator that was just made: shown once. Without a password the operator chose it."""
    if password is None:
        return f"First start: log in as [bold]{name}[/bold] with the password that VIGIE_ADMIN_PASSWORD says.\n"
    return (
        f"First start: log in as [bold]{name}[/bold] with the password [bold]{password}[/bold]\n"
        "It is shown this once and kept nowhere; [bold]vigie admin reset-password[/bold] makes another.\n"
    )
