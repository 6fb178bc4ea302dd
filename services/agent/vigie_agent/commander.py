"""Does what Vigie asks for: what is allowed on this machine, in time, and at most once."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from vigie_contracts.commands import DO_S, LIFE_MS, MAX_MESSAGE_CHARS, Action, CommandId, CommandResult, Outcome
from vigie_contracts.hosts import ServiceName

from vigie_agent.errors import BusAwayError
from vigie_agent.journal import Journal
from vigie_agent.patterns import concerns, patterns
from vigie_agent.settings import VARIABLES, AgentSettings
from vigie_agent.systemd.bus import BusRefusedError, JobLostError, SystemdBus
from vigie_agent.vigietime import VigieTime, passing

log = logging.getLogger("vigie_agent")

AT_ONCE: Final = 4
FAILPOINT: Final = "VIGIE_FAILPOINT"
"""Where the agent kills itself, in tests."""
_METHODS: Final = {Action.START: "StartUnit", Action.STOP: "StopUnit", Action.RESTART: "RestartUnit"}


class Order(msgspec.Struct, rename="camel", frozen=True):
    """A command as push tells it. `expires_in_ms`: so long it may still be begun, from when it was told; `expires_at`:
    until when by Vigie's clock, where push says it. What a frozen agent finds when it thaws was told long ago."""

    id: CommandId
    service: ServiceName
    action: Action
    expires_in_ms: Annotated[int, Meta(ge=0, le=LIFE_MS)]
    expires_at: int | None = None


class Commander:
    """For one event loop."""

    def __init__(
        self,
        settings: AgentSettings,
        bus: SystemdBus,
        journal: Journal,
        vigie: VigieTime | None = None,
        clock: Callable[[], float] = passing,
    ) -> None:
        self._settings, self._bus, self._journal, self._clock = settings, bus, journal, clock
        self.vigie = vigie or VigieTime(clock)
        """What is known of Vigie's clock; whoever talks to Vigie says what it told."""
        self._patterns = patterns(settings.service_pattern)
        self._gate = asyncio.Semaphore(AT_ONCE)

    @property
    def allowed(self) -> frozenset[str]:
        """The actions that are done on this machine."""
        return self._settings.allowed

    async def do(self, order: Order) -> CommandResult | None:
        """Do it, unless it was begun before; then what came of it, or None while that is not known yet, or nothing is
        known of Vigie's clock: it comes again."""
        deadline = self._clock() + order.expires_in_ms / 1000
        if (why := self._refusal(order)) is not None:
            log.warning("a command was refused: %s %s: %s", order.action.value, order.service, why)
            return CommandResult(Outcome.REFUSED, why)
        async with self._gate:
            if order.expires_at is not None and self.vigie.at_most_ms() is None:
                return self._journal.result(order.id)
            if not self._journal.knows(order.id) and (late := self._late(order, deadline)):
                return late
            try:
                new = await asyncio.to_thread(self._journal.begin, order.id)
            except OSError as e:
                return CommandResult(Outcome.REFUSED, f"it cannot be noted on the disk: {e.strerror or e}")
            if not new:
                return self._journal.result(order.id)
            _failpoint("after_begin")
            # The disk may have taken long, and the process may have been frozen since.
            result = self._late(order, deadline) or await self._ask_systemd(order)
            _failpoint("after_done")
            try:
                await asyncio.to_thread(self._journal.end, order.id, result)
            except OSError as e:  # it is remembered while the agent lives; after a restart it is unknown
                log.warning("the result of a command cannot be noted on the disk: %s", e)
            log.info("%s %s: %s %s", order.action.value, order.service, result.outcome.value, result.message)
            _failpoint("after_end")
            return result

    def _late(self, order: Order, deadline: float) -> CommandResult | None:
        """What becomes of it when it must not be begun any more."""
        now_ms = self.vigie.at_most_ms()
        if order.expires_at is not None and now_ms is not None and now_ms >= order.expires_at:
            over_s = (now_ms - order.expires_at) / 1000
            why = f"the agent came to it {over_s:.1f} s too late by Vigie's clock: it was frozen, busy or cut off"
        elif (now := self._clock()) >= deadline:
            over_s = now - deadline + order.expires_in_ms / 1000
            why = f"the agent had it for {over_s:.1f} s and did not come to it: it was frozen or busy"
        else:
            return None
        log.warning("a command is over: %s %s: %s", order.action.value, order.service, why)
        return CommandResult(Outcome.EXPIRED, why)

    def _refusal(self, order: Order) -> str | None:
        if order.action.value not in self._settings.allowed:
            return f"{order.action.value} is not allowed on this machine ({VARIABLES['allow_actions']})"
        if not concerns(order.service, self._patterns, ()):
            return f"{order.service} is none of the services of {VARIABLES['service_pattern']}"
        return None

    async def _ask_systemd(self, order: Order) -> CommandResult:
        try:
            ended = await self._bus.job(_METHODS[order.action], order.service, DO_S)
        except JobLostError as e:
            return _result(Outcome.UNKNOWN, str(e))
        except BusAwayError as e:
            return _result(Outcome.REFUSED, str(e))
        except BusRefusedError as e:
            return _result(Outcome.REFUSED, f"systemd refuses: {e}")
        except TimeoutError:
            return _result(Outcome.UNKNOWN, f"systemd is still at it after {DO_S:g} s")
        if ended == "done":
            return _result(Outcome.DONE, "")
        return _result(Outcome.FAILED, f"systemd says: {ended}")


def _result(outcome: Outcome, message: str) -> CommandResult:
    return CommandResult(outcome, message[:MAX_MESSAGE_CHARS])


def _failpoint(name: str) -> None:
    if os.environ.get(FAILPOINT) == name:
        os._exit(137)
