"""Tenants and what belongs to them: the answers of /admin. None has room for a secret, but the one that gives a key."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Self

from pydantic import Field
from pydantic.alias_generators import to_camel
from vigie_identity import api_keys, audit, licences, tenants
from vigie_identity.permissions import Scope
from vigie_identity.tenants import Status
from vigie_query.times import iso_of
from vigie_storage.usage import DayUsage

from vigie_api.auth.schemas import Guest, User
from vigie_api.schemas import Model, Time


class Plan(Model):
    """Null: no limit of its own."""

    samples_per_s: int | None
    requests_per_s: int | None
    series: int
    rules: int
    targets: int
    notifications_per_day: int | None


class Tenant(Model):
    id: str
    name: str
    status: Status
    plan: Plan
    created: Time
    updated: Time

    @classmethod
    def of(cls, tenant: tenants.Tenant) -> Self:
        plan = tenant.plan
        return cls(
            id=tenant.id,
            name=tenant.name,
            status=tenant.status,
            plan=Plan(
                samples_per_s=plan.samples_per_s,
                requests_per_s=plan.requests_per_s,
                series=plan.series,
                rules=plan.rules,
                targets=plan.targets,
                notifications_per_day=plan.notifications_per_day,
            ),
            created=iso_of(tenant.created),
            updated=iso_of(tenant.updated),
        )


class Licence(Model):
    id: str
    product: str
    issued: Time
    expires: Time = Field(description="that instant excluded")

    @classmethod
    def of(cls, licence: licences.Licence) -> Self:
        return cls(
            id=licence.id, product=licence.product, issued=iso_of(licence.issued), expires=iso_of(licence.expires)
        )


class ApiKey(Model):
    id: str
    prefix: str = Field(description="how the key begins, to tell keys apart", examples=["vk_0123456789abcdef"])
    name: str
    scopes: list[Scope]
    created: Time
    expires: Time | None = Field(description="null: never")
    last_used: Time | None = Field(description="to the minute")
    revoked: Time | None
    replaced_by: str | None = Field(description="id of the key that it was rotated to")
    host: str | None = Field(description="the only host that the key of an agent speaks for; null: any")

    @classmethod
    def of(cls, key: api_keys.ApiKey) -> Self:
        return cls(
            id=key.id,
            prefix=key.visible,
            name=key.name,
            scopes=sorted(key.scopes),
            created=iso_of(key.created),
            expires=iso_of(key.expires) if key.expires else None,
            last_used=iso_of(key.last_used) if key.last_used else None,
            revoked=iso_of(key.revoked) if key.revoked else None,
            replaced_by=key.replaced_by,
            host=key.host,
        )


class CreatedKey(Model):
    key: ApiKey
    secret: str = Field(description="the whole key, shown this once: only a hash of it is kept")


class Actor(Model):
    id: str
    name: str
    address: str
    agent: str = Field(description="the User-Agent")


class AuditEntry(Model):
    """One change: who, what, when, and from where."""

    id: str
    at: Time
    actor: Actor
    action: audit.Action
    target: str = Field(description="id of what was changed")
    changes: dict[str, Any]

    @classmethod
    def of(cls, entry: audit.AuditEntry) -> Self:
        actor = entry.actor
        return cls(
            id=entry.id,
            at=iso_of(entry.at),
            actor=Actor(id=actor.id, name=actor.name, address=actor.address, agent=actor.agent),
            action=entry.action,
            target=entry.target,
            changes=_shown(entry.changes),
        )


class _Page(Model):
    next_cursor: str | None = Field(description="give it as `cursor` to go on; null on the last page")


class TenantPage(_Page):
    tenants: list[Tenant]


class LicencePage(_Page):
    licences: list[Licence]


class UserPage(_Page):
    users: list[User]


class GuestPage(_Page):
    guests: list[Guest]


class KeyPage(_Page):
    keys: list[ApiKey]


class AuditPage(_Page):
    entries: list[AuditEntry]


class Used(Model):
    used: int
    limit: int


class UsageDay(Model):
    """A day, UTC. `samples` were taken, and `rejected` items refused; `requests` are all, `throttled` of them beyond a
    limit."""

    day: date
    samples: int
    requests: int
    rejected: int
    throttled: int

    @classmethod
    def of(cls, day: DayUsage) -> Self:
        return cls(**asdict(day))


class TenantUsage(Model):
    """What the tenant has now, what it may have, and what it did."""

    timestamp: Time
    tenant: str
    series: Used
    users: Used
    keys: Used = Field(description="those that are good now")
    licences: Used = Field(description="those that were ever given")
    today: UsageDay = Field(description="up to now, without the last seconds")
    days: list[UsageDay] = Field(description="days before today on which there was something, oldest first")


def _shown(value: Any) -> Any:
    """As answers write names and times."""
    if isinstance(value, dict):
        return {to_camel(name): _shown(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(one) for one in value]
    return iso_of(value) if isinstance(value, datetime) else value
