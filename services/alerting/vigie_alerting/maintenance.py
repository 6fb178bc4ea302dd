"""Maintenance windows: what is planned, and mutes while it goes on.

They differ from silences in who makes them, and how long they are kept: a silence is made by whoever is on call about
what is wrong now, and forgotten a few days after it has expired; a window is a part of the configuration, has a name,
is changed in its place, and stays until it is deleted.
"""

from __future__ import annotations

from typing import Final

import msgspec
from vigie_query.matchers import Matcher

from vigie_alerting.silences.active import Timing

MAX_WINDOWS: Final = 1_000
"""Of a tenant."""


class MaintenanceWindow(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Stored by its name."""

    matchers: tuple[Matcher, ...]
    timing: Timing
    comment: str
    created_by: str
    created_at: int
