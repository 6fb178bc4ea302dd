"""What readers of the store raise, besides `vigie_runtime.errors.StoreUnavailable`."""

from __future__ import annotations

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import RETRY_AFTER_S, ProblemError


class TooSlow(ProblemError):  # noqa: N818 - named after what is wrong
    """The store did not finish within the time one read may take."""

    kind = ProblemKind.TIMEOUT
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "the store needed too long for this request: ask for a shorter time or fewer series",
            retry_after=RETRY_AFTER_S,
        )
