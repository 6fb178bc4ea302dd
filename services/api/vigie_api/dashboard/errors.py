"""Errors of the dashboards."""

from __future__ import annotations

from collections.abc import Iterable

from vigie_contracts.problems import ProblemKind, shortened
from vigie_runtime.errors import ProblemError


class UnknownChart(ProblemError):  # noqa: N818
    """No chart of that name."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self, type_: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no chart {shortened(type_)!r}; the charts are {', '.join(sorted(known))}")
