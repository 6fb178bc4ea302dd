"""A site as it is sent, and what is wrong with it."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from vigie_contracts.hosts import HOST_PATTERN, SITE_PATTERN
from vigie_storage.hosts.sites import Site

from vigie_api.schemas import Body

MAX_DIRECTORY_CHARS: Final = 1_024
MAX_DOMAINS: Final = 100
MAX_PORTS: Final = 32
MAX_BYTES: Final = (1 << 53) - 1
_DOMAIN: Final = re.compile(
    r"(?:\*\.)?(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z"
)


def _directory(text: str) -> str:
    """Below which everything belongs to the site, and nothing else does."""
    if not text.startswith("/") or not text.isprintable():
        raise ValueError("must be an absolute path of printable characters")
    parts = text.rstrip("/").split("/")[1:]
    if not parts or any(part in ("", ".", "..") for part in parts):
        raise ValueError("must not be the root, and have no part that is empty, . or ..")
    return "/" + "/".join(parts)


def _domains(domains: list[str]) -> list[str]:
    for one in domains:
        if not _DOMAIN.match(one):
            raise ValueError(f"{one[:64]} is no name of a domain")
    return list(dict.fromkeys(one.lower() for one in domains))


def _ports(ports: list[PortRange]) -> list[PortRange]:
    ordered = sorted(ports, key=lambda one: one.from_)
    for one in ordered:
        if one.from_ > one.to:
            raise ValueError(f"{one.from_} to {one.to}: from must not be above to")
    for before, after in pairwise(ordered):
        if after.from_ <= before.to:
            raise ValueError(f"{after.from_} is in two ranges")
    return ordered


Port = Annotated[int, Field(ge=1, le=65_535)]
Bytes = Annotated[int, Field(ge=1, le=MAX_BYTES)]


class PortRange(Body):
    """Both included."""

    from_: Port = Field(alias="from", examples=[3000])
    to: Port = Field(examples=[3009])


class Limits(Body):
    """Bytes; null: none."""

    memory_bytes: Bytes | None = None
    disk_bytes: Bytes | None = None


_NO_PORTS: Final[list[PortRange]] = []
_NO_DOMAINS: Final[list[str]] = []


class SiteBody(Body):
    """Everything of a site but its id."""

    host: Annotated[str, Field(pattern=HOST_PATTERN, description="where it is", examples=["web-1"])]
    name: Annotated[str, Field(max_length=128, description="what people call it")] = ""
    account: Annotated[
        str, Field(pattern=r"^[a-z_][a-z0-9_\-]{0,31}$", description="its Unix account", examples=["shop"])
    ]
    directory: Annotated[
        str, Field(min_length=2, max_length=MAX_DIRECTORY_CHARS, examples=["/var/www/sites/shop"]),
        AfterValidator(_directory),
    ]  # fmt: skip
    ports: Annotated[list[PortRange], Field(max_length=MAX_PORTS), AfterValidator(_ports)] = _NO_PORTS
    domains: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=255, examples=["shop.example.com"])]],
        Field(max_length=MAX_DOMAINS),
        AfterValidator(_domains),
    ] = _NO_DOMAINS
    limits: Limits = Limits.model_construct()


class NewSite(SiteBody):
    id: Annotated[str, Field(pattern=SITE_PATTERN, description="unique in the tenant", examples=["shop"])]


def site_of(id_: str, body: SiteBody, now: datetime, before: Site | None = None) -> Site:
    """The site that the body says, as the next version of `before`."""
    limits = {"memory": body.limits.memory_bytes, "disk": body.limits.disk_bytes}
    return Site(
        id=id_,
        host=body.host,
        name=body.name or id_,
        account=body.account,
        directory=body.directory,
        ports=tuple((one.from_, one.to) for one in body.ports),
        domains=tuple(body.domains),
        limits={name: value for name, value in limits.items() if value is not None},
        created=now if before is None else before.created,
        updated=now,
        version=1 if before is None else before.version + 1,
    )
