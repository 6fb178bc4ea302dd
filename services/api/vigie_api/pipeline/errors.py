"""Errors of the pipeline's own state."""

from __future__ import annotations

from typing import Final

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError

RETRY_AFTER_S: Final = 5


class BusAway(ProblemError):  # noqa: N818 - named after what is wrong
    """Kafka does not answer."""

    kind = ProblemKind.BUSY
    status = 503

    def __init__(self) -> None:
        super().__init__("Kafka does not answer at the moment; try again in a few seconds", retry_after=RETRY_AFTER_S)
