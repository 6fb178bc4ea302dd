"""Answers that are no success, as sentences; and whether the clocks of this machine and Vigie's agree."""

from __future__ import annotations

import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import msgspec
from vigie_client.backoff import retry_after
from vigie_client.transport import HttpResponse

UNAUTHORIZED: Final = frozenset({401, 403})
SKEW_S: Final = 120.0
"""Clocks that are further apart are said to be wrong."""


class Refused(msgspec.Struct, frozen=True):
    """Why something was not answered as hoped."""

    reason: str
    status: int = 0
    unreachable: bool = False
    wait_s: float | None = None
    """What the server says in Retry-After."""

    @property
    def unauthorized(self) -> bool:
        """The key is missing, wrong, or may not do this."""
        return self.status in UNAUTHORIZED


def refusal(answer: HttpResponse) -> Refused:
    """Of an answer that is no success."""
    document = document_of(answer)
    text = document.get("detail") or document.get("message") or "the answer is not one of Vigie's"
    reason = " ".join(f"{answer.status} {text}".split())[:500]
    return Refused(reason, answer.status, wait_s=retry_after(answer.headers.get("retry-after")))


def document_of(answer: HttpResponse) -> dict[str, Any]:
    """The JSON object of an answer; empty when it is none."""
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def skew_s(answer: HttpResponse) -> float | None:
    """By how many seconds this machine's clock is ahead of the server's; None when the answer has no date."""
    header = answer.headers.get("date")
    if not header:
        return None
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return time.time() - (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def about_clock(skew: float) -> str:
    """A sentence."""
    way = "ahead of" if skew > 0 else "behind"
    return f"the clock of this machine is {abs(skew):.0f} s {way} Vigie's: set it (systemd-timesyncd, chrony)"
