"""What is answered about objectives."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError


class SloNotFound(ProblemError):  # noqa: N818 - named after what is wrong
    """The tenant has no such objective."""

    kind = ProblemKind.NOT_FOUND
    status = 404

    def __init__(self) -> None:
        super().__init__("there is no such objective")
