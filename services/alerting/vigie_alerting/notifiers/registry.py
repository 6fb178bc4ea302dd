"""Every kind of channel. To add one: a file with its KIND, and its line here; the tests take it from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vigie_alerting.notifiers import apprise, live, slack, smtp, webhook
from vigie_alerting.notifiers.base import Kind, Notifier
from vigie_alerting.notifiers.resources import Resources

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind for kind in (slack.KIND, smtp.KIND, webhook.KIND, live.KIND, apprise.KIND)
}


def notifiers(resources: Resources) -> dict[str, Notifier]:
    """One notifier of each kind, by its name."""
    return {name: kind.make(resources) for name, kind in KINDS.items()}
