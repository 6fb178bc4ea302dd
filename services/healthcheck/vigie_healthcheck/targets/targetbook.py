"""Changing targets: by their next version, with an entry of the audit log, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec.structs import replace
from vigie_contracts.targets import HEARTBEAT, OWN, Secrets, Target
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor
from vigie_identity.errors import LimitReached
from vigie_identity.identity import Identity
from vigie_identity.names import new_id
from vigie_runtime.clients import Database
from vigie_runtime.clock import Clock
from vigie_storage.health.beats import Beats, TokenTaken, new_token
from vigie_storage.health.secrets import SecretsUnreadable, opened, sealed
from vigie_storage.health.targets import MAX_TARGETS, Change, StoredTarget, TargetStore, TargetWrite
from vigie_storage.mongo import Session, transaction
from vigie_storage.outgoing import Moved

from vigie_healthcheck.targets.dependencies import Dependencies
from vigie_healthcheck.targets.errors import InvalidTarget, ManagedElsewhere, NameTaken, TargetConflict, TargetNotFound
from vigie_healthcheck.targets.form import Draft, Present, shown, versioned
from vigie_healthcheck.targets.problems import TargetProblem

BATCH: Final = 500
"""Targets of one transaction."""
_ACTIONS: Final = {
    Change.CREATED: Action.TARGET_CREATED,
    Change.CHANGED: Action.TARGET_CHANGED,
    Change.DELETED: Action.TARGET_DELETED,
}
_SET_BY_US: Final[Mapping[str, Any]] = {
    "version": 1, "created_at": 0, "created_by": "", "updated_at": 0, "updated_by": "", "sealed": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """A target that was made or changed. `token`: of a heartbeat, when it is a new one; it is not known later."""

    stored: StoredTarget
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One change of several. `before` None: there is none."""

    write: TargetWrite
    before: Target | None = None
    token: str = field(default="", repr=False)
    """Of a heartbeat, when it is a new one."""
    fields: tuple[str, ...] = ()
    """Which differ, as they are called in JSON: their values may be secret."""


class Targetbook:
    """All methods raise StoreUnavailable."""

    def __init__(
        self, db: Database, store: TargetStore, beats: Beats, identity: Identity, *, clock: Clock,
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        """`wake` is called when there is something to publish."""
        self._db, self.store, self._beats = db, store, beats
        self._tenants, self._audit = identity.tenants, identity.audit
        self._clock, self._wake = clock, wake

    async def get(self, tenant: TenantId, name: str) -> StoredTarget:
        """By its name. Raises TargetNotFound."""
        found = await self.store.by_name(tenant, name)
        if found is None:
            raise TargetNotFound(name)
        return found

    def present(self, target: Target) -> Present:
        """The target with its secrets."""
        try:
            return Present(target, opened(target, self.store.sealing))
        except SecretsUnreadable:
            return Present(target, None)

    async def definition(self, target: Target) -> dict[str, Any]:
        """The target as anybody may see it, with the names of those that it depends on."""
        parents = await self.store.some(TenantId(target.tenant), target.depends_on)
        return shown(target, self.present(target).secrets, {one.id: one.name for one in parents.values()})

    async def create(self, draft: Draft, by: Actor, *, managed_by: str = "") -> Made:
        """Add a target, at version 1. Raises InvalidTarget, LimitReached, NameTaken."""
        target = replace(draft.target, id=new_id(), managed_by=managed_by)
        target = await self._resolved(target) if target.depends_on else target
        token = (draft.token or new_token()) if target.kind == HEARTBEAT else ""
        step = self.step(target, draft.secrets, by, token=token)
        await self.put([step], by)
        return Made(StoredTarget(step.write.target, published=False), token)

    async def change(self, draft: Draft, before: Target, by: Actor) -> Made:
        """Put the next version in the place of `before`. Raises InvalidTarget, ManagedElsewhere, NameTaken,
        TargetConflict."""
        if before.managed_by and not self._is_peoples(draft, before):
            raise ManagedElsewhere(before)
        target = replace(draft.target, id=before.id, managed_by=before.managed_by)
        target = await self._resolved(target) if target.depends_on else target
        token = await self.new_token_of(before, draft)
        step = self.step(target, draft.secrets, by, before, token=token)
        await self.put([step], by)
        return Made(StoredTarget(step.write.target, published=False), token)

    async def delete(self, before: Target, by: Actor, *, force: bool = False) -> None:
        """Remove it; what depends on it does so no more. `force`: although it is managed elsewhere. Raises
        ManagedElsewhere, TargetConflict."""
        if before.managed_by and not force:
            raise ManagedElsewhere(before)
        await self.put([self.removal(before, by), *await self.without(before, by)], by, alone=True)

    async def new_token_of(self, before: Target, draft: Draft) -> str:
        """The token that was chosen for a heartbeat; empty: none, or the one that it has."""
        if draft.token and await self._beats.expects(TenantId(before.tenant), before.id, draft.token):
            return ""
        return draft.token

    def step(
        self, target: Target, secrets: Secrets, by: Actor, before: Target | None = None, *, token: str = ""
    ) -> Step:
        """The target as the next version of `before`, or as the first."""
        made = versioned(target, by.name, self._clock.now_ms(), before)
        made = replace(made, sealed=sealed(secrets, made, self.store.sealing))
        change = Change.CREATED if before is None else Change.CHANGED
        fields = () if before is None else changed(before, made, secrets=self.present(before).secrets != secrets)
        return Step(TargetWrite(made, before.version if before else 0, change), before, token, fields)

    def removal(self, before: Target, by: Actor) -> Step:
        """The end of a target."""
        gone = versioned(before, by.name, self._clock.now_ms(), before)
        return Step(TargetWrite(gone, before.version, Change.DELETED), before)

    async def put(self, steps: Sequence[Step], by: Actor, *, alone: bool = False) -> None:
        """All of these, at most BATCH, of one tenant; `alone`: the first one is told in the audit log, and the others
        with it. Raises LimitReached, NameTaken, TargetConflict, InvalidTarget."""
        tenant = TenantId(steps[0].write.target.tenant)
        new = sum(one.write.change is Change.CREATED for one in steps)

        async def work(session: Session) -> None:
            if new:
                await self.within_limit(tenant, await self.store.count(tenant, session), new)
            await self.store.write(tenant, [one.write for one in steps], session)
            await self._tell_beats(tenant, steps, session)
            await self._note(session, tenant, steps, by, alone=alone)

        try:
            await transaction(self._db, work)
        except Moved:
            raise await self._conflict(tenant, steps) from None
        self._wake()

    async def within_limit(self, tenant: TenantId, there: int, new: int) -> None:
        """Raises LimitReached when so many new ones are too many."""
        limit = min(MAX_TARGETS, (await self._tenants.get(tenant)).plan.targets)
        if new and there + new > limit:
            what = "services" if there >= limit else f"services with these {new}"
            raise LimitReached(what, limit)

    def _is_peoples(self, draft: Draft, before: Target) -> bool:
        """Where Vigie's own targets are, and with which login, is not for people to say; all else is."""
        where = ("name", "url", "kind", "verify")
        same = all(getattr(draft.target, field) == getattr(before, field) for field in where)
        return before.managed_by == OWN and same and draft.secrets == self.present(before).secrets

    async def _resolved(self, target: Target) -> Target:
        known = Dependencies(await self.store.all(TenantId(target.tenant)))
        known.put(target)
        made, problems = known.resolved(target)
        if problems:
            raise InvalidTarget(problems)
        return made

    async def without(self, gone: Target, by: Actor) -> list[Step]:
        """What depends on it, without it."""
        tenant = TenantId(gone.tenant)
        children = await self.store.page(tenant, {"parents": {"$eq": gone.id}}, BATCH - 1)
        made: list[Step] = []
        for child in (one.target for one in children):
            rest = replace(child, depends_on=[one for one in child.depends_on if one != gone.id])
            after = versioned(rest, by.name, self._clock.now_ms(), child)
            made.append(Step(TargetWrite(after, child.version, Change.CHANGED), child, fields=("dependsOn",)))
        return made

    async def _tell_beats(self, tenant: TenantId, steps: Sequence[Step], session: Session) -> None:
        for one in steps:
            target = one.write.target
            if one.token:
                try:
                    await self._beats.expect(tenant, target.id, one.token, self._clock.now_ms(), session)
                except TokenTaken:
                    raise InvalidTarget([TargetProblem("token", "cannot be taken: choose another")]) from None
            elif one.write.change is Change.DELETED and target.kind == HEARTBEAT:
                await self._beats.remove(tenant, target.id, session)

    async def _conflict(self, tenant: TenantId, steps: Sequence[Step]) -> NameTaken | TargetConflict:
        first = steps[0]
        target, id_ = first.write.target, first.write.target.id
        if first.write.change is not Change.DELETED:
            named = await self.store.by_name(tenant, target.name)
            if named is not None and named.target.id != id_:
                return NameTaken(target.name)
        now = await self.store.get(tenant, id_)
        moved = now is not None and first.before is not None and now.target.version != first.before.version
        return TargetConflict(now.target if now is not None and moved else None)

    async def _note(self, session: Session, tenant: TenantId, steps: Sequence[Step], by: Actor, *, alone: bool) -> None:
        if len(steps) > 1 and not alone:
            counts = {change.value: sum(one.write.change is change for one in steps) for change in Change}
            what = ", ".join(one.write.target.name for one in steps[:5])[:200]
            told = {name: count for name, count in counts.items() if count}
            await self._audit.add(session, tenant, by, Action.TARGETS_IMPORTED, what, **told)
            return
        one, *others = steps
        target = one.write.target
        fields = [*one.fields, *(["token"] if one.token and one.before else [])]
        more: dict[str, Any] = {"fields": fields} if fields else {}
        if others:
            more["dependents"] = [step.write.target.name for step in others[:20]]
        action = _ACTIONS[one.write.change]
        await self._audit.add(session, tenant, by, action, target.id, name=target.name, version=target.version, **more)


def changed(before: Target, after: Target, *, secrets: bool) -> tuple[str, ...]:
    """The fields that differ, as they are called in JSON. `secrets`: whether those do."""
    found = [
        called
        for name, called in zip(Target.__struct_fields__, Target.__struct_encode_fields__, strict=True)
        if name not in _SET_BY_US and getattr(before, name) != getattr(after, name)
    ]
    return (*found, *(["secrets"] if secrets else []))
