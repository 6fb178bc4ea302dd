"""What recording rules gave at times that are past, by the stored windows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from vigie_contracts.tenants import TenantId
from vigie_query.promql.queries import Answer, Check, Query, answer
from vigie_query.promql.samples import Vector
from vigie_storage.promql.reader import PromqlReader

from vigie_alerting.engine.evaluation import EvaluationError
from vigie_alerting.recording.results import Recorded, recorded
from vigie_alerting.rules.compiling import CompiledRule


class History:
    """`whole`: whether the windows hold all that came until now. Raises Retryable, StoreUnavailable."""

    def __init__(self, reader: PromqlReader, whole: Callable[[], Awaitable[bool]]) -> None:
        self._reader, self.whole = reader, whole

    async def at(self, rule: CompiledRule, times: range) -> list[Recorded]:
        """What a rule gave then. Raises QueryError, ProblemError, EvaluationError, StoreUnavailable."""
        query = Query(rule.text, rule.value, times[0], times[-1], times.step)
        found = await answer(self._reader.of(TenantId(rule.rule.tenant)), query, _in_thread)
        if not isinstance(found.value, Vector):
            raise EvaluationError("the expression gives no series over time")
        return await asyncio.to_thread(recorded, rule.rule, found.value, times)


async def _in_thread(work: Callable[[Check], Answer]) -> Answer:
    """Without a limit of time: what is asked is bounded."""
    return await asyncio.to_thread(work, lambda: None)
