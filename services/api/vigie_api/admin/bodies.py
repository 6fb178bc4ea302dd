"""What administration takes as JSON."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator
from vigie_contracts.hosts import HOST_PATTERN
from vigie_contracts.limits import MAX_TENANT_CHARS
from vigie_identity.api_keys import MAX_OVERLAP
from vigie_identity.names import MAX_NAME_CHARS
from vigie_identity.permissions import Role, Scope
from vigie_identity.users import MAX_PLACES

from vigie_api.auth.schemas import NewPassword
from vigie_api.schemas import Body

MAX_NUMBER: Final = 10**15
"""Of a limit: exact in every JSON reader and in MongoDB."""
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)


def _moment(given: object) -> object:
    """Pydantic would also take numbers, days, and spaces for a T."""
    if not isinstance(given, str) or not _RFC3339.match(given):
        raise ValueError("must be an RFC 3339 time with its offset: 2027-01-31T12:00:00Z")
    if not "1970" <= given[:4] < "9000":
        raise ValueError("must be of the years 1970 to 8999")
    return datetime.fromisoformat(given.upper())


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS, description="printable characters")]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment), Field(examples=["2027-01-31T12:00:00Z"])]
Amount = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
Places = Annotated[
    list[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$")]], Field(max_length=MAX_PLACES)
]
_NONE: Final[list[str]] = []
# JSON has no type of its own for these: being strict, Pydantic would take nothing but Python's enum members.
RoleName = Annotated[Role, Field(strict=False)]
ScopeName = Annotated[Scope, Field(strict=False)]


def _without_defaults(schema: dict[str, Any]) -> None:
    """What is not said is left alone: it has no default."""
    schema["minProperties"] = 1
    for field in schema["properties"].values():
        field.pop("default", None)


class Change(Body):
    """Some of its fields, and at least one; the defaults of the others are never looked at."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must say at least one of its fields")
        return self


class AnyPassword(Body):
    password: NewPassword


class PlanLimits(Change):
    """What is not said stays as it is; of a new tenant, as it is without a plan. Null: no limit of its own."""

    samples_per_s: Amount | None = Field(default=None, examples=[50_000])
    requests_per_s: Amount | None = Field(default=None, examples=[500])
    series: Amount = Field(default=0, examples=[20_000])
    rules: Amount = Field(default=0, examples=[100])
    targets: Amount = Field(default=0, examples=[100], description="services whose health is checked")
    notifications_per_day: Amount | None = None

    @property
    def said(self) -> dict[str, Any]:
        """The limits that were given."""
        return self.model_dump(exclude_unset=True)


class NewTenant(Body):
    id: Annotated[
        str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$", max_length=MAX_TENANT_CHARS, examples=["hotel-booking"])
    ]
    name: Name = Field(examples=["Hotel Booking Ltd"])
    plan: PlanLimits | None = None


class NewLicence(Body):
    product: Name = Field(examples=["Standard"])
    expires: Moment


class NewUser(Body):
    name: Name = Field(examples=["alice"])
    password: NewPassword
    role: RoleName
    apps: Places = _NONE
    sites: Places = _NONE


class NewAssignment(Body):
    role: RoleName
    apps: Places = _NONE
    sites: Places = _NONE


class NewKey(Body):
    name: Name = Field(examples=["gateway of the front desk"])
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=len(Scope))]
    expires: Moment | None = Field(default=None, description="null: never")
    host: Annotated[str, Field(pattern=HOST_PATTERN)] | None = Field(
        default=None,
        description="the only host that it speaks for; only with the scope agent alone",
        examples=[None],
    )


class Rotation(Body):
    overlap_s: Annotated[int, Field(ge=0, le=int(MAX_OVERLAP.total_seconds()))] = Field(
        default=86_400, description="how long the old key stays good"
    )


class TenantChange(Change):
    name: Name = ""
    status: Literal["active", "inactive"] = "active"
    plan: PlanLimits = PlanLimits.model_construct()


class UserChange(Change):
    role: RoleName = Role.READONLY
    active: bool = True
    apps: Places = _NONE
    sites: Places = _NONE
