"""/api/alerts/import: alerts of a replaced system that are over, for the record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter
from vigie_contracts.days import to_ms
from vigie_identity.permissions import Permission
from vigie_web.access import Access
from vigie_web.authorized_route import AuthorizedRoute
from vigie_web.feature import Feature

from vigie_alerting.api.context import Context, Ctx
from vigie_alerting.api.history.schemas import Imported, PastAlert, PastAlerts, Refused
from vigie_alerting.external.importing import bring
from vigie_alerting.external.past import Past
from vigie_alerting.external.posted import SEVERITY
from vigie_alerting.transitions import ALERTNAME

router = APIRouter(tags=["alerts"], route_class=AuthorizedRoute)
_PATH: Final = "/api/alerts/import"
FEATURE = Feature(router, {("POST", _PATH): Access(Permission.MONITORING_CONFIGURE)}, "Alerts of a replaced system")
IMPORTED: Final = "imported"
"""The label that tells apart what was about the same thing: the id in the replaced system."""


@router.post(_PATH, response_model=Imported)
async def import_alerts(context: Ctx, body: PastAlerts) -> Any:
    """Alerts that are over, each judged alone. Nobody is told of them; they are listed like others, until as long after
    their end. One that was imported before stays as it is."""
    refused: list[Refused] = []
    taken: list[Past] = []
    places: list[int] = []
    for index, one in enumerate(body.alerts):
        wrong = _fault(context, one)
        if wrong is None:
            taken.append(_past(one))
            places.append(index)
        else:
            refused.append(Refused(index=index, field=wrong[0], reason=wrong[1]))
    stores = context.resources.stores
    before = await bring(context.tenant, taken, stores.states, stores.ledger)
    return Imported(
        imported=len(taken) - len(before),
        repeated=len(before),
        rejected=len(refused),
        repeats=[places[one] for one in before],
        errors=refused,
    )


def _fault(context: Context, one: PastAlert) -> tuple[str, str] | None:
    if one.resolved_at < one.created_at:
        return "resolvedAt", "is before createdAt"
    if to_ms(one.resolved_at) > context.now_ms:
        return "resolvedAt", "is in the future: only what is over can be imported"
    days = context.state.settings.alert_resolved_days
    if to_ms(one.resolved_at) <= context.now_ms - timedelta(days=days) / timedelta(milliseconds=1):
        return "resolvedAt", f"is more than {days:g} days ago: longer than a resolved alert is kept"
    return None


def _past(one: PastAlert) -> Past:
    labels = {
        ALERTNAME: one.type,
        SEVERITY: one.severity.value,
        "host": one.host,
        "site": one.site,
        "service": one.service,
        IMPORTED: one.id,
    }
    return Past(
        labels=tuple(sorted((name, text) for name, text in labels.items() if text)),
        annotations={"summary": one.message} if one.message else {},
        starts_at=to_ms(one.created_at),
        ends_at=to_ms(one.resolved_at),
        acknowledged_by=one.acknowledged_by,
        resolved_by=one.resolved_by,
    )
