"""Changing rules: by their next version, with an entry of the audit log, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec.structs import replace
from vigie_contracts.alerts import Rule
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import SYSTEM, Action, Actor
from vigie_identity.errors import LimitReached
from vigie_identity.identity import Identity
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.alerts.rules import MAX_RULES, Change, RuleStore, RuleWrite, StoredRule
from vigie_storage.mongo import Session, transaction
from vigie_storage.outgoing import Moved

from vigie_alerting.rulebook.errors import RuleConflict, RuleManaged, RuleNotFound
from vigie_alerting.rules.reading import versioned
from vigie_alerting.rules.shipped import shipped

BATCH: Final = 500
"""Rules of one transaction."""
_ACTIONS: Final = {
    Change.CREATED: Action.RULE_CREATED,
    Change.CHANGED: Action.RULE_CHANGED,
    Change.DELETED: Action.RULE_DELETED,
}
_SET_BY_US: Final = {"version": 1, "created_at": None, "created_by": "", "updated_at": None, "updated_by": ""}


class Verdict(StrEnum):
    """What an import does to a rule."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Imported:
    """A rule of an import, and what became of it."""

    rule: Rule
    verdict: Verdict


class Rulebook:
    """All methods raise StoreUnavailable."""

    def __init__(
        self, db: Database, store: RuleStore, identity: Identity, clock: Clock, wake: Callable[[], None]
    ) -> None:
        """`wake` is called when there is something to publish."""
        self._db, self._store, self._tenants, self._audit = db, store, identity.tenants, identity.audit
        self._clock, self.wake = clock, wake

    async def get(self, tenant: TenantId, rule_id: str) -> StoredRule:
        """Raises RuleNotFound."""
        found = await self._store.get(tenant, rule_id)
        if found is None:
            raise RuleNotFound
        return found

    async def changeable(self, tenant: TenantId, rule_id: str) -> StoredRule:
        """One that people may change. Raises RuleNotFound, RuleManaged."""
        found = await self.get(tenant, rule_id)
        if found.rule.managed_by:
            raise RuleManaged(found.rule)
        return found

    async def create(self, rule: Rule, by: Actor) -> StoredRule:
        """Add a rule, at version 1. Raises LimitReached, RuleConflict."""
        tenant = TenantId(rule.tenant)
        await self._put(tenant, [RuleWrite(rule, 0, Change.CREATED)], by)
        return StoredRule(rule, published=False)

    async def change(self, rule: Rule, before: Rule, by: Actor) -> StoredRule:
        """Put the next version in the place of `before`. Raises RuleConflict."""
        await self._put(TenantId(rule.tenant), [RuleWrite(rule, before.version, Change.CHANGED)], by, before)
        return StoredRule(rule, published=False)

    async def delete(self, tenant: TenantId, before: Rule, by: Actor) -> None:
        """Remove it; its versions stay for a while. Raises RuleConflict."""
        gone = versioned(before, by.name, self._clock.now_ms(), before)
        await self._put(tenant, [RuleWrite(gone, before.version, Change.DELETED)], by, before)

    async def put_all(self, tenant: TenantId, rules: Sequence[Rule], by: Actor, *, dry_run: bool) -> list[Imported]:
        """Make what is missing and change what differs, by id; others stay. Raises LimitReached, having done nothing;
        RuleConflict when somebody else changes them too: doing it again goes on."""
        found: list[Imported] = []
        writes: list[RuleWrite] = []
        for start in range(0, len(rules), BATCH):
            some = rules[start : start + BATCH]
            present = {one.rule.id: one.rule for one in await self._present(tenant, some)}
            for rule in some:
                write = await self._write(tenant, rule, present.get(rule.id), by)
                verdict = Verdict.UNCHANGED if write is None else Verdict(write.change.value)
                found.append(Imported(rule if write is None else write.rule, verdict))
                writes += [] if write is None else [write]
        new = sum(one.change is Change.CREATED for one in writes)
        await self._within_limit(tenant, await self._store.count(tenant), new)
        if not dry_run:
            for start in range(0, len(writes), BATCH):
                await self._put(tenant, writes[start : start + BATCH], by)
        return found

    async def make_shipped(self, tenant: TenantId, more: Sequence[Rule] = ()) -> None:
        """The rules that every tenant has from the start, and `more`: once, so that what users do to them stays."""
        now = self._clock.now_ms()
        rules = [*shipped(tenant), *more]
        writes = [RuleWrite(replace(one, created_at=now, updated_at=now), 0, Change.CREATED) for one in rules]

        async def work(session: Session) -> None:
            await self._store.mark_shipped(tenant, session)
            await self._store.write(tenant, writes, session)
            await self._audit.add(session, tenant, SYSTEM, Action.RULES_IMPORTED, "shipped", created=len(writes))

        try:
            await transaction(self._db, work)
        except Moved:  # another replica made them
            return
        self.wake()

    async def manage(
        self, tenant: TenantId, rules: Sequence[Rule], ids: Collection[str], by: Actor, session: Session
    ) -> None:
        """Of those with these ids have these and no others: a part of the transaction that changes what they belong to,
        after which `wake` is to be called. Raises LimitReached, Moved."""
        there = await self._store.page(tenant, {"_id": {"$in": list(ids)}}, len(ids))
        before = {one.rule.id: one.rule for one in there}
        now, wanted = self._clock.now_ms(), {rule.id for rule in rules}
        writes = [
            RuleWrite(versioned(gone, by.name, now, gone), gone.version, Change.DELETED)
            for rule_id, gone in before.items()
            if rule_id not in wanted
        ]
        for rule in rules:
            if (known := before.get(rule.id)) is None:
                last = await self._store.newest(tenant, rule.id)
                made = replace(versioned(rule, by.name, now), version=last + 1)
                writes.append(RuleWrite(made, 0, Change.CREATED))
            elif _changed(known, rule):
                writes.append(RuleWrite(versioned(rule, by.name, now, known), known.version, Change.CHANGED))
        new = len(wanted - before.keys())
        if new:
            await self._within_limit(tenant, await self._store.count(tenant, session), new)
        if writes:
            await self._store.write(tenant, writes, session)

    async def _present(self, tenant: TenantId, rules: Sequence[Rule]) -> list[StoredRule]:
        return await self._store.page(tenant, {"_id": {"$in": [rule.id for rule in rules]}}, len(rules))

    async def _write(self, tenant: TenantId, rule: Rule, before: Rule | None, by: Actor) -> RuleWrite | None:
        now = self._clock.now_ms()
        if before is not None:
            # What a rule file cannot say stays as it is.
            rule = replace(rule, enabled=before.enabled, notification_channels=before.notification_channels)
            if replace(rule, **_SET_BY_US) == replace(before, **_SET_BY_US):
                return None
            return RuleWrite(versioned(rule, by.name, now, before), before.version, Change.CHANGED)
        made = versioned(rule, by.name, now)
        last = await self._store.newest(tenant, rule.id)  # it was there before, and its versions go on
        return RuleWrite(replace(made, version=last + 1), 0, Change.CREATED)

    async def _put(self, tenant: TenantId, writes: Sequence[RuleWrite], by: Actor, before: Rule | None = None) -> None:
        new = sum(one.change is Change.CREATED for one in writes)

        async def work(session: Session) -> None:
            if new:
                await self._within_limit(tenant, await self._store.count(tenant, session), new)
            await self._store.write(tenant, writes, session)
            await self._note(session, tenant, writes, by, before)

        try:
            await transaction(self._db, work)
        except Moved:
            now = await self._store.get(tenant, writes[0].rule.id)
            raise RuleConflict(None if now is None else now.rule) from None
        self.wake()

    async def _within_limit(self, tenant: TenantId, there: int, new: int) -> None:
        limit = min(MAX_RULES, (await self._tenants.get(tenant)).plan.rules)
        if new and there + new > limit:
            raise LimitReached("rules", limit) if there >= limit else LimitReached(f"rules with these {new}", limit)

    async def _note(
        self, session: Session, tenant: TenantId, writes: Sequence[RuleWrite], by: Actor, before: Rule | None
    ) -> None:
        if len(writes) > 1:
            counts = {change.value: sum(one.change is change for one in writes) for change in Change}
            groups = sorted({one.rule.group for one in writes})[:20]
            await self._audit.add(
                session, tenant, by, Action.RULES_IMPORTED, ", ".join(groups)[:200],
                **{name: count for name, count in counts.items() if count},
            )  # fmt: skip
            return
        (one,) = writes
        changed = [] if before is None else _changed(before, one.rule)
        more = {"fields": changed} if changed else {}
        await self._audit.add(
            session, tenant, by, _ACTIONS[one.change], one.rule.id, name=one.rule.name, version=one.rule.version, **more
        )


def _changed(before: Rule, after: Rule) -> list[str]:
    """The fields that differ, as they are called in JSON: their values may be secret."""
    return [
        field
        for name, field in zip(Rule.__struct_fields__, Rule.__struct_encode_fields__, strict=True)
        if name not in _SET_BY_US and getattr(before, name) != getattr(after, name)
    ]
