"""From the parameters of a request to the body of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from vigie_query.errors import InvalidParameter
from vigie_query.promql import queries
from vigie_query.promql.parsing import parse
from vigie_query.promql.plan import Node
from vigie_query.promql.queries import Query
from vigie_runtime import tasks

from vigie_api.context import Context
from vigie_api.promql.encoding import Bounds, encoded
from vigie_api.promql.errors import QueryTimedOut
from vigie_api.promql.form import Form

_SHORT_TEXT: Final = 200
"""Characters."""
_SHORT_ANSWER: Final = 1_000
"""Points."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The times of a query; a step of 0 is that of an instant query."""

    start_ms: int
    end_ms: int
    step_ms: int


def instant(form: Form, now_ms: int) -> Steps:
    """One time. Raises InvalidParameter."""
    at = form.time_ms("time", now_ms)
    return Steps(at, at, 0)


def ranged(form: Form) -> Steps:
    """Evenly spaced times. Raises InvalidParameter."""
    start, end = form.time_ms("start"), form.time_ms("end")
    if end < start:
        raise InvalidParameter("end", "end timestamp must not be before start time")
    step = form.duration_ms("step")
    if step is None:
        raise InvalidParameter("step", 'cannot parse "" to a valid duration')
    if step <= 0:
        raise InvalidParameter(
            "step", "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
    return Steps(start, end, step)


async def answered(context: Context, form: Form, steps: Steps) -> bytes:
    """The body. Reading, computing and writing are one `turn`. Raises what it raises, QueryError, StoreUnavailable."""
    settings, resources = context.state.settings, context.resources
    bounds = Bounds(form.limit(), settings.api_promql_max_points)
    lookback_ms = form.duration_ms("lookback_delta") or round(settings.api_promql_lookback_s * 1_000)
    if lookback_ms < 0:
        raise InvalidParameter("lookback_delta", "must be more than zero")
    text = form.text("query")
    thinking = resources.expressions.question("query", context.tenant)
    async with turn(context, form):
        node = await parsed(text)
        query = Query(text, node, steps.start_ms, steps.end_ms, steps.step_ms, lookback_ms)
        answer = await queries.answer(resources.samples(context.tenant), query, thinking.run)
        return await tasks.beside(lambda: encoded(answer, bounds), short=answer.size <= _SHORT_ANSWER)


@asynccontextmanager
async def turn(context: Context, form: Form) -> AsyncGenerator[None]:
    """One of the places for queries, and the time that one may take, the wait for its turn included. Raises
    InvalidParameter, QueryTimedOut, Busy."""
    timeout_ms = _timeout_ms(form, context.state.settings.api_promql_timeout_s)
    try:
        async with asyncio.timeout(timeout_ms / 1_000), context.resources.queries.slot(context.tenant):
            yield
    except TimeoutError:
        raise QueryTimedOut(timeout_ms) from None


async def parsed(text: str) -> Node:
    """The plan of an expression: the longest takes a tenth of a second. Raises InvalidExpression."""
    return await tasks.beside(lambda: parse(text), short=len(text) <= _SHORT_TEXT)


def _timeout_ms(form: Form, longest_s: float) -> int:
    """At most that of the settings, as in Prometheus."""
    longest, asked = round(longest_s * 1_000), form.duration_ms("timeout")
    if asked is None:
        return longest
    if asked <= 0:
        raise InvalidParameter("timeout", "must be more than zero")
    return min(asked, longest)
