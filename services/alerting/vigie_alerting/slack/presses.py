"""What the buttons of a message do, to all of its alerts that fire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from vigie_contracts.alerts import Transition
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor, Audit
from vigie_query.matchers import Matcher, Operator
from vigie_query.times import HOUR
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError
from vigie_storage.alerts.messages import StoredMessage

from vigie_alerting import commands
from vigie_alerting.alert import Alert
from vigie_alerting.alerts.desk import Desk, Known
from vigie_alerting.alerts.errors import AlertConflict
from vigie_alerting.escalation.by_hand import ByHand
from vigie_alerting.escalation.errors import NotEscalated
from vigie_alerting.lifecycle import Step
from vigie_alerting.notifiers import text
from vigie_alerting.notifiers.message import common
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.silences.active import Timing
from vigie_alerting.silences.model import Draft
from vigie_alerting.silences.silencebook import Silencebook
from vigie_alerting.slack import said as saying
from vigie_alerting.slack.rendering import Press
from vigie_alerting.slack.standing import Standing

MAX_TOLD: Final = 5
"""Reasons of one refusal."""
_OVER: Final = "nothing of it fires any more"


@dataclass(frozen=True, slots=True)
class Tools:
    """What is worked with."""

    desk: Desk
    silences: Silencebook
    by_hand: ByHand
    standing: Standing
    audit: Audit
    clock: Clock


class Presses:
    """For one event loop."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._silencing: set[str] = set()
        """Messages that somebody silences in this moment."""

    async def do(self, message: StoredMessage, press: Press, told: int, by: Actor) -> Sequence[str]:
        """Why not, or not for all of them: sentences for whoever pressed; none: done. `told`: how many steps of chains
        the presser saw told. Raises ProblemError, StoreUnavailable."""
        firing = saying.decoded(message.data).firing
        if not firing:
            return [_OVER]
        if press is Press.ACKNOWLEDGE:
            return await self._each(firing, partial(self._acknowledge, message.tenant, by))
        if press is Press.SILENCE:
            return await self._silence(message, firing, by)
        return await self._escalate(message.tenant, firing, told, by)

    async def _acknowledge(self, tenant: TenantId, by: Actor, step: Transition) -> None:
        now = self._tools.clock.now_ms()

        def command(alert: Alert, rule: CompiledRule) -> Step:
            return commands.acknowledge(alert, rule, by.name, now)

        await self._tools.desk.move(
            tenant, step.fingerprint, command, _anybody,
            also=lambda session: self._tools.audit.add(
                session, tenant, by, Action.ALERT_ACKNOWLEDGED, step.fingerprint, via="slack"
            ),
        )  # fmt: skip

    async def _silence(self, message: StoredMessage, firing: Sequence[Transition], by: Actor) -> Sequence[str]:
        """By the labels that all of them have: of one alert all of its labels."""
        if message.id in self._silencing:
            return ["somebody silences it in this moment"]
        self._silencing.add(message.id)
        try:
            stands = await self._tools.standing.of(message.tenant, firing)
            mutes = [stand.mute for stand in stands.values()]
            if (first := mutes[0]) and all(mutes):
                return [first.detail]
            now = self._tools.clock.now_ms()
            matchers = tuple(
                Matcher(name, Operator.EQUAL, value) for name, value in common([one.labels for one in firing]).items()
            )
            names = text.line(", ".join(dict.fromkeys(one.rule_name or one.rule_id for one in firing)), 100)
            draft = Draft(matchers, Timing(now, now + HOUR), f"from Slack: {names}")
            await self._tools.silences.create(message.tenant, draft, by)
        finally:
            self._silencing.discard(message.id)
        return []

    async def _escalate(self, tenant: TenantId, firing: Sequence[Transition], told: int, by: Actor) -> Sequence[str]:
        stands = await self._tools.standing.of(tenant, firing)
        if sum(stand.told for stand in stands.values()) > told:
            return ["it was escalated meanwhile: look at who was told, and press again if that is not enough"]

        async def escalate(step: Transition) -> None:
            known = await self._tools.desk.one(tenant, step.fingerprint)
            await self._tools.by_hand.escalate(known.alert, by, told=stands[step.fingerprint].told)

        refused = await self._each(firing, escalate)
        return refused if len(refused) >= min(len(firing), MAX_TOLD) else []  # some may have no chain

    async def _each(self, firing: Sequence[Transition], work: Callable[[Transition], Awaitable[None]]) -> list[str]:
        """The reasons of those for which it is refused. Raises StoreUnavailable."""
        refused: list[str] = []
        for step in firing:
            try:
                await work(step)
            except (AlertConflict, NotEscalated) as e:
                name = step.rule_name or step.rule_id
                refused.append(f"{name}: {e.detail}" if len(firing) > 1 else e.detail)
            except ProblemError:
                if len(firing) == 1:
                    raise
                refused.append(f"{step.rule_name or step.rule_id}: try again")
            await asyncio.sleep(0)
        return refused[:MAX_TOLD]


def _anybody(_: Known) -> bool:
    """Whoever is in the channel sees the alert there."""
    return True
