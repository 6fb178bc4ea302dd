"""Which alerts are asked for, and which of them the caller sees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from vigie_contracts.alerts import Severity
from vigie_identity.permissions import Permission
from vigie_query import matchers
from vigie_query.errors import InvalidParameter
from vigie_query.matchers import Matcher, Operator

from vigie_alerting.alerts.desk import Known
from vigie_alerting.api.alerts.schemas import STATES, Status
from vigie_alerting.api.context import Context
from vigie_alerting.transitions import ALERTNAME, labels_of

Query = dict[str, Any]
LISTED = (Status.ACTIVE, Status.ACKNOWLEDGED, Status.RESOLVED)
"""Unless others are asked for: one that is pending need not become one."""
MAX_LISTED: Final = 10_000
"""Where there are no pages."""
_PAGE: Final = 1_000


def in_status(statuses: Iterable[Status]) -> Query:
    """In one of these."""
    return {"state": {"$in": [STATES[status].value for status in statuses]}}


def places(context: Context) -> list[str] | None:
    """The sites and apps whose alerts the caller sees, as labels; None: all alerts."""
    return None if context.principal.may(Permission.ALERTS_READ_ALL, context.tenant) else assigned(context)


def assigned(context: Context) -> list[str]:
    """The sites and apps that the caller is assigned to, as labels."""
    assignment = context.principal.assignments.get(context.tenant)
    if assignment is None:
        return []
    return [*(f"site={one}" for one in sorted(assignment.sites)), *(f"app={one}" for one in sorted(assignment.apps))]


def visible(context: Context) -> list[Query]:
    """The conditions of what the caller sees."""
    mine = places(context)
    return [] if mine is None else [{"search": {"$in": mine}}]


def sees(context: Context, labels: Mapping[str, str]) -> bool:
    """Whether the caller sees an alert with these labels."""
    mine = places(context)
    return mine is None or any(f"{name}={value}" in mine for name, value in labels.items())


def sees_known(context: Context, known: Known) -> bool:
    """The same of an alert."""
    return sees(context, labels_of(known.rule, known.alert))


async def going_on(context: Context, statuses: Iterable[Status]) -> list[Known]:
    """All alerts in one of these that the caller sees, the last begun first; at most MAX_LISTED. Raises
    StoreUnavailable."""
    query = all_of([*visible(context), in_status(statuses)])
    found: list[Known] = []
    after: tuple[int, str] | None = None
    for _ in range(MAX_LISTED // _PAGE):
        some = await context.resources.stores.states.page(context.tenant, query, _PAGE, after)
        found += await context.resources.desk.known(context.tenant, some)
        if len(some) < _PAGE:
            break
        after = (some[-1].starts_at, some[-1].fingerprint)
    return found


def matching(texts: Iterable[str]) -> list[Query]:
    """Conditions on labels: `label=value` and `label!=value`. Raises InvalidParameter for patterns."""
    return [_condition(one) for one in matchers.parse(list(texts))]


def _condition(matcher: Matcher) -> Query:
    if matcher.operator not in (Operator.EQUAL, Operator.DIFFERENT):
        raise InvalidParameter("match", f"alerts are found by label=value and label!=value, not by {matcher.operator}")
    present: Any = f"{matcher.label}={matcher.value}"
    if not matcher.value:  # a label that is not there counts as empty
        present = re.compile(f"^{re.escape(matcher.label)}=")
    wanted = (matcher.operator is Operator.EQUAL) is bool(matcher.value)
    return {"search": present if wanted else {"$not": present} if not matcher.value else {"$ne": present}}


def asked(
    *, severity: list[Severity] | None, rule: str | None, type_: list[str] | None, match: list[str], since_ms: Any
) -> list[Query]:
    """The conditions of a listing, but for the status."""
    found: list[Query] = matching(match)
    if severity:
        found.append({"severity": {"$in": [one.value for one in severity]}})
    if rule is not None:
        found.append({"rule": {"$eq": rule}})
    if type_:
        found.append({"search": {"$in": [f"{ALERTNAME}={one}" for one in type_]}})
    if since_ms is not None:
        found.append({"starts": {"$gte": since_ms}})
    return found


def all_of(conditions: list[Query]) -> Query:
    """Every one of them."""
    return {"$and": conditions} if conditions else {}
