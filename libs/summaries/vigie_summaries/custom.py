"""The metrics that Vigie gives no meaning to itself: their latest values, of all services and of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np
from vigie_contracts import names
from vigie_contracts.series import Kind, Labels
from vigie_query.times import iso

from vigie_summaries.families.families import Family, FamilyIndex, LatestTable, Values
from vigie_summaries.numbers import rounded
from vigie_summaries.overview import number
from vigie_summaries.schemas.common import CustomMetric, LatestValue, ServiceValue

KNOWN: Final = frozenset((*names.BUSINESS, *names.APPLICATION, *names.SYSTEM))
MAX_CUSTOM: Final = 500
MAX_SERVICES: Final = 50
"""Of one metric."""
_SERVICE: Final = re.compile(r'(?:^|,)service="((?:[^"\\]|\\.)*)"')
_ESCAPE: Final = re.compile(r"\\(.)")


def custom_families(index: FamilyIndex) -> list[Family]:
    """All of them, by name. One of a name that is known, but of another kind, is somebody's own."""
    return [one for one in index.families() if not (one.name in KNOWN and one.kind in names.kinds_of(one.name))]


def of_area(families: Iterable[Family], prefixes: Sequence[str]) -> list[Family]:
    """Those that are named like metrics of an area."""
    return [family for family in families if family.name.startswith(tuple(prefixes))]


def of_business(
    index: FamilyIndex, prefixes: Sequence[str], sent: Collection[tuple[str, Kind]], shown: Collection[str]
) -> list[Family]:
    """What was sent as business metrics, then what is named like one. `shown` are names that the answer has a place
    for."""
    own = [index.family(name, kind) for name, kind in sent if name not in shown or kind not in names.kinds_of(name)]
    own = [family for family in own if len(family)]  # registered, and not in the index yet
    there = {(family.name, family.kind) for family in own}
    return own + [
        family for family in of_area(custom_families(index), prefixes) if (family.name, family.kind) not in there
    ]


def custom_metrics(families: Iterable[Family], latest: LatestTable) -> list[CustomMetric]:
    """Their latest values, however old, by name."""
    found = [_custom(family, latest.of(family, 0)) for family in families]
    return sorted(found, key=lambda one: (one.name, one.type, one.temporality or ""))


def _custom(family: Family, values: Values) -> CustomMetric:
    places: dict[str, list[int]] = {}
    place: int
    for position, place in enumerate(values.place.tolist()):
        if service := _service(family.labels[place]):
            places.setdefault(service, []).append(position)
    newest = int(values.timestamps.max()) if len(values.place) else None
    return CustomMetric(
        name=family.name,
        type=family.kind.type,
        temporality=family.kind.temporality,
        series=len(values.place),
        last_sample_at=None if newest is None else iso(newest),
        services=len(places),
        by_service=[
            ServiceValue(service=service, **dict(_latest(family.kind, values, places[service])))
            for service in sorted(places)[:MAX_SERVICES]
        ],
        **dict(_latest(family.kind, values, slice(None))),
    )


def _latest(kind: Kind, values: Values, chosen: slice | list[int]) -> LatestValue:
    value = total = count = None
    timestamps = values.timestamps[chosen]
    if len(timestamps):
        with np.errstate(over="ignore", invalid="ignore"):
            match kind:
                case Kind.COUNTER:
                    value = number(values.sums[chosen].sum())
                case Kind.CUMULATIVE:
                    value = number(values.values[chosen].sum())
                case Kind.GAUGE:
                    own = values.values[chosen]
                    value, total = number(own[timestamps.argmax()]), number(own.sum())
                case Kind.HISTOGRAM:
                    total, count = number(values.sums[chosen].sum()), int(values.counts[chosen].sum())
                    value = None if total is None or not count else rounded(total / count)
    return LatestValue(value=value, sum=total, count=count)


def _service(labels: str | Labels) -> str:
    """The label `service`, of labels as a family keeps them: ready text, or names and values. Empty without one."""
    if not isinstance(labels, str):
        return dict(labels).get("service", "")
    found = _SERVICE.search(labels)
    return _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], found[1]) if found else ""
