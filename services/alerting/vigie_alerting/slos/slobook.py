"""Objectives of tenants: written with the rules that watch them, all or nothing; and what is left of their budgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from vigie_contracts.alerts import Rule
from vigie_contracts.series import Labels
from vigie_contracts.tenants import TenantId
from vigie_identity.audit import Action, Actor
from vigie_query.errors import QueryError
from vigie_query.promql import parsing
from vigie_query.promql.labels import without_name
from vigie_query.promql.queries import Query, answer
from vigie_query.promql.samples import Vector
from vigie_runtime.expressions import Expressions, ExpressionTooSlow
from vigie_storage.alerts.configuration import Configuration, Stored
from vigie_storage.mongo import Session
from vigie_storage.promql.reader import PromqlReader

from vigie_alerting.configbook import Configbook
from vigie_alerting.rulebook.rulebook import Rulebook
from vigie_alerting.rules.durations import duration
from vigie_alerting.slos.budget import Budget, budget
from vigie_alerting.slos.compiling import ids, windows
from vigie_alerting.slos.indicator import indicator
from vigie_alerting.slos.model import Slo

MAX_GROUPS: Final = 100
"""Budgets of one answer, those with the least left first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What was measured of an objective."""

    budgets: Sequence[Budget]
    groups: int
    """How many there are, of which at most MAX_GROUPS are told."""
    problem: str = ""
    """Why nothing could be measured: a sentence."""


class Slobook:
    """All methods raise StoreUnavailable."""

    def __init__(
        self,
        store: Configuration[Slo],
        book: Configbook[Slo],
        rulebook: Rulebook,
        reader: PromqlReader,
        expressions: Expressions,
    ) -> None:
        """`expressions`: where what was measured is computed."""
        self.store = store
        self._book, self._rulebook, self._reader, self._expressions = book, rulebook, reader, expressions

    async def put(
        self, tenant: TenantId, name: str, slo: Slo, rules: Sequence[Rule], by: Actor, *, if_version: int | None
    ) -> Stored[Slo]:
        """Store it, and have its rules be these. Raises ConfigurationConflict, LimitReached."""

        async def also(session: Session) -> None:
            await self._rulebook.manage(tenant, rules, ids(tenant, name), by, session)

        made = await self._book.put(
            tenant, name, slo, by, Action.SLO_CHANGED, if_version=if_version, also=also, objective=slo.objective
        )
        self._rulebook.wake()
        return made

    async def delete(self, tenant: TenantId, name: str, by: Actor, *, if_version: int | None) -> Stored[Slo] | None:
        """With its rules. Raises ConfigurationConflict."""
        also = partial(self._gone, tenant, name, by)
        gone = await self._book.delete(tenant, name, by, Action.SLO_DELETED, if_version=if_version, also=also)
        self._rulebook.wake()
        return gone

    async def _gone(self, tenant: TenantId, name: str, by: Actor, session: Session) -> None:
        await self._rulebook.manage(tenant, (), ids(tenant, name), by, session)

    async def standing(self, tenant: TenantId, slo: Slo, now_ms: int) -> Standing:
        """By the stored windows, so with all that came late. One question after the other: of those who ask at the same
        time, each holds one thread. Raises Busy."""
        parts, lengths = indicator(slo), [*windows(slo.window_ms), slo.window_ms]
        asked = [parts.total(duration(slo.window_ms)), *(parts.errors(duration(length)) for length in lengths)]
        try:
            total, *errors = [await self._ask(tenant, text, now_ms) for text in asked]
        except (QueryError, ExpressionTooSlow) as e:
            return Standing((), 0, e.detail)
        by_length = dict(zip(lengths, errors, strict=True))
        found = [
            budget(
                slo, labels, rate, {length: one[labels] for length, one in by_length.items() if labels in one}, now_ms
            )
            for labels, rate in total.items()
        ]
        found.sort(key=lambda one: (one.left, one.labels))
        return Standing(found[:MAX_GROUPS], len(found))

    async def _ask(self, tenant: TenantId, text: str, now_ms: int) -> dict[Labels, float]:
        """By group; what is no number is left out."""
        query = Query(text, parsing.parse(text), now_ms, now_ms)
        found = await answer(self._reader.of(tenant), query, self._expressions.question("slo", tenant).run)
        if not isinstance(found.value, Vector):
            return {}
        values = zip(found.value.labels, found.value.values[:, 0].tolist(), strict=True)
        return {without_name(labels): value for labels, value in values if not math.isnan(value)}
