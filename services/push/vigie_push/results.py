"""What agents made of their commands: judged, and acknowledged when Kafka has it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from vigie_contracts import commands as contract
from vigie_contracts.commands import Command, record_key
from vigie_contracts.hosts import HOST_PATTERN, HOST_RULE
from vigie_contracts.problems import ProblemKind
from vigie_identity.errors import CredentialMissing
from vigie_identity.permissions import Permission
from vigie_runtime.clock import Clock
from vigie_runtime.errors import ProblemError

from vigie_push.messages import Ack, CommandResult
from vigie_push.sessions import Session

_ID: Final = re.compile(contract.ID_PATTERN)
_HOST: Final = re.compile(HOST_PATTERN)


class InvalidResult(ProblemError):  # noqa: N818 - named after what is wrong
    """A result that belongs to no command."""

    kind = ProblemKind.INVALID
    status = 422

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}", field=field)


class ResultIntake:
    """Takes results, of agents that may speak for the host."""

    def __init__(self, publish: Callable[[bytes, bytes, str], Awaitable[None]], clock: Clock) -> None:
        """`publish` takes key, value and id of a record, and returns when Kafka has it."""
        self._publish, self._clock = publish, clock

    async def take(self, session: Session, message: CommandResult) -> Ack:
        """Publish it; the same one again changes nothing. Raises ProblemError."""
        if session.principal is None:
            raise CredentialMissing
        tenant = session.tenant(Permission.HOSTS_REPORT, message.tenant)
        id_ = str(message.id)
        if not _ID.match(id_):
            raise InvalidResult("id", "is not that of a command")
        if not _HOST.match(message.host):
            raise InvalidResult("host", HOST_RULE)
        session.principal.require_host(tenant, message.host)
        result = contract.CommandResult(message.outcome, message.text, self._clock.now_ms())
        command = Command(id=id_, tenant=tenant, host=message.host, result=result)
        await self._publish(record_key(tenant, message.host), msgspec.json.encode(command), id_)
        return Ack(id=message.id)
