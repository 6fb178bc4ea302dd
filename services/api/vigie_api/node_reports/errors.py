"""Errors of node reports."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError


class NoReport(ProblemError):  # noqa: N818
    """The tenant's node has not sent a report."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("the tenant has not sent any telemetry yet")
