"""MongoDB: a replica set of a version that works, its clock, its disk, and what services make in it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from vigie_runtime.clients import Database
from vigie_runtime.errors import Retryable
from vigie_runtime.logging import redact
from vigie_storage import inspection
from vigie_storage.inspection import DatabaseFacts

from vigie_standalone.doctor.findings import Finding, clock, failed, ok, space, warning

WHAT: Final = "mongodb"
OLDEST: Final = (5, 0)
"""Reads of one moment (`vigie backup`) need it."""


async def examine(db: Database) -> tuple[list[Finding], Mapping[str, int]]:
    """What there is to say, and the partitions of the topics that are recorded."""
    try:
        facts = await inspection.inspect(db)
    except Retryable as error:
        advice = "start it, or correct MONGODB_URI; its user needs readWrite on the database of Vigie"
        return [failed(WHAT, f"cannot be used: {redact(str(error))}", advice)], {}
    return list(judged(facts)), facts.partitions


def judged(facts: DatabaseFacts) -> Iterator[Finding]:
    """What it said of itself."""
    yield _members(facts.hello)
    yield _version(facts.build)
    yield clock(WHAT, facts.ahead_s)
    if "fsTotalSize" in facts.stats:
        total = float(facts.stats["fsTotalSize"])
        yield space(f"{WHAT} disk", total - float(facts.stats["fsUsedSize"]), total)
    if facts.missing:
        text = f"{len(facts.missing)} are missing: {'; '.join(facts.missing[:5])}"
        yield warning(f"{WHAT} indexes", text, "start the services of this version, which make them")
    else:
        yield ok(f"{WHAT} indexes", "all that the collections ought to have are there")
    if facts.unfinished:
        yield failed(f"{WHAT} restore", facts.unfinished, "until it is done no service starts")


def _members(hello: Mapping[str, Any]) -> Finding:
    members = len(hello.get("hosts", ()))
    if "setName" not in hello:
        advice = "start it with --replSet and run rs.initiate() once: windows and offsets are written in transactions"
        return failed(WHAT, "is no replica set", advice)
    text = f"replica set {hello['setName']} of {members} member{'' if members == 1 else 's'}"
    if members < 3:
        return warning(WHAT, text, "have three for production: with fewer, one that is lost stops everything")
    return ok(WHAT, text)


def _version(build: Mapping[str, Any]) -> Finding:
    if tuple(build["versionArray"][:2]) < OLDEST:
        text = f"version {build['version']} is older than {OLDEST[0]}.{OLDEST[1]}"
        return failed(WHAT, text, "upgrade it to a version that is maintained")
    return ok(WHAT, f"version {build['version']}")
