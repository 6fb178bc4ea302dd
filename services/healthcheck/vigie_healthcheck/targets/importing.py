"""Many targets at once, by their names: what is missing is made, and what differs is changed, or only told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from msgspec.structs import replace
from vigie_contracts.problems import shortened
from vigie_contracts.targets import HEARTBEAT, OWN, Target
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Actor
from vigie_identity.names import new_id
from vigie_storage.health.beats import new_token
from vigie_storage.health.targets import Change

from vigie_healthcheck.targets import form
from vigie_healthcheck.targets.dependencies import Dependencies
from vigie_healthcheck.targets.file import Entry, Finding, InvalidTargetFileError
from vigie_healthcheck.targets.form import Draft
from vigie_healthcheck.targets.problems import InvalidTargetError
from vigie_healthcheck.targets.targetbook import BATCH, Step, Targetbook
from vigie_healthcheck.targets.values import normal

_AT_ONCE: Final = 50
"""Read without letting others go on."""


class Outcome(StrEnum):
    """What an import does to a target."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Imported:
    """A target of an import, and what became of it."""

    target: Target
    outcome: Outcome
    fields: tuple[str, ...] = ()
    """Which differ, as they are called in JSON."""
    token: str = field(default="", repr=False)
    """Of a heartbeat that was made; it is not known later."""


async def put_all(
    book: Targetbook,
    tenant: TenantId,
    entries: Sequence[Entry],
    by: Actor,
    *,
    dry_run: bool = False,
    managed_by: str = "",
) -> tuple[list[Imported], list[Finding]]:
    """What became of each, and warnings. Targets that are not among them stay; but those of the same `managed_by` are
    deleted, if it is not empty.

    Raises InvalidTargetFileError and LimitReached, having done nothing; TargetConflict when somebody else changes them
    too: doing it again goes on. StoreUnavailable."""
    import_ = _Import(book, tenant, managed_by, {one.name: one for one in await book.store.all(tenant)})
    await import_.read(entries)
    steps, gone = import_.steps(by), import_.gone()
    new = sum(one.write.change is Change.CREATED for one in steps.values())
    await book.within_limit(tenant, await book.store.count(tenant) - len(gone), new)
    deleted = [Imported(one, Outcome.DELETED) for one in gone]
    if gone and not dry_run:
        for one in gone:
            await book.put([book.removal(one, by), *await book.without(one, by)], by, alone=True)
        # What depended on them was changed too: all is read again.
        done, warnings = await put_all(book, tenant, entries, by, managed_by=managed_by)
        return [*done, *deleted], warnings
    for some in () if dry_run else batched(list(steps.values())):
        await book.put(some, by)
    done = [import_.imported(draft.target, steps.get(draft.target.name)) for draft in import_.drafts]
    return [*done, *deleted], import_.warnings


def batched(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Parts that one transaction takes."""
    for start in range(0, len(steps), BATCH):
        yield steps[start : start + BATCH]


class _Import:
    def __init__(self, book: Targetbook, tenant: TenantId, managed_by: str, there: dict[str, Target]) -> None:
        self._book, self._tenant, self._managed_by, self._there = book, tenant, managed_by, there
        self._errors: list[Finding] = []
        self._tokens: dict[str, str] = {}
        self.drafts: list[Draft] = []
        self.warnings: list[Finding] = []

    async def read(self, entries: Sequence[Entry]) -> None:
        """The drafts, with ids and with what they depend on. Raises InvalidTargetFileError with all errors."""
        read_: list[tuple[Entry, Draft | None]] = []
        for at, entry in enumerate(entries):
            read_.append((entry, await self._draft(entry)))
            if at % _AT_ONCE == 0:
                await asyncio.sleep(0)
        found = [(entry, draft) for entry, draft in read_ if draft is not None]
        known = Dependencies(self._there.values())
        for _, draft in found:
            known.put(draft.target)
        for entry, draft in found:
            target, problems = known.resolved(draft.target)
            self._errors += map(entry.finding, problems)
            self.drafts.append(Draft(target, draft.secrets, draft.token))
        if self._errors:
            raise InvalidTargetFileError(sorted(self._errors, key=lambda one: one.line))

    async def _draft(self, entry: Entry) -> Draft | None:
        name = entry.fields.get("name")
        before = self._there.get(normal(name)) if isinstance(name, str) else None
        if before is not None and not self._may_change(before):
            how = f"the target {shortened(before.name)!r} is managed by {shortened(before.managed_by)}: change it there"
            self._errors.append(Finding(entry.line, how))
            return None
        try:
            draft = form.read(entry.fields, self._tenant, self._book.present(before) if before else None)
        except InvalidTargetError as e:
            self._errors += map(entry.finding, e.problems)
            return None
        self.warnings += map(entry.finding, draft.warnings)
        target = replace(draft.target, id=before.id if before else new_id(), managed_by=self._managed_by)
        if target.kind == HEARTBEAT and not await self._note_token(target, draft, before):
            how = "token: is missing: one that was made up would be known to nobody"
            self._errors.append(Finding(entry.line, how))
        return Draft(target, draft.secrets, draft.token, draft.warnings)

    def _may_change(self, before: Target) -> bool:
        """A file takes over what people or another file had; nobody what is Vigie's own."""
        return before.managed_by in ("", self._managed_by) or (bool(self._managed_by) and before.managed_by != OWN)

    async def _note_token(self, target: Target, draft: Draft, before: Target | None) -> bool:
        """Whether somebody knows the token."""
        if before is not None:
            self._tokens[target.name] = await self._book.new_token_of(before, draft)
            return True
        self._tokens[target.name] = draft.token or new_token()
        return bool(draft.token) or not self._managed_by

    def steps(self, by: Actor) -> dict[str, Step]:
        """What is to be done, by name."""
        made: dict[str, Step] = {}
        for draft in self.drafts:
            name = draft.target.name
            before, token = self._there.get(name), self._tokens.get(name, "")
            step = self._book.step(draft.target, draft.secrets, by, before, token=token)
            if before is None or step.fields or token:
                made[name] = step
        return made

    def gone(self) -> list[Target]:
        """Those of the same manager that were not read."""
        names = {draft.target.name for draft in self.drafts}
        there = self._there.values() if self._managed_by else ()
        return [one for one in there if one.managed_by == self._managed_by and one.name not in names]

    def imported(self, target: Target, step: Step | None) -> Imported:
        """What became of it."""
        if step is None:
            return Imported(target, Outcome.UNCHANGED)
        told = step.token if step.before is None else ""
        return Imported(step.write.target, Outcome(step.write.change.value), step.fields, told)
