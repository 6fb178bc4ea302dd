"""The error of an exceeded rate limit."""

from __future__ import annotations

from math import ceil
from typing import Final

from vigie_contracts.problems import ProblemKind
from vigie_runtime.errors import ProblemError

from vigie_limits.counter import Limit, LimitName

_SUBJECTS: Final = {
    LimitName.ADDRESS: "requests without a good credential from this address",
    LimitName.KEY: "requests with this credential",
    LimitName.TENANT: "requests for this tenant",
    LimitName.SAMPLES: "samples for this tenant",
    LimitName.TELEMETRY: "reports of this tenant",
    LimitName.TELEMETRY_ADDRESS: "reports of this tenant without a credential from this address",
    LimitName.TELEMETRY_BYTES: "bytes of reports of this tenant without a credential",
    LimitName.TELEMETRY_ADDRESS_BYTES: "bytes of reports of this tenant without a credential from this address",
}


class Throttled(ProblemError):  # noqa: N818 - as its siblings
    """More than a limit allows. Nothing of the request was taken. Services answer it like every ProblemError."""

    kind = ProblemKind.THROTTLED
    status = 429

    def __init__(self, limit: Limit, cost: int, wait_s: float) -> None:
        seconds = max(1, ceil(wait_s))
        allowed = f"{limit.amount} {_SUBJECTS[limit.name]} are allowed in {_span(limit.window_s)}"
        if cost > limit.amount:
            detail = f"{allowed}, and this request has {cost}: send them in several requests"
        else:
            detail = f"{allowed}; nothing of this request was taken, try again in {seconds} s"
        super().__init__(detail, retry_after=seconds)


def _span(seconds: int) -> str:
    return {1: "a second", 60: "a minute"}.get(seconds, f"{seconds} s")
