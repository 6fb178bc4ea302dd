"""The shape of the answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from vigie_contracts.commands import Action, Command
from vigie_query.times import iso
from vigie_storage.commands import StoredCommand

from vigie_api.schemas import Model, Time

State = Literal["pending", "done", "failed", "refused", "expired", "unknown"]
NOBODY = "no agent took it in time: does one run on the host, and does it allow this action?"


class CommandAnswer(Model):
    """What an agent was asked to do, and what became of it."""

    id: str
    host: str
    site_id: str
    service: str
    action: Action
    state: State = Field(
        description="pending; done; failed: systemd has tried; refused, expired: nothing was done; unknown: the agent "
        "ended while it was done, and does not do it again"
    )
    message: str = Field(description="why, where it is not done")
    by: str
    issued_at: Time
    expires_at: Time = Field(description="after this no agent begins it")
    ended_at: Time | None

    @classmethod
    def of(cls, command: Command, state: str, message: str = "", ended: str | None = None) -> CommandAnswer:
        """As it is told."""
        return cls.model_validate(
            {
                "id": command.id,
                "host": command.host,
                "siteId": command.site or "",
                "service": command.service or "",
                "action": command.action,
                "state": state,
                "message": message or (NOBODY if state == "expired" else ""),
                "by": command.by,
                "issuedAt": iso(command.issued_at),
                "expiresAt": iso(command.expires_at),
                "endedAt": ended,
            }
        )

    @classmethod
    def stored(cls, found: StoredCommand, now_ms: int) -> CommandAnswer:
        """As it stands."""
        ended = None if found.ended is None else iso(round(found.ended.timestamp() * 1000))
        return cls.of(found.command, found.state_at(now_ms), found.message, ended)
