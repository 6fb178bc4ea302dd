"""`commands`: what the agent of a host is asked to do, for the agent itself.

- First comes what waits, then each command as it is given; one may come several times, until its result is known. The
  agent does each at most once.
- The agent answers with a message `commandResult`, and again until it is acknowledged.
- `host` says which one; seen by keys with the scope `agent`, by one that is bound to a host only of that host.
- Commands come from the end of their log; what the log does not give is read of MongoDB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from vigie_contracts.commands import LIFE_MS, Action, Command
from vigie_contracts.hosts import HOST_PATTERN
from vigie_contracts.tenants import TenantId
from vigie_identity.permissions import Permission
from vigie_identity.principal import Principal
from vigie_storage.commands import Commands

from vigie_push.channels import cursors
from vigie_push.channels.base import ChannelMessage, Cursor, Parameters, Snapshot, Topic, Update
from vigie_push.channels.names import ChannelName
from vigie_push.channels.resources import ChannelResources
from vigie_push.sources import commands


class CommandParameters(Parameters, frozen=True, kw_only=True):
    host: Annotated[str, Meta(pattern=HOST_PATTERN)]


class CommandData(msgspec.Struct, rename="camel", kw_only=True):
    """What is to be done. `expires_in_ms`: for so long it may still be begun; `expires_at`: until then by Vigie's
    clock, Unix milliseconds."""

    id: str
    site: str | None
    service: str
    action: Action
    expires_in_ms: int
    expires_at: int


class CommandMessage(ChannelMessage, tag="command", kw_only=True):
    """A command for the host."""

    data: CommandData


class CommandsChannel:
    """See the module's text."""

    name = ChannelName.COMMANDS.value
    parameters = CommandParameters
    messages = (CommandMessage,)
    sources = (commands.NAME,)
    permission = Permission.HOSTS_REPORT

    def __init__(self, resources: ChannelResources) -> None:
        self._commands, self._now_ms = Commands(resources.database), resources.clock.now_ms

    def authorise(self, principal: Principal, tenant: TenantId, parameters: CommandParameters) -> CommandParameters:
        """See `Channel`."""
        principal.require_host(tenant, parameters.host)
        return parameters

    async def open(self, topic: Topic[CommandParameters]) -> CommandFeed:
        """See `Channel`."""
        return CommandFeed(topic.tenant, topic.parameters.host, self._commands, self._now_ms)


class CommandFeed:
    """An open topic: one host."""

    def __init__(self, tenant: TenantId, host: str, stored: Commands, now_ms: Callable[[], int]) -> None:
        self._tenant, self._host, self._stored, self._now_ms = tenant, host, stored, now_ms

    def updates(self, record: Command) -> list[Update]:
        """See `Feed`."""
        if record.host != self._host or record.result is not None:
            return []
        return self._told([record])

    async def poll(self) -> Sequence[Update]:
        """See `Feed`. All that waits, again and again: an agent that has it already knows."""
        return self._told(await self._stored.waiting(self._tenant, self._host, self._now_ms()))

    async def snapshot(self, after: Cursor | None) -> Snapshot:
        """See `Feed`."""
        cursors.decode(cursors.Form.COMMANDS, after)
        updates = await self.poll()
        known = {update.key for update in updates}
        return Snapshot(updates, lambda update: update.key in known)

    async def close(self) -> None:
        """See `Feed`."""

    def _told(self, waiting: Sequence[Command]) -> list[Update]:
        now = self._now_ms()
        found: list[Update] = []
        for one in waiting:
            left = min(LIFE_MS, one.expires_at - now)
            if left <= 0 or one.service is None or one.action is None:
                continue
            data = CommandData(
                id=one.id,
                site=one.site,
                service=one.service,
                action=one.action,
                expires_in_ms=left,
                expires_at=one.expires_at,
            )
            found.append(Update(one.id, cursors.NONE, CommandMessage(data=data)))
        return found
