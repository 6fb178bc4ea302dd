"""The connected resources of alerting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vigie_identity.audit import Audit
from vigie_runtime.expressions import Expressions
from vigie_storage.promql.selection import SelectorReader
from vigie_web.health import Check
from vigie_web.state import AccessControl

from vigie_alerting.alerts.desk import Desk
from vigie_alerting.backtest.backtester import Backtester
from vigie_alerting.channels.channelbook import Channelbook
from vigie_alerting.channels.channels import Channels
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.escalation.start import OnCallResources
from vigie_alerting.external.intake import Intake
from vigie_alerting.mutes import Mutes
from vigie_alerting.notifiers.resources import Resources as NotifierResources
from vigie_alerting.routing.importing.storing import Imports
from vigie_alerting.routing.routebook import Routebook
from vigie_alerting.rulebook.compiled import CompiledRules
from vigie_alerting.rulebook.rulebook import Rulebook
from vigie_alerting.slack.interactions import Interactions
from vigie_alerting.slos.slobook import Slobook
from vigie_alerting.snapshots import Watch
from vigie_alerting.stores import Stores


@dataclass(frozen=True, slots=True)
class RuleHealth:
    """How the last evaluation of a rule went. Unix milliseconds."""

    evaluated_ms: int
    """0: it never was."""
    took_ms: float
    error: str = ""
    next_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """What routes and engine work with."""

    access: AccessControl
    checks: Sequence[Check]
    audit: Audit
    stores: Stores
    watch: Watch
    """Of the configuration of tenants."""
    mutes: Mutes
    rulebook: Rulebook
    slobook: Slobook
    compiled: CompiledRules
    channels: Channels
    channelbook: Channelbook
    routebook: Routebook
    imports: Imports
    dispatcher: Dispatcher
    desk: Desk
    intake: Intake
    oncall: OnCallResources
    slack: Interactions
    notifiers: NotifierResources
    patterns: Expressions
    """Where expressions of a question are tried."""
    selectors: SelectorReader
    backtester: Backtester
    health: Callable[[str], RuleHealth | None]
    """By the id of a rule; None where another replica evaluates it."""
    started_ms: int
    """Unix milliseconds."""
