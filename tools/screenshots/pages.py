"""What is taken of the dashboard: of every page of `pages.js` at least one picture; a test compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Size = Literal["light", "dark", "phone"]


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of an address, ready when `ready` (a selector) is there. `shown`: the sizes that stand in the docs; of
    all others there is a picture too, which is not kept with them. Those wait `watched_s` more: for charts of what
    happened while somebody looked."""

    name: str
    address: str
    ready: str
    shown: tuple[Size, ...] = ()
    watched_s: float = 0.0
    ours: bool = False
    """Of something that only the Vigie has which is started for the pictures."""


SHOTS: Final[dict[str, tuple[Shot, ...]]] = {
    "overview": (Shot("overview", "overview", ".service", ("light", "dark", "phone")),),
    "alerts": (
        Shot("alerts", "alerts", "tbody tr", ("light",), ours=True),
        Shot("rules", "alerts/rules", "tbody tr"),
        Shot("routes", "alerts/routes", ".tree li", ("dark",), ours=True),
        Shot("schedule", "alerts/oncall/database", ".calendar .week", ("light",), ours=True),
        Shot("oncall", "alerts/oncall", "tbody tr", ours=True),
    ),
    "explore": (
        Shot("explore", "explore?expr=sum+by+(service)+(rate(bookings_created_total%5B5m%5D))", "canvas", ("light",)),
    ),
    "health": (Shot("health", "health", ".target", ("dark",)),),
    "apps": (Shot("apps", "apps/reservations", "canvas", ("light",), ours=True),),
    "hosts": (
        Shot("hosts", "hosts", ".host, main canvas", ("light",)),
        Shot("sites", "hosts/sites", ".site", ours=True),
    ),
    "telemetry": (Shot("telemetry", "telemetry", "canvas"),),
    "pipeline": (Shot("pipeline", "pipeline", ".promises li", ("light",), 90.0),),
    "administration": (
        Shot("administration", "administration", "tbody tr"),
        Shot("tenants", "administration/tenants", "tbody tr"),
    ),
    "about": (Shot("about", "about", ".doors"),),
}
"""By the page's path."""
