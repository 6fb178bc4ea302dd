"""A file of Alertmanager, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vigie_runtime import yaml_nodes as yaml
from vigie_storage.alerts.channels import MAX_PER_TENANT

from vigie_alerting.channels.drafts import Draft
from vigie_alerting.inhibition import MAX_INHIBITIONS
from vigie_alerting.named import normalized
from vigie_alerting.routing.checking import MAX_RECEIVERS
from vigie_alerting.routing.importing import receivers, tree
from vigie_alerting.routing.importing.document import Document, plain
from vigie_alerting.routing.model import Route, RoutingTree
from vigie_alerting.rules.files import Finding
from vigie_alerting.times.interval import MAX_INTERVALS

_FIELDS: Final = frozenset(
    {
        "global", "route", "receivers", "inhibit_rules", "templates", "time_intervals", "mute_time_intervals",
        "tracing", "event_recorder",
    }
)  # fmt: skip
_USED: Final = ("slack_api_url", "slack_app_token", "opsgenie_api_key", "victorops_api_key", "telegram_bot_token")
"""Of `global`: in the channels that they are of."""
_MAIL: Final = "smtp_"
_MAX: Final = {
    "receivers": MAX_RECEIVERS,
    "inhibit_rules": MAX_INHIBITIONS,
    "time_intervals": MAX_INTERVALS,
    "mute_time_intervals": MAX_INTERVALS,
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A part of the file, plain, with its line."""

    line: int
    value: Any


@dataclass(frozen=True, slots=True)
class Read:
    """What a file says."""

    tree: RoutingTree
    drafts: Mapping[str, tuple[int, Draft]]
    """Channels by name, with their lines."""
    times: Mapping[str, Placed]
    """By name; the list of intervals as the file has it."""
    inhibitions: list[Placed]
    document: Document

    @property
    def findings(self) -> list[Finding]:
        """By line."""
        return sorted(self.document.findings, key=lambda one: (one.line, not one.error))


def read(text: str) -> Read:
    """Everything, before expressions are tried; errors are among the findings."""
    document = Document()
    try:
        loaded = yaml.load(text) or yaml.Mapping(1)
    except yaml.InvalidYamlError as e:
        document.error(e.line, e.reason)
        loaded = yaml.Mapping(1)
    whole = document.mapping(loaded, 1, "the file")
    document.unknown(whole, _FIELDS, "the configuration of Alertmanager")
    document.left(whole, ("templates",), "messages are written by Vigie")
    document.left(whole, ("tracing", "event_recorder"), "this is Alertmanager's own")
    global_ = _part(document, whole, "global")
    _global(document, global_)
    if "route" not in whole and not document.findings:
        document.error(1, "there is no route")
    found = receivers.read(document, _bounded(document, whole, "receivers"), global_)
    if len(found.drafts) > MAX_PER_TENANT:
        document.error(whole.lines["receivers"], f"there are {len(found.drafts):,} channels, at most {MAX_PER_TENANT}")
    top = _part(document, whole, "route")
    root = tree.root(document, top) if "route" in whole else Route()
    inhibitions = [
        Placed(one.line, tree.inhibition(document, one)) for one in _bounded(document, whole, "inhibit_rules")
    ]
    made = RoutingTree(route=root, receivers=found.receivers)
    return Read(made, found.drafts, _times(document, whole), inhibitions, document)


def _global(document: Document, of: yaml.Mapping) -> None:
    for name in of:
        if name.startswith(_MAIL):
            document.lost(of.lines[name], f"{name}: mail goes by the server of the settings (EMAIL_SMTP_HOST)")
        elif name == "resolve_timeout" and document.text(of, name) not in ("5m", "300s"):
            document.lost(of.lines[name], "resolve_timeout: it is 5m")
        elif name not in _USED and name != "resolve_timeout":
            document.lost(of.lines[name], f"{name} is not taken")


def _times(document: Document, whole: yaml.Mapping) -> dict[str, Placed]:
    found: dict[str, Placed] = {}
    for section in ("time_intervals", "mute_time_intervals"):
        for one in _bounded(document, whole, section):
            document.unknown(one, ("name", "time_intervals"), "a time interval")
            name = normalized(document.text(one, "name"))
            if not name:
                document.error(one.line, "a time interval needs a name")
            elif name in found:
                document.error(one.line, f"there are two time intervals {name!r}")
            found[name] = Placed(one.line, plain(document.items(one, "time_intervals")))
    return found


def _bounded(document: Document, whole: yaml.Mapping, name: str) -> list[yaml.Mapping]:
    found = document.mappings(whole, name)
    most = _MAX[name]
    if len(found) > most:
        document.error(whole.lines[name], f"there are {len(found):,} of {name}, at most {most:,} are taken")
    return found[:most]


def _part(document: Document, whole: yaml.Mapping, name: str) -> yaml.Mapping:
    return document.mapping(whole[name], whole.lines[name], name) if name in whole else yaml.Mapping(1)
