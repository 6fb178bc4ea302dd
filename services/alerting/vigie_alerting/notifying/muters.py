"""The registry of what mutes alerts: made once, asked in this order, the first that mutes is what is told.

To add one: its own file with a `Muter`, made in `vigie_alerting.mutes`, and its line in `muters`.
"""

from __future__ import annotations

from vigie_alerting.mutes import Mutes
from vigie_alerting.notifying.muting import Muter


def muters(mutes: Mutes) -> tuple[Muter, ...]:
    """Maintenance, inhibition, silences, inactive times of routes."""
    return mutes.maintained, mutes.inhibited, mutes.silenced, mutes.inactive
