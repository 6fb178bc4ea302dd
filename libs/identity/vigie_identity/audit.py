"""The audit log: who changed what, when, and from where. Entries are added in the transaction of the change, never
touched, and kept for a time that is written into each of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from vigie_contracts.tenants import TenantId
from vigie_runtime.clients import Database, Document
from vigie_runtime.clock import Clock
from vigie_storage import collections
from vigie_storage.mongo import Session, bounded
from vigie_storage.tenancy import TenantCollection

from vigie_identity.names import new_ordered_id
from vigie_identity.pages import Page, PageRequest, page

MAX_AGENT_CHARS: Final = 256
KEPT: Final = timedelta(days=400)
"""How long entries are kept unless the settings say otherwise."""


class Action(StrEnum):
    """The kind of change that an entry is about."""

    TENANT_CREATED = "tenant.created"
    TENANT_CHANGED = "tenant.changed"
    TENANT_DELETED = "tenant.deleted"
    LICENCE_GIVEN = "licence.given"
    LICENCE_ENDED = "licence.ended"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_REMOVED = "user.removed"
    USER_ASSIGNED = "user.assigned"
    USER_UNASSIGNED = "user.unassigned"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - an action, not a password
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    RULE_CREATED = "rule.created"
    RULE_CHANGED = "rule.changed"
    RULE_DELETED = "rule.deleted"
    RULES_IMPORTED = "rules.imported"
    CHANNEL_CREATED = "channel.created"
    CHANNEL_CHANGED = "channel.changed"
    CHANNEL_DELETED = "channel.deleted"
    ROUTES_CHANGED = "routes.changed"
    ROUTES_DELETED = "routes.deleted"
    ROUTES_IMPORTED = "routes.imported"
    SLO_CHANGED = "slo.changed"
    SLO_DELETED = "slo.deleted"
    SCHEDULE_CHANGED = "schedule.changed"
    SCHEDULE_DELETED = "schedule.deleted"
    CALENDAR_SHARED = "calendar.shared"
    CALENDAR_CLOSED = "calendar.closed"
    PERSON_CHANGED = "person.changed"
    PERSON_DELETED = "person.deleted"
    CHAIN_CHANGED = "chain.changed"
    CHAIN_DELETED = "chain.deleted"
    ALERT_ACKNOWLEDGED = "alert.acknowledged"
    ALERT_ESCALATED = "alert.escalated"
    SILENCE_CREATED = "silence.created"
    SILENCE_CHANGED = "silence.changed"
    SILENCE_EXPIRED = "silence.expired"
    MAINTENANCE_CHANGED = "maintenance.changed"
    MAINTENANCE_DELETED = "maintenance.deleted"
    INHIBITION_CHANGED = "inhibition.changed"
    INHIBITION_DELETED = "inhibition.deleted"
    TIME_INTERVAL_CHANGED = "time-interval.changed"
    TIME_INTERVAL_DELETED = "time-interval.deleted"
    TARGET_CREATED = "target.created"
    TARGET_CHANGED = "target.changed"
    TARGET_DELETED = "target.deleted"
    TARGETS_IMPORTED = "targets.imported"
    SERVICE_COMMANDED = "service.commanded"
    SITE_CREATED = "site.created"
    SITE_CHANGED = "site.changed"
    SITE_DELETED = "site.deleted"
    MONITORING_CHANGED = "monitoring.changed"
    AGENT_MOVED = "agent.moved"
    """The key of an agent was used from another address, or by another agent, than before."""
    LOGGED_IN = "session.started"
    LOGIN_FAILED = "login.failed"
    LOGGED_OUT = "session.ended"
    TOKEN_REUSED = "session.token-reused"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Actor:
    """The user or key that makes a change, and its client; no id: nobody knows who. `agent` is the request's
    User-Agent."""

    id: str
    name: str
    address: str = ""
    agent: str = ""


SYSTEM: Final = Actor("system", "vigie")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the audit log. `changes` never holds a secret."""

    id: str
    at: datetime
    tenant: TenantId
    actor: Actor
    action: Action
    target: str
    changes: Mapping[str, Any]


class Audit:
    """The collection `audit`. Nothing here changes or removes an entry, and nothing else writes it; MongoDB removes
    those that were kept for their time."""

    def __init__(self, db: Database, clock: Clock, kept: timedelta = KEPT) -> None:
        """`kept` is how long entries that are written from now on are kept."""
        self._kept = kept
        self._store = TenantCollection(db, collections.AUDIT)
        self._clock = clock

    async def ensure_indexes(self) -> None:
        """Make the collection and its indexes. Safe to repeat."""
        with bounded():
            await self._store.ensure()

    async def add(
        self, session: Session | None, tenant: TenantId, actor: Actor, action: Action, target: str, /, **changes: Any
    ) -> None:
        """Add an entry, with the change that it tells of when `session` is that of its transaction. Raises
        StoreUnavailable without one."""
        with nullcontext() if session is not None else bounded():  # a transaction is bounded
            await self._store.of(tenant).insert(self._document(actor, action, target, changes), session)

    def _document(self, actor: Actor, action: Action, target: str, changes: Mapping[str, Any]) -> Document:
        now = self._clock.now_ms()
        at = datetime.fromtimestamp(now / 1000, UTC)
        return {
            "_id": new_ordered_id(now),
            "at": at,
            "expires": at + self._kept,
            "actor": {
                "id": actor.id,
                "name": actor.name,
                "address": actor.address,
                "agent": actor.agent[:MAX_AGENT_CHARS],
            },
            "action": action.value,
            "target": target,
            "changes": changes,
        }

    async def page(self, tenant: TenantId, request: PageRequest) -> Page[AuditEntry]:
        """Return a page of the tenant's entries, newest first. Raises StoreUnavailable."""
        return await page(self._store.of(tenant), request, "_id", _entry, descending=True)


def _entry(document: Document) -> AuditEntry:
    return AuditEntry(
        id=document["_id"],
        at=document["at"],
        tenant=document["tenant"],
        actor=Actor(**document["actor"]),
        action=Action(document["action"]),
        target=document["target"],
        changes=document["changes"],
    )
