"""What can be asked for: series, names and values of labels, names and types of metrics; derived ones included.

Without a selector they are those of all series; with selectors, of the series that one of them shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from vigie_contracts.series import Kind, Labels
from vigie_query.errors import InvalidParameter
from vigie_query.ordering import ordered
from vigie_query.promql.derived import BOUNDS, LE, names_shown
from vigie_query.promql.errors import InvalidExpression
from vigie_query.promql.labels import NAME, get
from vigie_query.promql.plan import NOW, Selector

from vigie_api.context import Context
from vigie_api.promql.queries import parsed

MAX_SELECTORS: Final = 32
_MATCH: Final = "match[]"
T = TypeVar("T", Labels, str)


async def selectors(texts: Sequence[str]) -> list[Selector]:
    """Each a selector, without `offset` and `@`. Raises InvalidParameter."""
    if len(texts) > MAX_SELECTORS:
        raise InvalidParameter(_MATCH, f"is there more than {MAX_SELECTORS} times")
    return [await _selector(text) for text in texts]


async def _selector(text: str) -> Selector:
    try:
        node = await parsed(text)
    except InvalidExpression as e:
        raise InvalidParameter(_MATCH, e.detail) from None
    if not isinstance(node, Selector) or node.when != NOW:
        raise InvalidParameter(_MATCH, 'must be a selector, like up{job="a"}')
    return node


async def series(context: Context, wanted: Sequence[Selector]) -> list[Labels]:
    """Each once, sorted. Raises QueryLimitExceeded."""
    return await _of_series(context, wanted, lambda labels: [labels])


async def _of_series(context: Context, wanted: Sequence[Selector], of_one: Callable[[Labels], Iterable[T]]) -> list[T]:
    """What the labels of each series give, each once, sorted; in a thread, as of very many series it takes long."""
    reader = context.resources.selectors
    found: set[T] = set()
    for one in wanted:
        labels = (await reader.select(context.tenant, one.matchers)).shown.labels
        await asyncio.to_thread(lambda labels=labels: found.update(made for own in labels for made in of_one(own)))
    return await asyncio.to_thread(lambda: ordered(list(found)))


async def label_names(context: Context, wanted: Sequence[Selector]) -> list[str]:
    """Sorted."""
    if wanted:
        return await _of_series(context, wanted, lambda labels: [name for name, _ in labels])
    kinds = {kind for _, kind in await _families(context)}
    derived = {NAME} if kinds else set[str]()
    if Kind.HISTOGRAM in kinds:
        derived.add(LE)
    return sorted({*derived, *await context.resources.labels.names(context.tenant)})


async def label_values(context: Context, label: str, wanted: Sequence[Selector]) -> list[str]:
    """Sorted."""
    if wanted:
        return await _of_series(context, wanted, lambda labels: [value] if (value := get(labels, label)) else [])
    if label == NAME:
        return sorted({name for one, kind in await _families(context) for name in names_shown(one, kind)})
    values = set(await context.resources.labels.values(context.tenant, label))
    if label == LE and any(kind is Kind.HISTOGRAM for _, kind in await _families(context)):
        values.update(BOUNDS)
    return sorted(values)


async def types(context: Context, metric: str) -> dict[str, list[str]]:
    """Metric -> its types, sorted by name; all of them, or the one that is named. A histogram has its own name only, as
    where it is scraped."""
    found: dict[str, set[str]] = {}
    for one, kind in await _families(context):
        for name in (one,) if kind is Kind.HISTOGRAM else names_shown(one, kind):
            found.setdefault(name, set()).add(kind.type)
    names = sorted(found) if not metric else [metric] if metric in found else []
    return {name: sorted(found[name]) for name in names}


async def _families(context: Context) -> list[tuple[str, Kind]]:
    return await context.resources.series.families(context.tenant)
