"""Command: the value of a record on `vigie.commands.v1`, JSON. What an agent is to do on its host, and what became of
it.

A command goes from api to push, which tells the agent; its result goes from push to api. Both are records of one topic,
under the key of their host.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from vigie_contracts.hosts import HostName, ServiceName, SiteId

LIFE_MS: Final = 120_000
"""After that a command that no agent has begun is not begun any more."""
DO_S: Final = 90.0
"""The longest that an agent waits for systemd."""
ID_PATTERN: Final = r"^[a-f0-9]{32}$"
CommandId = Annotated[str, Meta(pattern=ID_PATTERN)]
MAX_MESSAGE_CHARS: Final = 500


class Action(StrEnum):
    """What can be done to a systemd service."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"


class Outcome(StrEnum):
    """How a command ended."""

    DONE = "done"
    FAILED = "failed"
    """systemd has tried."""
    REFUSED = "refused"
    """The agent, or systemd, does not do that: nothing was done."""
    EXPIRED = "expired"
    """No agent began in time: nothing was done."""
    UNKNOWN = "unknown"
    """The agent ended, or lost systemd, while it was done. It is not done again."""


class CommandResult(msgspec.Struct, rename="camel", frozen=True):
    """What the agent says; `at` by the clock of who took it."""

    outcome: Outcome
    message: Annotated[str, Meta(max_length=MAX_MESSAGE_CHARS)] = ""
    at: int = 0


class Command(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """One thing to do, at most once. With `result` it is the answer: `id`, `tenant` and `host` say to what. Times are
    milliseconds since 1970."""

    id: CommandId
    tenant: str
    host: HostName
    site: SiteId | None = None
    service: ServiceName | None = None
    action: Action | None = None
    issued_at: int = 0
    expires_at: int = 0
    by: str = ""
    """Who asked, as the audit log has it."""
    result: CommandResult | None = None
    version: int = 1


def record_key(tenant: str, host: str) -> bytes:
    """The key of a record: what a host is to do stays in order, in one partition."""
    return f"{tenant}/{host}".encode()
