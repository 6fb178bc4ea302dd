"""A silence, as it is stored and as it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec
from vigie_contracts.problems import shortened
from vigie_query.matchers import Matcher

from vigie_alerting.silences.active import Timing

MAX_SILENCES: Final = 10_000
"""Of a tenant, with those that expired lately."""
MAX_COMMENT_CHARS: Final = 1_000
MAX_CREATOR_CHARS: Final = 200


class Silence(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Keeps the alerts quiet that all matchers fit. Stored by its id, a UUID, with whoever changed it last beside it.
    Times are Unix milliseconds."""

    matchers: tuple[Matcher, ...]
    timing: Timing
    comment: str
    created_by: str
    caller: str = ""
    """Who made it, where somebody else is named as its creator."""
    created_at: int

    @property
    def said(self) -> str:
        """What mutes: `silenced by anna`, `silenced by a key, for anna`."""
        creator = shortened(self.created_by, MAX_CREATOR_CHARS)
        return f"silenced by {self.caller}, for {creator}" if self.caller else f"silenced by {creator}"


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody asks for. `created_by`: who is named as its creator, where that is not the caller."""

    matchers: tuple[Matcher, ...]
    timing: Timing
    comment: str
    created_by: str = field(default="")
    confirmed: bool = False
    """Although it mutes everything."""
