"""Which targets a caller sees: USER and READONLY those of their sites and apps, as of alerts."""

from __future__ import annotations

from collections.abc import Callable

from vigie_healthcheck.api.context import Context
from vigie_healthcheck.known import Known
from vigie_healthcheck.targets.errors import TargetNotFound


def visible(context: Context) -> Callable[[Known], bool]:
    """Whether the caller sees a target."""
    sites, apps = context.principal.sites(context.tenant), context.principal.apps(context.tenant)
    if sites is None or apps is None:
        return _every

    def theirs(known: Known) -> bool:
        labels = known.target.labels
        return labels.get("site") in sites or labels.get("app") in apps

    return theirs


def sees_all(context: Context) -> bool:
    """Whether the caller sees every target of the tenant."""
    return visible(context) is _every


async def seen(context: Context, name: str) -> Known:
    """The target of that name. Raises TargetNotFound also for one that the caller does not see."""
    known = await context.resources.reads.health.one(context.tenant, name)
    if not visible(context)(known):
        raise TargetNotFound(name)
    return known


def _every(_known: Known) -> bool:
    return True
