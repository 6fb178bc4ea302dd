"""JSON of /api/health/services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import Field
from vigie_contracts.targets import Target
from vigie_web.schemas import Model

from vigie_healthcheck.targets.file import Finding
from vigie_healthcheck.targets.importing import Imported
from vigie_healthcheck.targets.problems import TargetProblem


class Service(Model):
    """A service with all its fields, as it is watched. It is taken like that by PUT too: secrets that are sent back as
    `***` stay as they are."""

    id: str
    name: str
    kind: str = Field(description="how it is asked: http, tcp, tls, ...; or heartbeat")
    url: str = Field(description="without credentials; of a heartbeat empty")
    enabled: bool
    interval: int = Field(description="milliseconds from one check to the next; of a heartbeat: how often it must come")
    timeout: int = Field(description="milliseconds for one attempt; of a heartbeat: how late it may be")
    retries: int = Field(description="further attempts, at once, before a check has failed")
    failure_threshold: int = Field(description="failed checks one after the other until it is down")
    success_threshold: int = Field(description="good checks one after the other until it is up again")
    method: str
    headers: dict[str, str] = Field(description="values are ***")
    username: str = Field(description="*** when there is one")
    password: str = Field(description="*** when there is one")
    body: str = Field(description="*** when there is one")
    options: dict[str, str] = Field(description="what only this kind knows")
    expect: dict[str, Any] = Field(description="what an answer must be; what is not said is not looked at")
    max_redirects: int
    verify: bool = Field(description="whether the certificate must be trusted")
    regions: list[str] = Field(description="from where it is asked beside from here")
    quorum: int = Field(description="how many of them all must see it down; 0: more than half of those that know")
    labels: dict[str, str] = Field(description="on its samples and alerts")
    group: str
    description: str
    depends_on: list[str] = Field(description="names of services without which it cannot be up")
    maintenance: list[dict[str, Any]] = Field(description="times in which nobody is alerted of it")
    managed_by: str = Field(description="empty: people, by this API; else the file that it is changed in, or vigie")
    public: bool = Field(description="whether the status page shows it")
    version: int
    created_at: int = Field(description="Unix milliseconds")
    created_by: str
    updated_at: int = Field(description="Unix milliseconds")
    updated_by: str


class Problem(Model):
    field: str
    reason: str

    @classmethod
    def of(cls, problem: TargetProblem) -> Self:
        return cls(field=problem.field, reason=problem.reason)


class WrittenService(Service):
    """A service that was made or changed."""

    token: str = Field(description="of a heartbeat that was made, or given another one: it is not shown again")
    warnings: list[Problem]

    @classmethod
    def of(cls, definition: Mapping[str, Any], token: str, warnings: Sequence[TargetProblem]) -> Self:
        more = {"token": token, "warnings": [Problem.of(one).model_dump() for one in warnings]}
        return cls.model_validate({**definition, **more})


class ImportedService(Model):
    name: str
    kind: str
    outcome: str = Field(description="created, changed, unchanged")
    fields: list[str] = Field(description="which differ from what was there")
    token: str = Field(description="of a heartbeat that was made: it is not shown again")

    @classmethod
    def of(cls, one: Imported, *, dry_run: bool) -> Self:
        target: Target = one.target
        token = "" if dry_run else one.token
        return cls(name=target.name, kind=target.kind, outcome=one.outcome, fields=list(one.fields), token=token)


class Line(Model):
    line: int
    message: str

    @classmethod
    def of(cls, finding: Finding) -> Self:
        return cls(line=finding.line, message=finding.message)


class Import(Model):
    """What an import did, or would do."""

    dry_run: bool
    created: int
    changed: int
    unchanged: int
    services: list[ImportedService]
    warnings: list[Line]
