"""Composition of everything between the transition of an alert and whoever is told of it."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vigie_contracts.tenants import TenantId
from vigie_runtime.expressions import Expressions
from vigie_runtime.lifespan import Lifespan
from vigie_storage.alerts.configuration import Kind
from vigie_storage.alerts.live import LiveFeed
from vigie_storage.mongo import Session
from vigie_web.access_control import Shared
from vigie_web.state import AppState

from vigie_alerting.announcer import Announcer
from vigie_alerting.canary import CANARY, Canary, of_tenants, routed
from vigie_alerting.channels.channelbook import Channelbook
from vigie_alerting.channels.channels import Channels
from vigie_alerting.dispatch import Dispatcher
from vigie_alerting.engine.metrics import count_transitions
from vigie_alerting.escalation.start import OnCallResources
from vigie_alerting.escalation.start import plan as plan_on_call
from vigie_alerting.escalation.start import start as start_on_call
from vigie_alerting.mutes import Mutes
from vigie_alerting.notifiers.http import Http
from vigie_alerting.notifiers.registry import notifiers
from vigie_alerting.notifiers.resources import Resources as NotifierResources
from vigie_alerting.notifying.muters import muters
from vigie_alerting.notifying.start import Owning, Stages
from vigie_alerting.notifying.start import start as start_notifying
from vigie_alerting.routing.importing.storing import Imports
from vigie_alerting.routing.routebook import Routebook
from vigie_alerting.sender.failpoints import from_environment
from vigie_alerting.settings import AlertingSettings
from vigie_alerting.slack.bot import Bot, Keeping
from vigie_alerting.slack.keeper import Keeper
from vigie_alerting.slack.standing import Standing
from vigie_alerting.slack.web_api import WebApi
from vigie_alerting.snapshots import Watch
from vigie_alerting.stores import Stores


@dataclass(frozen=True, slots=True)
class Telling:
    """What runs, and what routes work with."""

    dispatcher: Dispatcher
    """What hands transitions on."""
    watch: Watch
    mutes: Mutes
    channels: Channels
    channelbook: Channelbook
    routebook: Routebook
    imports: Imports
    oncall: OnCallResources
    canary: Canary
    notifiers: NotifierResources
    http: Http
    standing: Standing
    """How alerts stand now."""
    sessions: Sequence[Session]
    """In which it is stored what people are told: whoever takes over from this process ends their transactions."""
    owning: Owning
    """Is to hear when this process has taken rules over."""


def start(
    state: AppState[AlertingSettings, Any], life: Lifespan, shared: Shared, stores: Stores, patterns: Expressions
) -> Telling:
    """Until the end of `life`. `patterns`: where expressions of users are tried on the past."""
    settings, clock, metrics = state.settings, state.clock, state.metrics
    database, audit, failpoint = shared.database, shared.identity.audit, from_environment()
    watch = Watch(stores.configuration.changed_since, clock)
    life.run("configuration", watch.run(), watch.stop)
    http = Http(settings.callable_networks, clock)
    life.on_down("webhooks", http.aclose)
    live = LiveFeed(shared.redis)
    announcer = Announcer(live, clock, metrics)
    life.run("announcer", announcer.run(), announcer.stop)
    mutes = Mutes.of(database, stores, audit, watch, clock=clock, patterns=patterns)
    standing = Standing(stores.states, stores.escalations, mutes.silenced, clock)
    keeping = Keeping(stores.messages, standing, clock, settings.external_url, failpoint)
    tools = NotifierResources(settings, http, live.publish, clock, ssl.create_default_context(), keeping)
    kinds, canary = notifiers(tools), Canary(clock, metrics)
    channels = Channels(stores.channels, kinds, tools)
    routebook = Routebook(
        database, stores.configuration, stores.channels,
        audit=audit, watch=watch, resources=tools, patterns=patterns,
    )  # fmt: skip
    keeper = Keeper(stores.messages, Bot(WebApi(http), keeping), channels.by_key, clock)
    watch.listen(keeper.silenced, Kind.SILENCE)
    planned, asked = plan_on_call(stores, watch, clock), muters(mutes)
    count = partial(count_transitions, metrics)
    stages = Stages(
        watch.hold(routed(routebook.held.of), Kind.ROUTES), asked, planned.escalations.begin,
        (planned.escalations.moved, keeper.moved),
        stored=(
            of_tenants(count), of_tenants(announcer.announce), mutes.inhibited.stored, planned.escalations.stored,
            of_tenants(keeper.stored),
        ),
    )  # fmt: skip
    owning = Owning()
    sessions = database.client.start_session(), database.client.start_session()
    for one in sessions:
        life.on_down("a session", one.end_session)
    notifying = start_notifying(
        life, stores, channels, stages, settings=settings, database=database, kinds={**kinds, CANARY: canary},
        watch=watch, session=sessions[0], owning=owning, failpoint=failpoint, clock=clock, metrics=metrics,
    )  # fmt: skip
    oncall = start_on_call(
        life, planned, db=database, stores=stores, channels=channels, routebook=routebook, muters=asked,
        watch=watch, audit=audit, sender=notifying.sender.wake, touched=keeper.wake, session=sessions[1],
        owning=owning, failpoint=failpoint, clock=clock, metrics=metrics,
    )  # fmt: skip
    life.run("posted messages", keeper.run(), keeper.stop)

    async def receivers_of(tenant: TenantId, channel: str) -> list[str]:
        return [*await routebook.receivers_of(tenant, channel), *await oncall.book.users_of(tenant, channel)]

    return Telling(
        notifying.dispatcher,
        watch,
        mutes,
        channels,
        Channelbook(database, stores.channels, stores.rules, receivers_of, audit=audit, resources=tools),
        routebook,
        Imports(routebook, stores.configuration, stores.channels, audit=audit, watch=watch, resources=tools),
        oncall,
        canary,
        tools,
        http,
        standing,
        sessions,
        owning,
    )
