"""What people do to alerts: read, decide, store with the notifications, and again when somebody else was faster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from vigie_contracts.alerts import Rule
from vigie_contracts.tenants import TenantId
from vigie_runtime import logging
from vigie_storage.alerts.rules import RuleStore
from vigie_storage.alerts.states import AlertMoved, AlertStates, Move, StoredAlert
from vigie_storage.mongo import Session

from vigie_alerting.alert import Alert, decode
from vigie_alerting.alerts.errors import AlertBusy, AlertConflict, AlertNotFound
from vigie_alerting.alerts.stored import move
from vigie_alerting.commands import CommandError
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.external.posted import EXTERNAL, rule_of
from vigie_alerting.lifecycle import Step
from vigie_alerting.rulebook.compiled import CompiledRules
from vigie_alerting.rules.compiling import CompiledRule
from vigie_alerting.rules.problems import InvalidRuleError

log = logging.get(__name__)

ATTEMPTS: Final = 5
Command: TypeAlias = Callable[[Alert, CompiledRule], Step]
"""One of `vigie_alerting.commands`, with who asks and when. Raises CommandError."""


@dataclass(frozen=True, slots=True)
class Known:
    """An alert with its rule."""

    alert: Alert
    rule: CompiledRule
    stored: StoredAlert


class Desk:
    """All methods raise StoreUnavailable."""

    def __init__(self, states: AlertStates, rules: RuleStore, compiled: CompiledRules, dispatcher: Dispatcher) -> None:
        self._states, self._rules, self._compiled, self._dispatcher = states, rules, compiled, dispatcher

    async def one(self, tenant: TenantId, fingerprint: str) -> Known:
        """Raises AlertNotFound."""
        found = await self._states.one(tenant, fingerprint)
        known = await self.known(tenant, [] if found is None else [found])
        if not known:
            raise AlertNotFound
        return known[0]

    async def known(self, tenant: TenantId, stored: list[StoredAlert]) -> list[Known]:
        """The alerts with their rules, also with those that were deleted lately; without a rule nothing can be said
        of one."""
        rules = await self._rules.some(tenant, [one.rule_id for one in stored if one.rule_id != EXTERNAL])
        compiled = {rule_id: made for rule_id, rule in rules.items() if (made := self._of(rule)) is not None}
        found: list[Known] = []
        for one in stored:
            alert = decode(one.data)
            rule = compiled.get(one.rule_id) if alert.external is None else rule_of(alert, alert.external)
            if rule is not None:
                found.append(Known(alert, rule, one))
        return found

    async def move(
        self,
        tenant: TenantId,
        fingerprint: str,
        command: Command,
        may: Callable[[Known], bool],
        also: Callable[[Session], Awaitable[object]] | None = None,
    ) -> Known:
        """The alert after the command; `also` writes what belongs to it. Raises AlertNotFound, also for one that the
        caller may not see; AlertConflict, AlertBusy."""
        for _ in range(ATTEMPTS):
            known = await self.one(tenant, fingerprint)
            if not may(known):
                raise AlertNotFound
            try:
                after, transitions = command(known.alert, known.rule)
            except CommandError as e:
                raise AlertConflict(str(e)) from None
            if after is None or not transitions:
                return known
            written = partial(self._write, move(known.stored, after, known.rule), also)
            try:
                await self._dispatcher.dispatch(transitions, also=written)
            except AlertMoved:
                continue
            return Known(after, known.rule, known.stored)
        raise AlertBusy

    async def _write(self, one: Move, also: Callable[[Session], Awaitable[object]] | None, session: Session) -> None:
        await self._states.write([one], session)
        if also is not None:
            await also(session)

    def _of(self, rule: Rule) -> CompiledRule | None:
        try:
            return self._compiled.of(rule)
        except InvalidRuleError as e:
            log.warning("a rule is not understood by this version of Vigie", rule=rule.id, reason=str(e))
            return None
