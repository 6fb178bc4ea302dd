"""The registry of what mutes alerts: made once, asked in this order, the first that mutes is what is told.

To add one: its own file with a function that gives a `Muter`, and its line in `muters`.
"""

from __future__ import annotations

from vigie_alerting.notifying.muting import Muter


def muters() -> tuple[Muter, ...]:
    """Maintenance, inhibition, silences, inactive times of routes."""
    return ()
