"""Which rules this process evaluates: those of its partitions, as the log of rules has them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from vigie_contracts.alerts import Reason, Rule, RuleKind
from vigie_contracts.tenants import TenantId
from vigie_query.errors import QueryError
from vigie_runtime import logging
from vigie_runtime.bus.compacted import Change, CompactedLog, Gone
from vigie_runtime.clock import Clock
from vigie_runtime.errors import reason_of

from vigie_alerting import alert as alerts
from vigie_alerting.alert import Alert, UnknownFormError
from vigie_alerting.engine.active_rule import ActiveRule
from vigie_alerting.engine.catching_up import misses_silence
from vigie_alerting.engine.engine import Engine
from vigie_alerting.engine.horizon import HorizonError
from vigie_alerting.engine.storing import PASSING, Stores, Storing
from vigie_alerting.lifecycle import DEDUPLICATION_MS
from vigie_alerting.rules.compiling import CompiledRule, compiled
from vigie_alerting.rules.problems import InvalidRuleError
from vigie_alerting.transitions import rule_of

log = logging.get(__name__)

REFUSED_S: Final = 60.0
"""When a rule that could not be evaluated is tried again."""


class Roster:
    """Takes what the log of rules says into the engine."""

    def __init__(
        self, engine: Engine, lock: asyncio.Lock, rules: CompactedLog[Rule], storing: Storing, *, stores: Stores,
        clock: Clock,
    ) -> None:  # fmt: skip
        """`lock` keeps the engine to one at a time."""
        self._engine, self._lock, self._rules, self._storing, self._clock = engine, lock, rules, storing, clock
        self._states, self._dispatcher, self._checkpoints = stores.states, stores.dispatcher, stores.checkpoints
        self.partition_of: dict[str, int] = {}
        self.new: dict[str, ActiveRule] = {}
        """Rules that came, and of which is not known yet what they missed."""
        self.refused = storing.refused
        """Rules that cannot be evaluated, and why."""
        self._again: dict[str, tuple[float, Change[Rule]]] = {}
        """Of those some, with the time at which they are tried again."""

    async def take_changes(self) -> None:
        """Of the log of rules. Raises Retryable, StoreUnavailable: then it may be done again."""
        for rule_id, (at, change) in list(self._again.items()):
            if self._clock.monotonic() >= at:
                del self._again[rule_id]
                self._rules.put_back({rule_id: change})
        changes = self._rules.changes()
        if not changes:
            return
        try:
            await self._apply(changes)
        except PASSING:
            self._rules.put_back(changes)
            raise

    async def _apply(self, changes: Mapping[str, Change[Rule]]) -> None:
        """Rules that are new, changed, or gone. Doing it again is harmless."""
        fresh: dict[str, CompiledRule] = {}
        for rule_id, (partition, rule) in changes.items():
            self.partition_of[rule_id] = partition
            self.refused.pop(rule_id, None)
            self._again.pop(rule_id, None)
            if isinstance(rule, Rule) and rule.enabled and (made := _compiled(rule)):
                fresh[rule_id] = made
        evaluated = {at: await self._checkpoints.of(at) for at in {partition for partition, _ in changes.values()}}
        since_ms = min(one or self._clock.now_ms() for one in evaluated.values()) - DEDUPLICATION_MS
        stored = await self._stored([one for one in changes if one not in self._engine.rules], since_ms)
        for rule_id, (partition, rule) in changes.items():
            before = self._engine.rules.get(rule_id)
            if rule_id in fresh:
                await self._put(fresh[rule_id], before, stored.get(rule_id, []), evaluated[partition] or 0)
                continue
            if rule is not Gone.LEFT:
                await self._end(before, rule, stored.get(rule_id, []))
            await self._remove(rule_id)
            self.partition_of.pop(rule_id, None)

    async def _end(self, before: ActiveRule | None, rule: Rule | Gone, stored: Sequence[Alert]) -> None:
        """The rule is removed or switched off, perhaps while nobody had it."""
        if before is not None:
            await self._storing.withdraw(before, Reason.RULE_REMOVED)
            return
        for one in stored:
            made = _compiled(rule) if isinstance(rule, Rule) else await self._last_rule(one)
            if made is not None:
                await self._storing.withdraw(ActiveRule(made, (), {one.series: one}), Reason.RULE_REMOVED)

    async def _last_rule(self, alert: Alert) -> CompiledRule | None:
        """The rule of an alert as far as what was told last says."""
        last = await self._dispatcher.last(TenantId(alert.tenant), alert.fingerprint)
        return None if last is None else _compiled(rule_of(last, alert))

    async def _is_of_another(self, made: CompiledRule, alert: Alert) -> bool:
        """Whether the alert is one of what the rule was before, and changed while nobody had it: then it is over."""
        if alert.starts_at >= (made.rule.updated_at or 0):
            return False
        before = await self._last_rule(alert)
        if before is None or before.text == made.text:
            return False
        await self._storing.withdraw(ActiveRule(before, (), {alert.series: alert}), Reason.RULE_CHANGED)
        return True

    async def _remove(self, rule_id: str) -> None:
        self.new.pop(rule_id, None)
        async with self._lock:
            self._engine.remove(rule_id)

    def forget_new(self, rules: Sequence[ActiveRule]) -> None:
        """What these missed is known, but for those that wait still."""
        for rule in rules:
            if self.new.get(rule.id) is rule and not rule.waiting:
                del self.new[rule.id]

    async def refuse(self, made: CompiledRule, reason: str, *, again: bool = False) -> None:
        """It is not evaluated; its alerts stay what they are."""
        rule = made.rule
        log.warning("a rule cannot be evaluated", rule=rule.id, reason=reason)
        self.refused[rule.id] = reason
        if again and rule.id in self.partition_of:
            self._again[rule.id] = self._clock.monotonic() + REFUSED_S, (self.partition_of[rule.id], rule)
        await self._remove(rule.id)

    async def _stored(self, rules: Sequence[str], since_ms: int) -> dict[str, list[Alert]]:
        found: dict[str, list[Alert]] = {}
        for one in await self._states.of_rules(rules, since_ms):
            with suppress(UnknownFormError):
                found.setdefault(one.rule_id, []).append(alerts.decode(one.data))
        return found

    async def _put(
        self, made: CompiledRule, before: ActiveRule | None, stored: Sequence[Alert], evaluated_ms: int
    ) -> None:
        """A rule that asks for something else has other alerts: those of before are over."""
        records, known = made.rule.kind is RuleKind.RECORDING, list[Alert]()
        if before is not None and (before.compiled.text != made.text or records):
            await self._storing.withdraw(before, Reason.RULE_CHANGED)
        if before is None and records:
            await self._end(None, made.rule, stored)
        elif before is None:
            known = [one for one in stored if not await self._is_of_another(made, one)]
        try:
            async with self._lock:
                active = self._engine.put(made, known if before is None else before.alerts.values())
        except (HorizonError, QueryError) as e:
            await self.refuse(made, reason_of(e))
            return
        if before is None and evaluated_ms and not records:
            # Not of a time at which it was no rule yet, or another one.
            active.evaluated_ms = max(evaluated_ms, made.rule.updated_at or 0)
            late_ms = self._clock.now_ms() - active.evaluated_ms
            active.waiting = late_ms > active.interval_ms or misses_silence(active)
        if active.waiting:
            self.new[made.rule.id] = active


def _compiled(rule: Rule) -> CompiledRule | None:
    try:
        return compiled(rule)
    except InvalidRuleError as e:  # written by another version
        log.error("a rule cannot be read", rule=rule.id, reason=str(e))
        return None
