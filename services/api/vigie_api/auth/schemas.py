"""Logging in, who asks, and users."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field
from vigie_contracts.limits import MAX_TENANT_CHARS
from vigie_contracts.tenants import PLATFORM
from vigie_identity import users
from vigie_identity.names import MAX_NAME_CHARS
from vigie_identity.passwords import MAX_CHARS, MIN_CHARS
from vigie_identity.permissions import Permission, Role
from vigie_identity.principal import Assignment, Principal, PrincipalKind
from vigie_identity.sessions import SCHEME, Tokens
from vigie_query.times import iso_of

from vigie_api.schemas import Body, Model, Time

MAX_TOKEN_CHARS: Final = 1_024
Password = Annotated[str, Field(max_length=MAX_CHARS)]
NewPassword = Annotated[
    str, Field(min_length=MIN_CHARS, max_length=MAX_CHARS, examples=["violet-kettle-marches-north"])
]


class Login(Body):
    """`tenant` is the home of the account; without it the account is one of the platform."""

    tenant: Annotated[str, Field(max_length=MAX_TENANT_CHARS, examples=["hotel-booking"])] | None = None
    username: Annotated[str, Field(max_length=MAX_NAME_CHARS, examples=["admin"])]
    password: Password


class Refresh(Body):
    refresh_token: Annotated[str, Field(max_length=MAX_TOKEN_CHARS)]


class OwnPassword(Body):
    old_password: Password
    new_password: NewPassword


class Belonging(Model):
    """What somebody is in a tenant."""

    tenant: str
    role: Role | None = Field(description="null for API keys")
    apps: list[str]
    sites: list[str]

    @classmethod
    def of(cls, one: Assignment) -> Self:
        return cls(tenant=one.tenant, role=one.role, apps=sorted(one.apps), sites=sorted(one.sites))


class Holding(Belonging):
    """What somebody is in a tenant, and may do there."""

    permissions: list[Permission]


class User(Model):
    """`role`, `apps` and `sites` are those in the home."""

    id: str
    name: str
    tenant: str | None = Field(description="the home; null for users of the platform")
    role: Role
    apps: list[str]
    sites: list[str]
    assignments: list[Belonging] = Field(description="further tenants; only a SUPERADMIN sees them")
    active: bool
    created: Time

    @classmethod
    def of(cls, user: users.User) -> Self:
        return cls(
            id=user.id,
            name=user.name,
            tenant=None if user.home == PLATFORM else user.home,
            role=user.role,
            apps=sorted(user.apps),
            sites=sorted(user.sites),
            assignments=[Belonging.of(one) for one in user.further],
            active=user.active,
            created=iso_of(user.created),
        )


class Guest(Model):
    """A user of another home, which is not told."""

    id: str
    name: str
    active: bool
    role: Role | None
    apps: list[str]
    sites: list[str]

    @classmethod
    def of(cls, guest: users.Guest) -> Self:
        one = guest.assignment
        return cls(
            id=guest.id,
            name=guest.name,
            active=guest.active,
            role=one.role,
            apps=sorted(one.apps),
            sites=sorted(one.sites),
        )


class LoginTokens(Model):
    """Both tokens are secrets. The access token goes into `Authorization: Bearer`."""

    access_token: str
    token_type: Literal["Bearer"] = SCHEME
    expires_in: int = Field(description="seconds for which the access token is good")
    refresh_token: str = Field(description="good once; used a second time, it ends the session")
    user: User

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        return cls(
            access_token=tokens.access,
            expires_in=tokens.access_expires_in_s,
            refresh_token=tokens.refresh,
            user=User.of(tokens.user),
        )


class Me(Model):
    """Who asks, and what they may do where."""

    id: str
    name: str
    kind: PrincipalKind
    role: Role | None = Field(description="a role that holds in every tenant; then `tenants` is empty")
    permissions: list[Permission] = Field(description="what that role allows, everywhere")
    tenants: list[Holding]

    @classmethod
    def of(cls, principal: Principal) -> Self:
        return cls(
            id=principal.id,
            name=principal.name,
            kind=principal.kind,
            role=principal.role,
            permissions=sorted(principal.permissions(PLATFORM)),
            tenants=[
                Holding(**Belonging.of(one).model_dump(by_alias=False), permissions=sorted(one.permissions))
                for one in principal.assignments.values()
            ],
        )
