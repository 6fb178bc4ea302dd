"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_S = 0.5
LONGEST_S = 30.0
LONGEST_TOLD_S = 300.0
"""A server that says more in Retry-After is asked again after this."""
_SPREAD = 0.25


class Backoff:
    """Twice as long after every failure, spread at random so that clients do not come back all at once."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._failures = 0

    def reset(self) -> None:
        """An attempt went well."""
        self._failures = 0

    def after(self, server_wait: float | None) -> float:
        """Seconds to wait after one more failure: at least `server_wait`, the Retry-After."""
        longest = min(LONGEST_S, FIRST_S * 2 ** min(self._failures, 16))
        self._failures += 1
        waited = self._uniform(longest / 2, longest)
        if server_wait is None:
            return waited
        server_wait = min(server_wait, LONGEST_TOLD_S)
        return server_wait + self._uniform(0.0, max(_SPREAD * server_wait, 0.1))


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds, from a number of seconds or an HTTP date; None when there is nothing to understand."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
